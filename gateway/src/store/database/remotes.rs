//! The gateway's own sessions at remote brokers, in the file.

use rusqlite::{Row, Transaction, params};

use super::load::number;
use crate::store::rows::{RemoteRow, StoredRemote};

/// The numbers are of those of sessions, and what was received stands in the same table.
pub(super) const TABLES: &str = "
    CREATE TABLE remote (id INTEGER PRIMARY KEY, uplink TEXT NOT NULL, place TEXT NOT NULL, doubted INTEGER NOT NULL);
";

pub(super) fn write(transaction: &Transaction<'_>, number: i64, row: &RemoteRow) -> Result<(), rusqlite::Error> {
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO remote VALUES (?1, ?2, ?3, ?4)")?;
    put.execute(params![number, row.uplink, row.place, row.doubted]).map(drop)
}

pub(super) fn read(row: &Row<'_>) -> Option<StoredRemote> {
    let (uplink, place): (String, String) = (row.get(1).ok()?, row.get(2).ok()?);
    let remote = RemoteRow { uplink: uplink.into(), place, doubted: row.get(3).ok()? };
    Some(StoredRemote { id: number(row, 0)?, row: remote, received: Vec::new() })
}

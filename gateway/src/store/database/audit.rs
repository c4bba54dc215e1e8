//! Who changed what by the admin page and its API, in the file.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Row, Transaction, params};

use super::load::{Taken, number};
use super::seconds;
use crate::store::rows::{AUDIT_ROWS, AuditRow};

pub(super) const TABLES: &str = "
    CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, whence TEXT,
        what TEXT NOT NULL, outcome TEXT NOT NULL);
";

pub(super) fn write(transaction: &Transaction<'_>, rows: &BTreeMap<u64, AuditRow>) -> Result<(), rusqlite::Error> {
    let Some((newest, _)) = rows.last_key_value() else { return Ok(()) };
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (number, row) in rows {
        put.execute(params![number.cast_signed(), seconds(row.at), row.who, row.whence, row.what, row.outcome])?;
    }
    let oldest = newest.saturating_sub(AUDIT_ROWS as u64);
    transaction.prepare_cached("DELETE FROM audit WHERE id <= ?1")?.execute([oldest.cast_signed()])?;
    Ok(())
}

pub(super) fn read(row: &Row<'_>, found: &mut BTreeMap<u64, AuditRow>) -> Option<Taken> {
    let at = UNIX_EPOCH + Duration::from_secs(number(row, 1)?);
    let (who, whence) = (row.get(2).ok()?, row.get(3).ok()?);
    found.insert(number(row, 0)?, AuditRow { at, who, whence, what: row.get(4).ok()?, outcome: row.get(5).ok()? });
    Some(Taken::Yes)
}

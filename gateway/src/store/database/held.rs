//! Messages that are held for plugins, in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Row, Transaction, params};

use super::load::{Taken, message, number};
use crate::store::pending::Hold;
use crate::store::rows::HeldRow;

pub(super) const TABLES: &str = "
    CREATE TABLE held (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, apart INTEGER NOT NULL, message BLOB NOT NULL);
";

/// Names, one a line; NULL where nobody knows.
pub(super) const BEHIND: &str = "
    ALTER TABLE held ADD COLUMN behind TEXT;
";

pub(super) fn write(transaction: &Transaction<'_>, number: u64, hold: &Hold) -> Result<(), rusqlite::Error> {
    let number = number.cast_signed();
    let sql = match hold {
        Hold::Put(row) => {
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO held VALUES (?1, ?2, ?3, ?4, ?5)")?;
            let behind = row.behind.as_ref().map(|names| names.join("\n"));
            put.execute(params![number, row.owner, row.apart, row.message.to_record(), behind])?;
            return Ok(());
        }
        Hold::Apart => "UPDATE held SET apart = 1 WHERE id = ?1",
        Hold::Gone => "DELETE FROM held WHERE id = ?1",
    };
    transaction.prepare_cached(sql)?.execute([number])?;
    Ok(())
}

pub(super) fn read(row: &Row<'_>, found: &mut BTreeMap<u64, HeldRow>) -> Option<Taken> {
    let owner: String = row.get(1).ok()?;
    // Not worth the message.
    let behind: Option<String> = row.get(4).unwrap_or_default();
    let behind = behind.map(|names| names.lines().map(Arc::from).collect());
    let held = HeldRow { owner: owner.into(), apart: row.get(2).ok()?, behind, message: Arc::new(message(row, 3)?) };
    found.insert(number(row, 0)?, held);
    Some(Taken::Yes)
}

//! Who changed what by the admin page and its API, in the file.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Row, Transaction, params};

use super::load::{Taken, number};
use super::seconds;
use crate::store::rows::{AUDIT_OWN_ROWS, AUDIT_OWN_ROWS_EACH, AUDIT_REFUSED_ROWS, AUDIT_ROWS, AuditRow};

pub(super) const TABLES: &str = "
    CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, whence TEXT,
        what TEXT NOT NULL, outcome TEXT NOT NULL);
";

/// Behind the year 9999 times have no words.
const NO_TIME: u64 = 253_402_300_800;

pub(super) fn write(transaction: &Transaction<'_>, rows: &BTreeMap<u64, AuditRow>) -> Result<(), rusqlite::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (number, row) in rows {
        put.execute(params![number.cast_signed(), seconds(row.at), row.who, row.whence, row.what, row.outcome])?;
    }
    // As `AuditSurplus` has it: of each person first.
    let done = format!("outcome = '{}'", AuditRow::DONE);
    let own = format!("{done} AND what IN ('{}')", AuditRow::OWN.join("', '"));
    let nth = "row_number() OVER (PARTITION BY who ORDER BY id DESC) AS nth";
    let of_each = format!("SELECT id FROM (SELECT id, {nth} FROM audit WHERE {own}) WHERE nth > {AUDIT_OWN_ROWS_EACH}");
    let mut go = vec![format!("DELETE FROM audit WHERE id IN ({of_each})")];
    for (kind, most) in [
        (&own, AUDIT_OWN_ROWS),
        (&format!("{done} AND NOT ({own})"), AUDIT_ROWS),
        (&format!("NOT ({done})"), AUDIT_REFUSED_ROWS),
    ] {
        let first_to_go = format!("SELECT id FROM audit WHERE {kind} ORDER BY id DESC LIMIT 1 OFFSET {most}");
        go.push(format!("DELETE FROM audit WHERE {kind} AND id <= ({first_to_go})"));
    }
    for statement in go {
        transaction.prepare_cached(&statement)?.execute([])?;
    }
    Ok(())
}

pub(super) fn read(row: &Row<'_>, found: &mut BTreeMap<u64, AuditRow>) -> Option<Taken> {
    let at = UNIX_EPOCH + Duration::from_secs(number(row, 1).filter(|seconds| *seconds < NO_TIME)?);
    let (who, whence) = (row.get(2).ok()?, row.get(3).ok()?);
    found.insert(number(row, 0)?, AuditRow { at, who, whence, what: row.get(4).ok()?, outcome: row.get(5).ok()? });
    Some(Taken::Yes)
}

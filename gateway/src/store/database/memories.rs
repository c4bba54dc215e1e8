//! What plugins remember, in the file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Row, Transaction, params};

use super::load::Taken;
use super::seconds;
use crate::store::pending::Memory;
use crate::store::rows::{Lasts, MemoryRow, StoredMemory};

/// `lasts`: so many seconds, counted from `lasts_from` where that is known.
pub(super) const TABLES: &str = "
    CREATE TABLE memory (owner TEXT, key TEXT, value BLOB NOT NULL, lasts INTEGER, lasts_from INTEGER,
        PRIMARY KEY (owner, key)) WITHOUT ROWID;
    CREATE TABLE left_memory (owner TEXT PRIMARY KEY, left_at INTEGER NOT NULL) WITHOUT ROWID;
";

pub(super) fn write(transaction: &Transaction<'_>, owner: &str, memory: &Memory) -> Result<(), rusqlite::Error> {
    if memory.ended {
        for table in ["memory", "left_memory"] {
            transaction.prepare_cached(&format!("DELETE FROM {table} WHERE owner = ?1"))?.execute([owner])?;
        }
    }
    match memory.left {
        None => {}
        Some(Some(left)) => {
            let sql = "INSERT OR REPLACE INTO left_memory VALUES (?1, ?2)";
            transaction.prepare_cached(sql)?.execute(params![owner, seconds(left)])?;
        }
        Some(None) => {
            transaction.prepare_cached("DELETE FROM left_memory WHERE owner = ?1")?.execute([owner])?;
        }
    }
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO memory VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut forget = transaction.prepare_cached("DELETE FROM memory WHERE owner = ?1 AND key = ?2")?;
    for (key, row) in memory.keys() {
        let Some(row) = row else {
            forget.execute([owner, key])?;
            continue;
        };
        let lasts = row.lasts.map(|lasts| whole(lasts.left));
        let from = row.lasts.and_then(|lasts| lasts.at).map(seconds);
        put.execute(params![owner, key, &*row.value, lasts, from])?;
    }
    Ok(())
}

/// Seconds; one that has begun counts, so that nothing goes too soon.
fn whole(time: Duration) -> i64 {
    let begun = u64::from(time.subsec_nanos() > 0);
    i64::try_from(time.as_secs().saturating_add(begun)).unwrap_or(i64::MAX)
}

/// A time in the file; one that can't be is none.
fn time(seconds: i64) -> Option<SystemTime> {
    let seconds = u32::try_from(seconds).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds.into()))
}

fn memory<'a>(row: &Row<'_>, found: &'a mut BTreeMap<Arc<str>, StoredMemory>) -> Option<&'a mut StoredMemory> {
    let owner: String = row.get(0).ok()?;
    Some(found.entry(owner.into()).or_default())
}

pub(super) fn read(row: &Row<'_>, found: &mut BTreeMap<Arc<str>, StoredMemory>) -> Option<Taken> {
    let key: String = row.get(1).ok()?;
    let value = row.get_ref(2).ok()?.as_blob().ok()?.into();
    let lasts: Option<i64> = row.get(3).ok()?;
    let from: Option<i64> = row.get(4).ok()?;
    let lasts = match lasts {
        Some(left) => Some(Lasts { left: Duration::from_secs(u64::try_from(left).ok()?), at: from.and_then(time) }),
        None => None,
    };
    memory(row, found)?.entries.push((key, MemoryRow { value, lasts }));
    Some(Taken::Yes)
}

pub(super) fn read_left(row: &Row<'_>, found: &mut BTreeMap<Arc<str>, StoredMemory>) -> Option<Taken> {
    let left = time(row.get(1).ok()?)?;
    memory(row, found)?.left = Some(left);
    Some(Taken::Yes)
}

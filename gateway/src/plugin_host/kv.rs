//! What a plugin remembers. Changes of a call become visible to others when the call has ended well, and never otherwise.
//! They are noted for the disk in the same step (`disk.rs`), so that it never has a half of a call either.

mod disk;
mod transaction;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use disk::Disk;
pub(super) use transaction::{Refused, Transaction};

use crate::message::Receipt;
use crate::store::StoredMemory;

/// What an entry costs besides its key and its value.
const ENTRY_BYTES: usize = 64;
/// How often entries whose time is over are looked for, at most.
const SWEEP: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    value: Arc<[u8]>,
    until: Option<Instant>,
}

impl Entry {
    fn live(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

fn cost(key: &str, entry: &Entry) -> usize {
    key.len() + entry.value.len() + ENTRY_BYTES
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<String, Entry>,
    bytes: usize,
    swept: Option<Instant>,
}

impl Table {
    /// Says whether there was something under the key.
    fn put(&mut self, key: String, entry: Option<Entry>) -> bool {
        let old = self.entries.remove(&key);
        self.bytes -= old.as_ref().map_or(0, |old| cost(&key, old));
        if let Some(entry) = entry {
            self.bytes += cost(&key, &entry);
            self.entries.insert(key, entry);
        }
        old.is_some()
    }

    /// So much time has gone by.
    fn age(&mut self, by: Duration) {
        for until in self.entries.values_mut().filter_map(|entry| entry.until.as_mut()) {
            *until = until.checked_sub(by).unwrap_or_else(Instant::now);
        }
    }

    /// Keys whose time is over; none when they have been looked for just now.
    fn over(&mut self, now: Instant) -> Vec<String> {
        if self.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP) {
            return Vec::new();
        }
        self.swept = Some(now);
        let over = self.entries.iter().filter(|(_, entry)| entry.until.is_some_and(|until| until <= now));
        over.map(|(key, _)| key.clone()).collect()
    }
}

#[derive(Debug, Default)]
struct Inner {
    table: Mutex<Table>,
    /// `None`: it ends with the process.
    disk: Option<Disk>,
    /// Whether something changed since it was last asked.
    changed: AtomicBool,
}

/// One plugin's memory, which outlives its instances and versions. A clone is the same memory.
#[derive(Debug, Clone, Default)]
pub struct Kv(Arc<Inner>);

impl Kv {
    /// One that is kept on disk, with what was found there. What has had its time meanwhile goes.
    pub fn kept(disk: Disk, found: StoredMemory) -> Self {
        let (mut table, mut over) = (Table::default(), Vec::new());
        for (key, row) in found.entries {
            match disk.entry(row) {
                Some(entry) => drop(table.put(key, Some(entry))),
                None => over.push((key, None, false)),
            }
        }
        disk.note(over);
        Self(Arc::new(Inner { table: Mutex::new(table), disk: Some(disk), changed: AtomicBool::new(false) }))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Each entry is put in one step, so a poisoned table is as good as a sound one.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets so much time go by for all that is kept for a while: where messages are played again, time does not pass by
    /// itself.
    pub(super) fn age(&self, by: Duration) {
        self.lock().age(by);
    }

    /// Bytes that count towards the quota.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Keys that are kept.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether something changed since the last time that this was asked.
    pub(super) fn take_changed(&self) -> bool {
        self.0.changed.load(Ordering::Relaxed) && self.0.changed.swap(false, Ordering::Relaxed)
    }

    /// Settles a receipt when all that has been changed so far is on disk.
    pub(super) fn sync(&self, receipt: Receipt) {
        match &self.0.disk {
            Some(disk) => disk.sync(receipt),
            None => receipt.settle(),
        }
    }

    /// Whether so much waits to be taken from a disk that fails that nothing more may be kept.
    fn is_stuck(&self, quota: usize) -> bool {
        self.0.disk.as_ref().is_some_and(|disk| disk.undeleted() > quota)
    }

    /// All of these at once. What is the same as before is no change.
    fn change(&self, changes: impl IntoIterator<Item = (String, Option<Entry>)>) {
        self.change_in(&mut self.lock(), changes);
    }

    fn change_in(&self, table: &mut Table, changes: impl IntoIterator<Item = (String, Option<Entry>)>) {
        let mut noted = Vec::new();
        for (key, entry) in changes {
            if table.entries.get(&key) == entry.as_ref() {
                continue;
            }
            let row = self.0.disk.as_ref().map(|disk| (key.clone(), entry.as_ref().map(|entry| disk.row(entry))));
            let known = table.put(key, entry);
            noted.extend(row.map(|(key, row)| (key, row, !known)));
            self.0.changed.store(true, Ordering::Relaxed);
        }
        // Under the table's lock, so that the disk sees changes in their order.
        if let Some(disk) = &self.0.disk {
            disk.note(noted);
        }
    }

    /// Lets go what has had its time.
    fn sweep(&self) {
        let mut table = self.lock();
        // Under one lock, or a value that is written meanwhile would go.
        let over = table.over(Instant::now());
        self.change_in(&mut table, over.into_iter().map(|key| (key, None)));
    }
}

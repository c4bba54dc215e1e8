//! What a plugin remembers. Changes of a call become visible to others when the call has ended well, and never otherwise.

mod transaction;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) use transaction::{Refused, Transaction};

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
    fn put(&mut self, key: String, entry: Option<Entry>) {
        if let Some(old) = self.entries.remove(&key) {
            self.bytes -= cost(&key, &old);
        }
        if let Some(entry) = entry {
            self.bytes += cost(&key, &entry);
            self.entries.insert(key, entry);
        }
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        self.entries.retain(|_, entry| entry.until.is_none_or(|until| now < until));
        self.bytes = self.entries.iter().map(|(key, entry)| cost(key, entry)).sum();
    }
}

/// One plugin's memory, which outlives its instances and versions. A clone is the same memory.
#[derive(Debug, Clone, Default)]
pub struct Kv(Arc<Mutex<Table>>);

impl Kv {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Each entry is put in one step, so a poisoned table is as good as a sound one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
}

//! A plugin's memory on disk: entries become rows and rows entries.
//!
//! An entry's time is counted by the monotonic clock, which begins anew with each start. So a row says how much time was
//! left and when that was. Where the wall clock can't be trusted at both ends, no time has passed: it is better to remember
//! too long than to forget by a clock that began in another year.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::Entry;
use crate::message::Receipt;
use crate::pipeline::Stamp;
use crate::store::{Lasts, MemoryRow, Store};

/// Where one plugin's memory is kept.
#[derive(Clone)]
pub struct Disk {
    store: Store,
    owner: Arc<str>,
    stamp: Stamp,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Disk {
    /// That of the plugin of this name; `stamp` has the clocks.
    pub fn new(store: Store, owner: &str, stamp: Stamp) -> Self {
        Self { store, owner: owner.into(), stamp }
    }

    pub(super) fn row(&self, entry: &Entry) -> MemoryRow {
        let now = self.stamp.clock().now();
        let lasts =
            entry.until.map(|until| Lasts { left: until.saturating_duration_since(now.monotonic), at: now.trusted() });
        MemoryRow { value: Arc::clone(&entry.value), lasts }
    }

    /// `None`: it has had its time.
    pub(super) fn entry(&self, row: MemoryRow) -> Option<Entry> {
        let until = match row.lasts {
            None => None,
            Some(Lasts { left, at }) => {
                let now = self.stamp.clock().now();
                let passed = now.trusted().zip(at).and_then(|(now, then)| now.duration_since(then).ok());
                let left = left.saturating_sub(passed.unwrap_or_default());
                if left.is_zero() {
                    return None;
                }
                Instant::now().checked_add(left)
            }
        };
        Some(Entry { value: row.value, until })
    }

    pub(super) fn note(&self, changes: Vec<(String, Option<MemoryRow>, bool)>) {
        if !changes.is_empty() {
            self.store.remember(&self.owner, changes);
        }
    }

    pub(super) fn sync(&self, receipt: Receipt) {
        self.store.sync(receipt);
    }

    pub(super) fn undeleted(&self) -> usize {
        self.store.undeleted(&self.owner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::{Kv, Refused, Transaction};
    use super::*;
    use crate::message::ClockQuality;
    use crate::pipeline::Pipeline;
    use crate::store::StoredMemory;

    /// A disk with this store, by a clock that is trusted or not.
    fn disk(store: &Store, trusted: bool) -> Disk {
        let pipeline = Pipeline::new(7).0;
        let quality = if trusted { ClockQuality::Synchronised } else { ClockQuality::Unsynchronised };
        pipeline.clock().set_quality(quality);
        Disk::new(store.clone(), "p", pipeline.stamp().clone())
    }

    fn found(folder: &std::path::Path) -> (Store, StoredMemory) {
        let (store, mut stored) = Store::open(folder).unwrap();
        (store, stored.memories.remove("p").unwrap_or_default())
    }

    #[tokio::test]
    async fn a_call_is_on_disk_as_a_whole_and_what_stays_the_same_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (store, memory) = found(folder.path());
        let kv = Kv::kept(disk(&store, true), memory);
        let mut call = Transaction::new(kv.clone(), 10_000);
        call.set("a".into(), b"1", None).unwrap();
        call.set("b".into(), b"1", None).unwrap();
        call.rollback();
        assert!(!kv.take_changed());
        call.set("b".into(), b"2", None).unwrap();
        call.commit();
        assert!(kv.take_changed() && !kv.take_changed());
        call.set("b".into(), b"2", None).unwrap();
        call.commit();
        assert!(!kv.take_changed(), "it is the same");
        store.flush().await.unwrap();
        drop((kv, call, store));
        let (store, memory) = found(folder.path());
        let again = Transaction::new(Kv::kept(disk(&store, true), memory), 10_000);
        assert_eq!((again.get("a"), again.get("b").as_deref()), (None, Some(&b"2"[..])));
    }

    #[tokio::test]
    async fn time_goes_on_over_a_restart_where_the_clock_is_trusted_at_both_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = found(folder.path());
        let before = SystemTime::now() - Duration::from_secs(100);
        let lasting =
            |left, at| MemoryRow { value: b"x"[..].into(), lasts: Some(Lasts { left: Duration::from_secs(left), at }) };
        let entries = || {
            let rows =
                [("over", lasting(99, Some(before))), ("on", lasting(500, Some(before))), ("?", lasting(99, None))];
            rows.map(|(key, row)| (key.to_owned(), row)).to_vec()
        };
        store.remember(&"p".into(), entries().into_iter().map(|(key, row)| (key, Some(row), true)).collect());
        store.flush().await.unwrap();
        let keys = |kv: &Kv| Transaction::new(kv.clone(), 10_000).keys("", None, 10);
        let distrusted = Kv::kept(disk(&store, false), StoredMemory { entries: entries(), left: None });
        assert_eq!(keys(&distrusted), ["?", "on", "over"], "no time has passed");
        let trusted = Kv::kept(disk(&store, true), StoredMemory { entries: entries(), left: None });
        assert_eq!(keys(&trusted), ["?", "on"]);
        store.flush().await.unwrap();
        drop((distrusted, trusted, store));
        assert_eq!(found(folder.path()).1.entries.len(), 2, "what is over is gone from the disk too");
    }

    #[tokio::test]
    async fn on_a_disk_that_fails_it_goes_on_until_too_much_waits_to_be_deleted() {
        use std::sync::atomic::Ordering;
        let folder = tempfile::tempdir().unwrap();
        let (store, memory) = found(folder.path());
        let mut call = Transaction::new(Kv::kept(disk(&store, true), memory), 150);
        let mut write = |keys: &[&str]| {
            call.begin();
            let set = keys.iter().map(|key| call.set((*key).into(), b"", None)).collect::<Result<Vec<_>, _>>();
            set.map(|_| call.commit())
        };
        write(&["a", "b"]).unwrap();
        store.flush().await.unwrap();
        let fails = &store.figures().failing;
        fails.store(true, Ordering::Relaxed);
        write(&["a"]).unwrap();
        let kv_full = write(&["c", "d"]);
        assert_eq!(kv_full, Err(Refused::Quota), "as on any disk");
        store.remember(&"p".into(), vec![("a".repeat(100), None, false)]);
        assert_eq!(write(&["a"]), Err(Refused::Unavailable));
        fails.store(false, Ordering::Relaxed);
        write(&["a"]).unwrap();
    }
}

//! What plugins remember, by the names that they have in the settings.
//!
//! A plugin that the settings do not name any more may be back tomorrow, so its memory stays for [`KEPT`], counted by the
//! wall clock where that can be trusted, and for so many of them as [`LEFT_MAX`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::lock;
use crate::pipeline::Stamp;
use crate::plugin_host::{Disk, Kv};
use crate::store::{Store, StoredMemory};

/// How long a memory stays that no plugin has.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// So many of those at most; the ones that were left first go first.
const LEFT_MAX: usize = 16;

struct Memory {
    kv: Kv,
    /// When the settings ceased to name the plugin, as far as anybody could tell.
    left: Option<SystemTime>,
}

/// See the module's head.
pub(super) struct Memories {
    store: Store,
    stamp: Stamp,
    all: Mutex<BTreeMap<Arc<str>, Memory>>,
}

impl Memories {
    /// Those that were found in the store.
    pub(super) fn new(store: Store, stamp: Stamp, found: BTreeMap<Arc<str>, StoredMemory>) -> Self {
        let all = found.into_iter().map(|(name, found)| {
            let left = found.left;
            let kv = Kv::kept(Disk::new(store.clone(), &name, stamp.clone()), found);
            (name, Memory { kv, left })
        });
        let all = Mutex::new(all.collect());
        Self { store, stamp, all }
    }

    /// That of a plugin.
    pub(super) fn of(&self, name: &str) -> Kv {
        let disk = || Disk::new(self.store.clone(), name, self.stamp.clone());
        let new = || Memory { kv: Kv::kept(disk(), StoredMemory::default()), left: None };
        lock(&self.all).entry(name.into()).or_insert_with(new).kv.clone()
    }

    /// Notes which plugins the settings name, and lets go what has been left for too long.
    pub(super) fn tend(&self, named: impl Fn(&str) -> bool) {
        let now = self.stamp.clock().now().trusted();
        let mut all = lock(&self.all);
        for (name, memory) in all.iter_mut() {
            let left = if named(name) { None } else { memory.left.or(now) };
            if left != memory.left {
                memory.left = left;
                self.store.leave_memory(name, left);
            }
        }
        let mut left: Vec<_> =
            all.iter().filter(|(name, _)| !named(name)).map(|(n, m)| (Arc::clone(n), m.left)).collect();
        // The last one to be left first; one of which nobody knows when was left just now.
        left.sort_by_key(|(_, left)| (left.is_some(), left.map(std::cmp::Reverse)));
        for (at, (name, left)) in left.into_iter().enumerate() {
            let long =
                now.zip(left).and_then(|(now, left)| now.duration_since(left).ok()).is_some_and(|age| age > KEPT);
            if long || at >= LEFT_MAX {
                let keys = all.remove(&name).map_or(0, |memory| memory.kv.len());
                self.store.end_memory(&name);
                log::info!(plugin = &*name, keys = keys; "what a plugin remembered was let go, as the settings do not name it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ClockQuality;
    use crate::pipeline::Pipeline;
    use crate::store::MemoryRow;

    fn found(left: Option<SystemTime>) -> StoredMemory {
        StoredMemory { entries: vec![("key".into(), MemoryRow { value: b"x"[..].into(), lasts: None })], left }
    }

    fn memories(store: &Store, quality: ClockQuality, found: BTreeMap<Arc<str>, StoredMemory>) -> Memories {
        let pipeline = Pipeline::new(7).0;
        pipeline.clock().set_quality(quality);
        Memories::new(store.clone(), pipeline.stamp().clone(), found)
    }

    fn names(memories: &Memories) -> Vec<String> {
        lock(&memories.all).keys().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_memory_that_no_plugin_has_stays_for_a_month_by_a_clock_that_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let long = SystemTime::now() - KEPT - Duration::from_secs(60);
        let all =
            || [("old".into(), found(Some(long))), ("used".into(), found(Some(long))), ("new".into(), found(None))];
        let distrusted = memories(&store, ClockQuality::Unknown, all().into());
        distrusted.tend(|name| name == "used");
        assert_eq!(names(&distrusted), ["new", "old", "used"]);
        let trusted = memories(&store, ClockQuality::Synchronised, all().into());
        trusted.tend(|name| name == "used");
        assert_eq!(names(&trusted), ["new", "used"]);
        assert!(trusted.of("used").len() == 1 && trusted.of("other").is_empty());
        store.flush().await.unwrap();
        drop((distrusted, trusted, store));
        let stored = Store::open(folder.path()).unwrap().1.memories;
        assert_eq!(stored.len(), 1, "{stored:?}");
        assert!(stored["new"].left.is_some(), "its time begins");
    }

    #[tokio::test]
    async fn of_many_that_no_plugin_has_those_that_were_left_first_go() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let now = SystemTime::now();
        let left = |age: u64| found(Some(now - Duration::from_secs(age)));
        let all = (10..30).map(|age| (format!("{age}").into(), left(age))).collect();
        let memories = memories(&store, ClockQuality::Synchronised, all);
        memories.tend(|name| name == "29");
        let expected: Vec<_> = (10..26).chain([29]).map(|age| age.to_string()).collect();
        assert_eq!(names(&memories), expected);
    }
}

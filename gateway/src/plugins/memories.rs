//! What plugins remember and what is held for them, by the names that they have in the settings.
//!
//! A plugin that the settings do not name any more may be back tomorrow, so what it has stays for [`KEPT`], counted by the
//! wall clock where that can be trusted, and for so many of them as [`LEFT_MAX`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::lock;
use crate::message::{Note, Receipt};
use crate::pipeline::{Held, Keeper, Kept, Pipeline, Shelf};
use crate::plugin_host::{Disk, Kv};
use crate::store::{HeldRow, Store, Stored, StoredMemory};

/// How long a memory stays that no plugin has.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// So many of those at most; the ones that were left first go first.
const LEFT_MAX: usize = 16;

struct Memory {
    kv: Kv,
    shelf: Arc<Shelf>,
    /// When the settings ceased to name the plugin, as far as anybody could tell.
    left: Option<SystemTime>,
}

/// See the module's head.
pub(super) struct Memories {
    store: Store,
    pipeline: Arc<Pipeline>,
    all: Mutex<BTreeMap<Arc<str>, Memory>>,
}

/// Keeps a shelf in the store.
struct OnDisk {
    store: Store,
    owner: Arc<str>,
}

impl OnDisk {
    fn row(&self, kept: Kept) -> HeldRow {
        let Kept { message, held, behind } = kept;
        HeldRow { owner: Arc::clone(&self.owner), apart: held == Held::Apart, behind, message }
    }
}

impl Keeper for OnDisk {
    fn keep(&self, kept: Kept, receipt: Option<Receipt>) -> u64 {
        self.store.hold(self.row(kept), receipt)
    }

    fn take_over(&self, moved: Vec<(u64, Kept)>) -> Vec<u64> {
        self.store.hold_instead(moved.into_iter().map(|(number, kept)| (number, self.row(kept))).collect())
    }

    fn set_apart(&self, number: u64) {
        self.store.set_apart(number);
    }

    fn let_go(&self, number: u64) {
        self.store.note(Note::Held(number), Receipt::held(number));
    }
}

type Left = Vec<(u64, Kept)>;

impl Memories {
    /// Takes those that were found in the store.
    pub(super) fn new(store: Store, pipeline: &Arc<Pipeline>, stored: &mut Stored) -> Self {
        let mut shelves: BTreeMap<Arc<str>, Left> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (number, HeldRow { owner, apart, behind, message }) in std::mem::take(&mut stored.held) {
            let held = if apart { Held::Apart } else { Held::Waits };
            // Many have the same behind them.
            let behind = behind.map(|behind| names.get(&behind).cloned().unwrap_or(behind));
            names.extend(behind.clone());
            shelves.entry(owner).or_default().push((number, Kept { message, held, behind }));
        }
        let mut found = std::mem::take(&mut stored.memories);
        for owner in shelves.keys() {
            found.entry(Arc::clone(owner)).or_default();
        }
        let memories = Self { store, pipeline: Arc::clone(pipeline), all: Mutex::default() };
        let all = found.into_iter().map(|(name, found)| {
            let left = shelves.remove(&name).unwrap_or_default();
            let memory = memories.memory(&name, found, left);
            (name, memory)
        });
        *lock(&memories.all) = all.collect();
        memories
    }

    fn memory(&self, name: &Arc<str>, found: StoredMemory, held: Left) -> Memory {
        let left = found.left;
        let kv = Kv::kept(Disk::new(self.store.clone(), name, self.pipeline.stamp().clone()), found);
        let keeper = OnDisk { store: self.store.clone(), owner: Arc::clone(name) };
        Memory { kv, shelf: self.pipeline.shelf(Box::new(keeper), 0, held), left }
    }

    fn with<T>(&self, name: &str, get: impl FnOnce(&Memory) -> T) -> T {
        let name: Arc<str> = name.into();
        let new = || self.memory(&name, StoredMemory::default(), Vec::new());
        get(lock(&self.all).entry(Arc::clone(&name)).or_insert_with(new))
    }

    /// What a plugin remembers.
    pub(super) fn of(&self, name: &str) -> Kv {
        self.with(name, |memory| memory.kv.clone())
    }

    /// What is held for a plugin.
    pub(super) fn shelf(&self, name: &str) -> Arc<Shelf> {
        self.with(name, |memory| Arc::clone(&memory.shelf))
    }

    /// Notes which plugins the settings name, and lets go what has been left for too long.
    pub(super) fn tend(&self, named: impl Fn(&str) -> bool) {
        let now = self.pipeline.clock().now().trusted();
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
        let mut gone = Vec::new();
        for (at, (name, left)) in left.into_iter().enumerate() {
            let long =
                now.zip(left).and_then(|(now, left)| now.duration_since(left).ok()).is_some_and(|age| age > KEPT);
            if long || at >= LEFT_MAX {
                gone.extend(all.remove_entry(&name));
            }
        }
        // Whoever asks about others does not wait for it.
        drop(all);
        for (name, Memory { kv, shelf, .. }) in gone {
            let (keys, held) = (kv.len(), shelf.clear());
            self.store.end_memory(&name);
            log::warn!(
                plugin = &*name, keys = keys, held = held;
                "what a plugin left was let go, as the settings do not name it"
            );
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

    fn memories(store: &Store, quality: ClockQuality, memories: BTreeMap<Arc<str>, StoredMemory>) -> Memories {
        let pipeline = Pipeline::new(7).0;
        pipeline.clock().set_quality(quality);
        Memories::new(store.clone(), &pipeline, &mut Stored { memories, ..Stored::default() })
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

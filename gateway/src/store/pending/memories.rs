//! What plugins remember, as it waits to be written.
//!
//! There is one change for each key that is kept, which the plugin's quota bounds, and one for each key that the disk
//! may still have and that is to go. While the disk fails those could become many: see [`Memory::gone`].

use std::collections::HashMap;
use std::time::SystemTime;

use crate::store::rows::MemoryRow;

/// What a key that goes costs besides its bytes.
const MARK_BYTES: usize = 64;

/// What becomes of a key.
#[derive(Debug)]
pub(in crate::store) struct Remembered {
    /// `None`: it goes.
    pub(in crate::store) row: Option<MemoryRow>,
    /// The disk has nothing of it.
    pub(in crate::store) fresh: bool,
}

/// What becomes of one plugin's memory.
#[derive(Debug, Default)]
pub(in crate::store) struct Memory {
    /// All that the disk has of it goes, before the keys.
    pub(in crate::store) ended: bool,
    /// What to note of when the settings ceased to name the plugin; `Some(None)`: they name it.
    pub(in crate::store) left: Option<Option<SystemTime>>,
    keys: HashMap<String, Remembered>,
    gone: usize,
}

impl Memory {
    /// All of it, to be written where nothing is.
    pub(in crate::store) fn of(entries: &[(String, MemoryRow)], left: Option<SystemTime>) -> Self {
        let mut memory = Self { left: left.map(Some), ..Self::default() };
        for (key, row) in entries {
            memory.put(key.clone(), Remembered { row: Some(row.clone()), fresh: true });
        }
        memory
    }

    /// That all of it goes.
    pub(in crate::store) fn end() -> Self {
        Self { ended: true, ..Self::default() }
    }

    pub(in crate::store) fn keys(&self) -> impl Iterator<Item = (&str, Option<&MemoryRow>)> {
        self.keys.iter().map(|(key, change)| (key.as_str(), change.row.as_ref()))
    }

    /// How many things change.
    pub(in crate::store) fn len(&self) -> usize {
        self.keys.len() + usize::from(self.ended || self.left.is_some())
    }

    /// What the keys that go weigh.
    pub(in crate::store) fn gone(&self) -> usize {
        self.gone
    }

    /// A key changes; what comes and goes without having been on disk leaves nothing behind.
    pub(in crate::store) fn put(&mut self, key: String, change: Remembered) {
        let mark = key.len() + MARK_BYTES;
        let earlier = self.keys.remove(&key);
        self.gone -= earlier.as_ref().filter(|earlier| earlier.row.is_none()).map_or(0, |_| mark);
        let fresh = earlier.map_or(change.fresh, |earlier| earlier.fresh);
        if change.row.is_none() {
            if fresh {
                return;
            }
            self.gone += mark;
        }
        self.keys.insert(key, Remembered { fresh, ..change });
    }

    /// Puts later changes over these.
    pub(in crate::store) fn absorb(&mut self, later: Self) {
        if later.ended {
            *self = later;
            return;
        }
        self.left = later.left.or(self.left.take());
        later.keys.into_iter().for_each(|(key, change)| self.put(key, change));
    }

    /// Writing it failed, and nobody can tell how much of it the disk has all the same.
    pub(in crate::store) fn note_failure(&mut self) {
        self.keys.values_mut().for_each(|change| change.fresh = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: &str) -> Option<MemoryRow> {
        Some(MemoryRow { value: value.as_bytes().into(), lasts: None })
    }

    fn put(memory: &mut Memory, key: &str, row: Option<MemoryRow>, fresh: bool) {
        memory.put(key.into(), Remembered { row, fresh });
    }

    #[test]
    fn what_comes_and_goes_before_it_is_written_leaves_nothing_and_the_rest_a_mark_that_counts() {
        let mut memory = Memory::default();
        put(&mut memory, "new", row("1"), true);
        put(&mut memory, "new", None, false);
        assert_eq!((memory.len(), memory.gone()), (0, 0));
        put(&mut memory, "old", None, false);
        put(&mut memory, "old", None, false);
        assert_eq!((memory.len(), memory.gone()), (1, 67));
        put(&mut memory, "old", row("2"), true);
        assert_eq!((memory.len(), memory.gone()), (1, 0));
        put(&mut memory, "old", None, false);
        assert_eq!((memory.len(), memory.gone()), (1, 67), "the disk has it");
    }

    #[test]
    fn after_a_failure_nobody_knows_what_the_disk_has() {
        let mut failed = Memory::default();
        put(&mut failed, "new", row("1"), true);
        failed.note_failure();
        let mut later = Memory::default();
        put(&mut later, "new", None, false);
        failed.absorb(later);
        assert_eq!((failed.len(), failed.gone()), (1, 67));
        failed.absorb(Memory::end());
        assert_eq!((failed.len(), failed.gone(), failed.ended), (1, 0, true));
        put(&mut failed, "new", row("2"), true);
        assert!(failed.ended && failed.keys().count() == 1, "a new memory under the same name");
    }
}

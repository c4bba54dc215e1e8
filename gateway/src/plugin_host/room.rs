//! Memory, tables and instances of one plugin.

use wasmtime::{ResourceLimiter, Result};

/// Entries of all tables together: functions that are called through pointers. Python has some thousands.
const TABLE_ENTRIES: usize = 100_000;
/// Core instances; a component of several languages needs a few, Python more than 20.
const INSTANCES: usize = 64;
const TABLES: usize = 64;
const MEMORIES: usize = 8;

/// Counts what a plugin has. A refused memory is no trap by itself: `memory.grow` gives -1, and most guests give up then.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    most: usize,
    entries: usize,
    /// Whether memory was refused since `begin`.
    refused: bool,
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        Self { bytes: 0, most, entries: 0, refused: false }
    }

    /// A call begins.
    pub(super) fn begin(&mut self) {
        self.refused = false;
    }

    /// Whether memory was refused since the call began.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// Bytes of all memories.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl ResourceLimiter for Room {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        if bytes > self.most {
            self.refused = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let entries = self.entries.saturating_add(desired.saturating_sub(current));
        if entries > TABLE_ENTRIES {
            self.refused = true;
            return Ok(false);
        }
        self.entries = entries;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_count_together() {
        let mut room = Room::new(100);
        assert!(room.memory_growing(0, 60, None).unwrap());
        assert!(!room.memory_growing(0, 60, None).unwrap());
        assert!(room.refused());
        room.begin();
        assert!(room.memory_growing(60, 100, None).unwrap());
        assert!(!room.refused() && room.bytes() == 100);
        assert!(!room.memory_growing(100, usize::MAX, None).unwrap());
        assert!(!room.table_growing(0, TABLE_ENTRIES + 1, None).unwrap());
    }
}

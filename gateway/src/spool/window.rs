//! The records that a lane's reader works on: without gaps, from the first that is not acknowledged on. Pure.

use std::collections::VecDeque;

use bytes::Bytes;

use super::lane::Item;

/// The most that a window holds: what may be under way, and the memory it takes.
const BYTES: usize = 2 * 1024 * 1024;
const RECORDS: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// The reader has it.
    Handed,
    /// The reader had it, and is to have it again.
    Again,
    /// Acknowledged or dropped; it only waits for those before it.
    Done,
}

struct Slot {
    item: Item,
    stage: Stage,
}

#[derive(Default)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    bytes: usize,
    /// The first that has not been handed out.
    unhanded: usize,
    /// The number behind it.
    end: u64,
    /// Records that it may hold.
    pub(super) most: usize,
}

impl Window {
    /// Empty, and what comes first has this number.
    pub(super) fn new(end: u64) -> Self {
        Self { end, most: RECORDS, ..Self::default() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < self.most && self.bytes < BYTES
    }

    pub(super) fn show(&mut self, item: Item) {
        self.end = item.number + 1;
        self.bytes += item.bytes.len();
        self.slots.push_back(Slot { item, stage: Stage::Waiting });
    }

    /// The first number that is not in it.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Nothing is left to show below `end`.
    pub(super) fn reach(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Whether the reader can use what is further back.
    pub(super) fn is_low(&self) -> bool {
        self.slots.len() < self.most.div_ceil(2) && self.bytes < BYTES / 2
    }

    /// What it lacks, in bytes; 0 when it has enough.
    pub(super) fn lacks(&self) -> usize {
        if self.is_low() { BYTES - self.bytes } else { 0 }
    }

    /// The next record for the reader below number `end`, unless it weighs more than `room`; and whether it had it before.
    pub(super) fn hand_out(&mut self, room: usize, end: u64) -> Option<(u64, Bytes, bool)> {
        while self.slots.get(self.unhanded).is_some_and(|slot| slot.stage == Stage::Done) {
            self.unhanded += 1;
        }
        let fits = |slot: &&mut Slot| slot.item.bytes.len() <= room && slot.item.number < end;
        let slot = self.slots.get_mut(self.unhanded).filter(fits)?;
        self.unhanded += 1;
        let again = std::mem::replace(&mut slot.stage, Stage::Handed) == Stage::Again;
        Some((slot.item.number, slot.item.bytes.clone(), again))
    }

    /// Hands out again what is not acknowledged.
    pub(super) fn rewind(&mut self) {
        let handed = self.slots.iter_mut().take(self.unhanded).filter(|slot| slot.stage == Stage::Handed);
        handed.for_each(|slot| slot.stage = Stage::Again);
        self.unhanded = 0;
    }

    /// How many the reader has.
    pub(super) fn in_flight(&self) -> u64 {
        self.slots.iter().take(self.unhanded).filter(|slot| slot.stage == Stage::Handed).count() as u64
    }

    /// Every record below is acknowledged or dropped.
    pub(super) fn acked(&self) -> u64 {
        self.slots.front().map_or(self.end, |slot| slot.item.number)
    }

    /// Since when the first record has waited.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.item.at)
    }

    /// Since when this one has waited.
    pub(super) fn since(&self, number: u64) -> Option<u64> {
        Some(self.slots.get(self.find(number)?)?.item.at)
    }

    /// Where a record is.
    pub(super) fn find(&self, number: u64) -> Option<usize> {
        self.slots.binary_search_by_key(&number, |slot| slot.item.number).ok()
    }

    /// The reader has it, or had it.
    pub(super) fn is_under_way(&self, at: usize) -> bool {
        matches!(self.slots[at].stage, Stage::Handed | Stage::Again)
    }

    pub(super) fn is_done(&self, at: usize) -> bool {
        self.slots[at].stage == Stage::Done
    }

    /// Where those are that are not done, of the first ones for which this holds.
    pub(super) fn while_first(&self, holds: impl Fn(&Item) -> bool) -> Vec<usize> {
        let first = self.slots.iter().take_while(|slot| holds(&slot.item)).enumerate();
        first.filter(|(_, slot)| slot.stage != Stage::Done).map(|(at, _)| at).collect()
    }

    /// A record is no longer of interest. Gives its number and its length.
    pub(super) fn finish(&mut self, at: usize) -> (u64, usize) {
        let slot = &mut self.slots[at];
        slot.stage = Stage::Done;
        let length = std::mem::take(&mut slot.item.bytes).len();
        self.bytes -= length;
        (slot.item.number, length)
    }

    /// Lets go of what is done and has nothing before it.
    pub(super) fn let_go(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.stage == Stage::Done) {
            self.slots.pop_front();
            self.unhanded = self.unhanded.saturating_sub(1);
        }
    }
}

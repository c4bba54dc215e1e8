//! One lane in memory: a window of records that the reader works on, and those that still wait for the disk.
//!
//! The window is without gaps, from the first record that is not acknowledged on. While nothing is behind it on disk,
//! what is appended goes straight into it; else it is filled up from the disk. What waits for the disk shares its bytes
//! with the window. Times are the spool's own, in milliseconds.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::weight;
use super::thrift::Waiting;
use crate::message::Receipt;

/// The most that a lane's window holds: what may be under way, and the memory it takes.
const WINDOW_BYTES: usize = 2 * 1024 * 1024;
const WINDOW_RECORDS: usize = 4096;
/// What is written at once, at most, unless one record weighs more.
const BATCH_BYTES: u64 = 1024 * 1024;

/// A record as it lies in memory or came from the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) number: u64,
    /// When it was appended.
    pub(super) at: u64,
    pub(super) bytes: Bytes,
}

/// An item that waits for the disk.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) item: Item,
    pub(super) receipt: Option<Receipt>,
}

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
pub(super) struct Lane {
    window: VecDeque<Slot>,
    window_bytes: usize,
    /// In the window, the first that has not been handed out.
    unhanded: usize,
    /// The number behind the window.
    read_end: u64,
    /// The number of the next record.
    next: u64,
    pending: VecDeque<Pending>,
    /// Somebody waits for one of them, or did.
    awaited: bool,
    /// The first of those that are being written.
    writing: Option<u64>,
    /// What the pending ones and those being written will take on disk.
    unwritten: u64,
    /// Records neither acknowledged nor dropped, and what they take on disk.
    queued: u64,
    queued_bytes: u64,
    /// The remote has kept one waiting for too long.
    pub(super) outage: bool,
    /// Records that the window may hold.
    pub(super) most: usize,
}

impl Lane {
    /// As it is on disk: the reader at `acked`, the next record's number, and what is between.
    pub(super) fn new(acked: u64, next: u64, queued: u64, queued_bytes: u64) -> Self {
        Self {
            read_end: acked,
            next,
            queued,
            queued_bytes,
            outage: queued > 0,
            most: WINDOW_RECORDS,
            ..Self::default()
        }
    }

    pub(super) fn append(&mut self, bytes: Bytes, at: u64, receipt: Option<Receipt>) {
        let item = Item { number: self.next, at, bytes };
        self.next += 1;
        self.queued += 1;
        self.queued_bytes += weight(item.bytes.len());
        self.unwritten += weight(item.bytes.len());
        self.awaited &= !self.pending.is_empty();
        self.awaited |= receipt.as_ref().is_some_and(Receipt::is_awaited);
        if self.read_end == item.number && self.has_room() {
            self.show(item.clone());
        }
        self.pending.push_back(Pending { item, receipt });
    }

    fn has_room(&self) -> bool {
        self.window.len() < self.most && self.window_bytes < WINDOW_BYTES
    }

    fn show(&mut self, item: Item) {
        self.read_end = item.number + 1;
        self.window_bytes += item.bytes.len();
        self.window.push_back(Slot { item, stage: Stage::Waiting });
    }

    /// The next record for the reader, unless it weighs more than `room`; and whether it had it before. With `written`,
    /// only what is on disk.
    pub(super) fn hand_out(&mut self, room: usize, written: bool) -> Option<(u64, Bytes, bool)> {
        while self.window.get(self.unhanded).is_some_and(|slot| slot.stage == Stage::Done) {
            self.unhanded += 1;
        }
        let end = if written { self.written_end() } else { self.next };
        let fits = |slot: &&mut Slot| slot.item.bytes.len() <= room && slot.item.number < end;
        let slot = self.window.get_mut(self.unhanded).filter(fits)?;
        self.unhanded += 1;
        let again = std::mem::replace(&mut slot.stage, Stage::Handed) == Stage::Again;
        Some((slot.item.number, slot.item.bytes.clone(), again))
    }

    /// Every record below is on disk, or need not be.
    fn written_end(&self) -> u64 {
        let pending = || self.pending.front().map(|pending| pending.item.number);
        self.writing.or_else(pending).unwrap_or(self.next)
    }

    /// Whether the reader can use what is further back.
    pub(super) fn is_low(&self) -> bool {
        self.window.len() < self.most.div_ceil(2) && self.window_bytes < WINDOW_BYTES / 2
    }

    /// What the window lacks, in bytes; 0 when it has enough.
    pub(super) fn lacks(&self) -> usize {
        if self.is_low() { WINDOW_BYTES - self.window_bytes } else { 0 }
    }

    /// The first number that is not in the window.
    pub(super) fn read_end(&self) -> u64 {
        self.read_end
    }

    /// The number of the next record.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes what was read from the disk, which goes up to `end`.
    pub(super) fn refill(&mut self, items: Vec<Item>, end: u64) {
        items.into_iter().for_each(|item| self.show(item));
        self.read_end = self.read_end.max(end);
    }

    /// Where the disk, which goes up to `log_end`, has no more: takes what waits for it.
    pub(super) fn refill_from_memory(&mut self, log_end: u64) {
        if self.read_end < log_end {
            return;
        }
        let at = self.pending.partition_point(|pending| pending.item.number < self.read_end);
        for at in at..self.pending.len() {
            if !self.has_room() {
                return;
            }
            self.show(self.pending[at].item.clone());
        }
        self.read_end = self.next;
    }

    /// Every record below is acknowledged or dropped.
    pub(super) fn acked(&self) -> u64 {
        self.window.front().map_or(self.read_end, |slot| slot.item.number)
    }

    /// Says whether the record was under way.
    pub(super) fn acknowledge(&mut self, number: u64) -> bool {
        let Ok(at) = self.window.binary_search_by_key(&number, |slot| slot.item.number) else { return false };
        let under_way = matches!(self.window[at].stage, Stage::Handed | Stage::Again);
        if under_way {
            self.finish(at);
            self.let_go();
        }
        under_way
    }

    /// The slot's record is no longer of interest, and whoever waits for it is told.
    fn finish(&mut self, at: usize) {
        let slot = &mut self.window[at];
        slot.stage = Stage::Done;
        let length = std::mem::take(&mut slot.item.bytes).len();
        let number = slot.item.number;
        self.window_bytes -= length;
        self.count_out(1, weight(length));
        if let Ok(at) = self.pending.binary_search_by_key(&number, |pending| pending.item.number) {
            self.pending[at].receipt.take().into_iter().for_each(Receipt::settle);
        }
    }

    /// Fewer are queued. Saturates, since what damage and drops cost is known by estimate alone.
    fn count_out(&mut self, records: u64, bytes: u64) {
        self.queued = self.queued.saturating_sub(records);
        self.queued_bytes = if self.queued == 0 { 0 } else { self.queued_bytes.saturating_sub(bytes) };
    }

    /// Lets go of what is done and has nothing before it.
    fn let_go(&mut self) {
        while self.window.front().is_some_and(|slot| slot.stage == Stage::Done) {
            self.window.pop_front();
            self.unhanded = self.unhanded.saturating_sub(1);
        }
        let acked = self.acked();
        while self.pending.front().is_some_and(|pending| pending.item.number < acked) {
            self.pop_pending();
        }
    }

    fn pop_pending(&mut self) -> Option<Pending> {
        let pending = self.pending.pop_front()?;
        self.unwritten -= weight(pending.item.bytes.len());
        Some(pending)
    }

    /// Hands out again what is not acknowledged.
    pub(super) fn rewind(&mut self) {
        let handed = self.window.iter_mut().take(self.unhanded).filter(|slot| slot.stage == Stage::Handed);
        handed.for_each(|slot| slot.stage = Stage::Again);
        self.unhanded = 0;
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.window.iter().take(self.unhanded).filter(|slot| slot.stage == Stage::Handed).count() as u64
    }

    pub(super) fn queued(&self) -> (u64, u64) {
        (self.queued, self.queued_bytes)
    }

    pub(super) fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// So many wait for the disk.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The same in full, if any do.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let (first, last) = (self.pending.front()?.item.at, self.pending.back()?.item.at);
        Some(Waiting { records: self.pending.len(), first, last, awaited: self.awaited })
    }

    /// Since when the first of them has waited.
    fn pending_since(&self) -> Option<u64> {
        self.pending.front().map(|pending| pending.item.at)
    }

    /// Since when the first record has waited, if it is in memory.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.window.front().map(|slot| slot.item.at)
    }

    /// Takes out what is to be written next, of `most` bytes unless the first weighs more. It counts as unwritten until [`written`](Self::written).
    pub(super) fn take_batch(&mut self, most: u64) -> Vec<Pending> {
        let count = self.next_batch(most).0;
        self.writing = self.pending.front().map(|pending| pending.item.number);
        self.pending.drain(..count).collect()
    }

    /// What it will take on disk, about: heads and footers come to it.
    pub(super) fn next_batch_bytes(&self, most: u64) -> u64 {
        self.next_batch(most).1
    }

    fn next_batch(&self, most: u64) -> (usize, u64) {
        let (mut count, mut bytes) = (0, 0);
        for pending in &self.pending {
            let weight = weight(pending.item.bytes.len());
            if count > 0 && bytes + weight > most.min(BATCH_BYTES) {
                break;
            }
            (count, bytes) = (count + 1, bytes + weight);
        }
        (count, bytes)
    }

    /// A batch is on disk, or dropped.
    pub(super) fn written(&mut self, batch: Vec<Pending>) {
        self.writing = None;
        for pending in batch {
            self.unwritten -= weight(pending.item.bytes.len());
            pending.receipt.into_iter().for_each(Receipt::settle);
        }
    }

    /// A batch is not on disk. What was acknowledged meanwhile need not be there any more.
    pub(super) fn give_back(&mut self, batch: Vec<Pending>) {
        self.writing = None;
        self.awaited |= batch.iter().any(|pending| pending.receipt.is_some());
        batch.into_iter().rev().for_each(|pending| self.pending.push_front(pending));
        self.let_go();
    }

    /// Drops a batch that was taken out. Gives their number.
    pub(super) fn drop_batch(&mut self, batch: Vec<Pending>) -> u64 {
        let dropped = batch.iter().map(|pending| self.drop_one(&pending.item)).sum();
        self.written(batch);
        self.let_go();
        dropped
    }

    /// Drops what has waited for the disk since before `cutoff`. Gives their number.
    pub(super) fn drop_unwritten(&mut self, cutoff: u64) -> u64 {
        let mut dropped = 0;
        while self.pending_since().is_some_and(|at| at < cutoff) {
            let Some(pending) = self.pop_pending() else { break };
            dropped += self.drop_one(&pending.item);
            pending.receipt.into_iter().for_each(Receipt::settle);
        }
        self.let_go();
        dropped
    }

    /// 1 unless it was done already.
    fn drop_one(&mut self, item: &Item) -> u64 {
        match self.window.binary_search_by_key(&item.number, |slot| slot.item.number) {
            Ok(at) if self.window[at].stage == Stage::Done => return 0,
            Ok(at) => self.finish(at),
            // It was acknowledged and let go, while it was being written.
            Err(_) if item.number < self.acked() => return 0,
            Err(_) => self.count_out(1, weight(item.bytes.len())),
        }
        1
    }

    /// Drops what has waited since before `cutoff`, as far as it is in the window. Gives their number.
    pub(super) fn expire(&mut self, cutoff: u64) -> u64 {
        let mut dropped = 0;
        for at in 0..self.window.len() {
            if self.window[at].item.at >= cutoff {
                break;
            }
            if self.window[at].stage != Stage::Done {
                self.finish(at);
                dropped += 1;
            }
        }
        self.let_go();
        dropped
    }

    /// The file that went up to `end` is gone; behind it there are `left` records of `bytes` in files. Gives the number of
    /// those that are lost with it.
    pub(super) fn drop_file(&mut self, end: u64, left: u64, bytes: u64) -> u64 {
        let before = self.queued;
        for at in 0..self.window.partition_point(|slot| slot.item.number < end) {
            if self.window[at].stage != Stage::Done {
                self.finish(at);
            }
        }
        self.let_go();
        if self.read_end <= end {
            self.read_end = end;
            let waiting = self.next - self.written_end().max(end);
            self.queued = (left + waiting).min(before);
            self.queued_bytes = bytes + self.unwritten;
        }
        before - self.queued
    }

    /// Damage took so many.
    pub(super) fn lost(&mut self, records: u64, bytes: u64) {
        self.count_out(records, bytes);
    }
}

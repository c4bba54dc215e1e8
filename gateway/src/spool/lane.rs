//! One lane in memory: the window that the reader works on, and the records that still wait for the disk.
//!
//! While nothing is behind the window on disk, what is appended goes straight into it; else it is filled up from the disk.
//! What waits for the disk shares its bytes with the window. Times are the spool's own, in milliseconds.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::weight;
use super::thrift::Waiting;
use super::window::Window;
use crate::message::Receipt;

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

#[derive(Default)]
pub(super) struct Lane {
    pub(super) window: Window,
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
}

impl Lane {
    /// As it is on disk: the reader at `acked`, the next record's number, and what is between.
    pub(super) fn new(acked: u64, next: u64, queued: u64, queued_bytes: u64) -> Self {
        let outage = queued > 0;
        Self { window: Window::new(acked), next, queued, queued_bytes, outage, ..Self::default() }
    }

    pub(super) fn append(&mut self, bytes: Bytes, at: u64, receipt: Option<Receipt>) {
        let item = Item { number: self.next, at, bytes };
        self.next += 1;
        self.queued += 1;
        self.queued_bytes += weight(item.bytes.len());
        self.unwritten += weight(item.bytes.len());
        self.awaited &= !self.pending.is_empty();
        self.awaited |= receipt.as_ref().is_some_and(Receipt::is_awaited);
        if self.window.end() == item.number && self.window.has_room() {
            self.window.show(item.clone());
        }
        self.pending.push_back(Pending { item, receipt });
    }

    /// The next record for the reader, unless it weighs more than `room`; and whether it had it before. With `written`,
    /// only what is on disk.
    pub(super) fn hand_out(&mut self, room: usize, written: bool) -> Option<(u64, Bytes, bool)> {
        let end = if written { self.written_end() } else { self.next };
        self.window.hand_out(room, end)
    }

    /// Every record below is on disk, or need not be.
    fn written_end(&self) -> u64 {
        let pending = || self.pending.front().map(|pending| pending.item.number);
        self.writing.or_else(pending).unwrap_or(self.next)
    }

    /// The number of the next record.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes what was read from the disk, which goes up to `end`.
    pub(super) fn refill(&mut self, items: Vec<Item>, end: u64) {
        items.into_iter().for_each(|item| self.window.show(item));
        self.window.reach(end);
    }

    /// Where the disk, which goes up to `log_end`, has no more: takes what waits for it.
    pub(super) fn refill_from_memory(&mut self, log_end: u64) {
        if self.window.end() < log_end {
            return;
        }
        let at = self.pending.partition_point(|pending| pending.item.number < self.window.end());
        for at in at..self.pending.len() {
            if !self.window.has_room() {
                return;
            }
            self.window.show(self.pending[at].item.clone());
        }
        self.window.reach(self.next);
    }

    /// Says whether the record was under way.
    pub(super) fn acknowledge(&mut self, number: u64) -> bool {
        let Some(at) = self.window.find(number) else { return false };
        let under_way = self.window.is_under_way(at);
        if under_way {
            self.finish(at);
            self.let_go();
        }
        under_way
    }

    /// A record of the window is no longer of interest, and whoever waits for it is told.
    fn finish(&mut self, at: usize) {
        let (number, length) = self.window.finish(at);
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
        self.window.let_go();
        let acked = self.window.acked();
        while self.pending.front().is_some_and(|pending| pending.item.number < acked) {
            self.pop_pending();
        }
    }

    fn pop_pending(&mut self) -> Option<Pending> {
        let pending = self.pending.pop_front()?;
        self.unwritten -= weight(pending.item.bytes.len());
        Some(pending)
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
        match self.window.find(item.number) {
            Some(at) if self.window.is_done(at) => return 0,
            Some(at) => self.finish(at),
            // It was acknowledged and let go, while it was being written.
            None if item.number < self.window.acked() => return 0,
            None => self.count_out(1, weight(item.bytes.len())),
        }
        1
    }

    /// Drops what has waited since before `cutoff`, as far as it is in the window. Gives their number.
    pub(super) fn expire(&mut self, cutoff: u64) -> u64 {
        let old = self.window.while_first(|item| item.at < cutoff);
        old.iter().for_each(|at| self.finish(*at));
        self.let_go();
        old.len() as u64
    }

    /// The file that went up to `end` is gone; behind it there are `left` records of `bytes` in files. Gives the number of
    /// those that are lost with it.
    pub(super) fn drop_file(&mut self, end: u64, left: u64, bytes: u64) -> u64 {
        let before = self.queued;
        let gone = self.window.while_first(|item| item.number < end);
        gone.into_iter().for_each(|at| self.finish(at));
        self.let_go();
        if self.window.end() <= end {
            self.window.reach(end);
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

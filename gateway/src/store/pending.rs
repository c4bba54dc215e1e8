//! Changes that wait to be written, the later one of each thing in the place of the earlier. Pure.
//!
//! Bounded by what it mirrors, also while the disk fails: there is one entry for each retained topic, each session and
//! each message that waits for a client, all of which have limits of their own, and one for each thing on disk that has
//! gone. What comes and goes without having been on disk leaves nothing behind. Neither does what a transaction held that
//! failed, though nobody can tell whether the disk has it: the next one takes all rows away whose numbers have never been
//! written for sure ([`Numbers`]). Only a retained topic, which has no number, leaves a mark until the disk is well.
//! `batch.rs` is one transaction, `memories.rs` is about plugins.

mod batch;
mod held;
mod memories;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

pub(super) use batch::{Batch, Kept, Numbers, Queued, Session};
pub(super) use held::{Hold, Holds};
pub(super) use memories::{Memory, Remembered};

use super::rows::{AuditRow, HeldRow, QueuedRow, RemoteRow, SessionRow, SubscriptionRow};
use crate::message::{Message, Note, Publication, Receipt, Topic, TopicFilter};

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// May be written.
    ready: Batch,
    /// A group is open.
    grouping: bool,
    /// What is in it, if anything is by now.
    group: Option<Batch>,
    /// Something is being written.
    writing: bool,
    written: Numbers,
    /// Sessions that have not ended. What came from another need not be noted.
    sessions: HashSet<u64>,
}

impl Pending {
    /// Nothing is pending; what was found on disk has these numbers, and these sessions are there.
    pub(super) fn new(written: Numbers, sessions: HashSet<u64>) -> Self {
        Self { written, sessions, ..Self::default() }
    }

    pub(super) fn open_group(&mut self) {
        self.grouping = true;
    }

    /// Says whether anything was in it.
    pub(super) fn close_group(&mut self) -> bool {
        self.grouping = false;
        self.group.take().map(|group| self.ready.absorb(group)).is_some()
    }

    /// By when something is wanted that may be written.
    pub(super) fn due(&self) -> Option<Instant> {
        self.ready.due.filter(|_| !self.ready.is_empty())
    }

    /// All that may be written, to be followed by [`written`](Self::written) or [`give_back`](Self::give_back).
    pub(super) fn take(&mut self) -> Batch {
        self.writing = true;
        std::mem::take(&mut self.ready)
    }

    /// It is on disk.
    pub(super) fn written(&mut self, batch: &Batch) {
        self.writing = false;
        let (before, now) = (self.written, batch.numbers());
        self.written = Numbers {
            session: before.session.max(now.session),
            queued: before.queued.max(now.queued),
            held: before.held.max(now.held),
        };
    }

    /// Takes back what could not be written, below what has changed since.
    pub(super) fn give_back(&mut self, mut batch: Batch, due: Instant) {
        self.writing = false;
        batch.note_failure(self.written);
        batch.absorb(std::mem::take(&mut self.ready));
        batch.forget_doubted();
        batch.due = Some(due);
        self.ready = batch;
    }

    /// Where a change goes that belongs to a group, if there is one.
    fn grouped(&mut self, due: Instant) -> &mut Batch {
        let batch = if self.grouping { self.group.get_or_insert_default() } else { &mut self.ready };
        batch.want(due);
        batch
    }

    fn ready(&mut self, due: Instant) -> &mut Batch {
        self.ready.want(due);
        &mut self.ready
    }

    /// The batch that is to write a queued message.
    fn with(&mut self, number: u64) -> Option<&mut Batch> {
        let holds = |batch: &&mut Batch| matches!(batch.queued.get(&number), Some(Queued::Put(..)));
        self.group.iter_mut().chain([&mut self.ready]).find(holds)
    }

    pub(super) fn queue(&mut self, number: u64, row: QueuedRow, receipts: Vec<Receipt>, due: Instant) {
        self.grouped(due).queued.insert(number, Queued::Put(row, receipts));
    }

    pub(super) fn forget(&mut self, number: u64, due: Instant) {
        let never_written = number > self.written.queued;
        let Some(batch) = self.with(number) else {
            self.ready(due).queued.insert(number, Queued::Gone);
            return;
        };
        if let Some(Queued::Put(_, receipts)) = batch.queued.insert(number, Queued::Gone) {
            // The client has it, and that is safer than any disk.
            receipts.into_iter().for_each(Receipt::settle);
        }
        if never_written {
            batch.queued.remove(&number);
        }
    }

    pub(super) fn receipts(&mut self, number: u64) -> Vec<Receipt> {
        match self.with(number).and_then(|batch| batch.queued.get(&number)) {
            Some(Queued::Put(_, receipts)) => receipts.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn sync(&mut self, receipt: Receipt, due: Instant) {
        if self.ready.is_empty() && !self.writing && self.group.as_ref().is_none_or(Batch::is_empty) {
            return receipt.settle();
        }
        self.grouped(due).receipts.push(receipt);
    }

    pub(super) fn release(&mut self, number: u64, receipt: Receipt, due: Instant) {
        match self.with(number) {
            Some(batch) => {
                if let Some(Queued::Put(row, _)) = batch.queued.get_mut(&number) {
                    row.released = true;
                }
                batch.want(due);
                batch.receipts.push(receipt);
            }
            None => {
                let batch = self.ready(due);
                batch.queued.insert(number, Queued::Released);
                batch.receipts.push(receipt);
            }
        }
    }

    /// `fresh` says that the topic had none.
    pub(super) fn retain(&mut self, message: &Arc<Message>, fresh: bool, receipt: Option<Receipt>, due: Instant) {
        let batch = self.grouped(due);
        batch.retain(message.topic.clone(), Kept { message: Some(Arc::clone(message)), fresh });
        batch.receipts.extend(receipt);
    }

    pub(super) fn clear_retained(&mut self, topic: Topic, receipt: Option<Receipt>, due: Instant) {
        let batch = self.grouped(due);
        batch.retain(topic, Kept { message: None, fresh: false });
        batch.receipts.extend(receipt);
    }

    pub(super) fn receive(&mut self, publication: Publication, in_use: bool, receipt: Receipt, due: Instant) {
        let lives = self.sessions.contains(&publication.session);
        let batch = self.grouped(due);
        if lives {
            let session = batch.sessions.entry(publication.session).or_default();
            session.received.insert(publication.packet_id, in_use);
        }
        batch.receipts.push(receipt);
    }

    pub(super) fn begin_session(&mut self, number: u64, row: SessionRow, due: Instant) {
        let session = Session { row: Some(row), fresh: true, ..Session::default() };
        self.sessions.insert(number);
        self.ready(due).sessions.insert(number, session);
    }

    pub(super) fn update_session(&mut self, number: u64, row: SessionRow, due: Instant) {
        self.ready(due).sessions.entry(number).or_default().row = Some(row);
    }

    pub(super) fn begin_remote(&mut self, number: u64, row: RemoteRow, due: Instant) {
        let session = Session { remote: Some(row), fresh: true, ..Session::default() };
        self.sessions.insert(number);
        self.ready(due).sessions.insert(number, session);
    }

    pub(super) fn update_remote(&mut self, number: u64, row: RemoteRow, due: Instant) {
        self.ready(due).sessions.entry(number).or_default().remote = Some(row);
    }

    pub(super) fn end_session(&mut self, number: u64, due: Instant) {
        self.sessions.remove(&number);
        // Or what it received would be noted behind its end.
        self.group.iter_mut().for_each(|group| drop(group.sessions.remove(&number)));
        self.ready(due).end_session(number);
    }

    pub(super) fn subscribe(
        &mut self,
        number: u64,
        name: TopicFilter,
        row: Option<SubscriptionRow>,
        receipt: Receipt,
        due: Instant,
    ) {
        let batch = self.ready(due);
        batch.sessions.entry(number).or_default().subscriptions.insert(name, row);
        batch.receipts.push(receipt);
    }

    /// Holds a message, together with the note of its publication where there is one.
    pub(super) fn hold(&mut self, number: u64, row: HeldRow, receipt: Option<Receipt>, due: Instant) {
        let batch = self.grouped(due);
        batch.held.0.insert(number, Hold::Put(row));
        if let Some(receipt) = receipt {
            batch.receipts.push(receipt.clone());
            receipt.end(|note, receipt| self.note(note, receipt, due));
        }
    }

    pub(super) fn set_apart(&mut self, number: u64, due: Instant) {
        let batch = self.group.as_mut().filter(|group| group.held.0.contains_key(&number));
        let batch = batch.unwrap_or(&mut self.ready);
        batch.want(due);
        batch.held.apart(number);
    }

    /// Notes what a message leaves to be noted.
    pub(super) fn note(&mut self, note: Note, receipt: Receipt, due: Instant) {
        match note {
            Note::Publication(publication) => self.receive(publication, true, receipt, due),
            Note::Held(number) => {
                let known = number <= self.written.held;
                let batch = self.grouped(due);
                batch.held.end(number, known);
                // Nobody waits for that.
                receipt.settle();
            }
        }
    }

    pub(super) fn audit(&mut self, number: u64, row: AuditRow, due: Instant) {
        let batch = self.ready(due);
        batch.audit.insert(number, row);
        batch.bound_audit();
    }

    /// What is to be written of a plugin's memory.
    pub(super) fn memory(&mut self, owner: &Arc<str>, due: Instant) -> &mut Memory {
        self.ready(due).memories.entry(Arc::clone(owner)).or_default()
    }

    /// What the keys of a plugin weigh that are to go from the disk.
    pub(super) fn gone(&self, owner: &str) -> usize {
        self.ready.memories.get(owner).map_or(0, Memory::gone)
    }
}

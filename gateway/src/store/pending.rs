//! Changes that wait to be written, the later one of each thing in the place of the earlier. Pure.
//!
//! Bounded by what it mirrors: there is one entry for each retained topic, each session, each message that waits for a
//! client, all of which have limits of their own, and one for each thing of these that has gone since the last
//! transaction.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use super::rows::{QueuedRow, SessionRow, SubscriptionRow};
use crate::message::{Message, Publication, Receipt, Topic, TopicFilter};

/// What becomes of a queued message.
#[derive(Debug)]
pub(super) enum Queued {
    /// It is kept; its own receipts can be settled without the disk when the client acknowledges it first.
    Put(QueuedRow, Vec<Receipt>),
    /// It is on disk already, and its client has received it.
    Released,
    /// It goes.
    Gone,
}

/// What becomes of a session.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The session ends: all of it goes.
    pub(super) ended: bool,
    pub(super) row: Option<SessionRow>,
    /// `None`: the subscription goes.
    pub(super) subscriptions: HashMap<TopicFilter, Option<SubscriptionRow>>,
    /// Whether the identifier is in use.
    pub(super) received: HashMap<NonZeroU16, bool>,
}

/// What is written in one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// `None`: what the topic had goes.
    pub(super) retained: HashMap<Topic, Option<Arc<Message>>>,
    pub(super) sessions: HashMap<u64, Session>,
    pub(super) queued: HashMap<u64, Queued>,
    /// Settled when all of it is on disk.
    receipts: Vec<Receipt>,
    /// Writing it failed, and nobody can tell how much of it the disk has all the same.
    tried: bool,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.retained.is_empty() && self.sessions.is_empty() && self.queued.is_empty() && self.receipts.is_empty()
    }

    /// How many things change.
    pub(super) fn len(&self) -> usize {
        let parts = |session: &Session| session.subscriptions.len() + session.received.len() + 1;
        self.retained.len() + self.queued.len() + self.sessions.values().map(parts).sum::<usize>()
    }

    /// Puts later changes over these.
    pub(super) fn absorb(&mut self, later: Self) {
        self.retained.extend(later.retained);
        for (number, session) in later.sessions {
            let own = self.sessions.entry(number).or_default();
            if session.ended {
                *own = session;
            } else {
                own.row = session.row.or(own.row.take());
                own.subscriptions.extend(session.subscriptions);
                own.received.extend(session.received);
            }
        }
        for (number, change) in later.queued {
            match (self.queued.get_mut(&number), change) {
                (Some(Queued::Put(row, _)), Queued::Released) => row.released = true,
                // It may be on disk by now, so that it goes is kept; but nobody need wait for it any more.
                (Some(own), Queued::Gone) => {
                    if let Queued::Put(_, receipts) = std::mem::replace(own, Queued::Gone) {
                        receipts.into_iter().for_each(Receipt::settle);
                    }
                }
                (_, change) => {
                    self.queued.insert(number, change);
                }
            }
        }
        self.receipts.extend(later.receipts);
    }

    /// It is on disk.
    pub(super) fn settle(self) {
        let queued = self.queued.into_values().filter_map(|change| match change {
            Queued::Put(_, receipts) => Some(receipts),
            Queued::Released | Queued::Gone => None,
        });
        queued.flatten().chain(self.receipts).for_each(Receipt::settle);
    }
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// May be written.
    ready: Batch,
    /// A group that is not complete yet.
    group: Option<Batch>,
    /// By when what is here is to be written.
    due: Option<Instant>,
}

impl Pending {
    pub(super) fn open_group(&mut self) {
        self.group.get_or_insert_default();
    }

    /// Says whether there is something to be written.
    pub(super) fn close_group(&mut self) -> bool {
        let Some(group) = self.group.take().filter(|group| !group.is_empty()) else { return false };
        self.ready.absorb(group);
        true
    }

    /// Notes by when it is wanted. Says whether that is sooner than before.
    pub(super) fn note_due(&mut self, due: Instant) -> bool {
        let sooner = self.due.is_none_or(|earlier| due < earlier);
        if sooner {
            self.due = Some(due);
        }
        sooner
    }

    /// By when something is wanted that may be written.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.ready.is_empty())
    }

    /// All that may be written.
    pub(super) fn take(&mut self) -> Batch {
        // What the group holds is as urgent as it was.
        self.due = self.due.filter(|_| self.group.as_ref().is_some_and(|group| !group.is_empty()));
        std::mem::take(&mut self.ready)
    }

    /// Takes back what could not be written, below what has changed since.
    pub(super) fn give_back(&mut self, mut batch: Batch) {
        batch.tried = true;
        batch.absorb(std::mem::take(&mut self.ready));
        self.ready = batch;
        self.note_due(Instant::now());
    }

    /// Where a change goes that belongs to a group, if there is one.
    fn grouped(&mut self) -> &mut Batch {
        self.group.as_mut().unwrap_or(&mut self.ready)
    }

    pub(super) fn queue(&mut self, number: u64, row: QueuedRow, receipts: Vec<Receipt>) {
        self.grouped().queued.insert(number, Queued::Put(row, receipts));
    }

    pub(super) fn forget(&mut self, number: u64) {
        let known = self.grouped().queued.contains_key(&number);
        let batch = if known { self.grouped() } else { &mut self.ready };
        let never_written = known || !batch.tried;
        match batch.queued.insert(number, Queued::Gone) {
            Some(Queued::Put(_, receipts)) => {
                if never_written {
                    batch.queued.remove(&number);
                }
                // The client has it, and that is safer than any disk.
                receipts.into_iter().for_each(Receipt::settle);
            }
            Some(Queued::Released | Queued::Gone) | None => {}
        }
    }

    pub(super) fn receipts(&self, number: u64) -> Vec<Receipt> {
        let queued = self.group.iter().chain([&self.ready]).find_map(|batch| batch.queued.get(&number));
        if let Some(Queued::Put(_, receipts)) = queued { receipts.clone() } else { Vec::new() }
    }

    pub(super) fn sync(&mut self, receipt: Receipt) {
        self.ready.receipts.push(receipt);
    }

    pub(super) fn release(&mut self, number: u64, receipt: Receipt) {
        for batch in self.group.iter_mut().chain([&mut self.ready]) {
            if let Some(Queued::Put(row, _)) = batch.queued.get_mut(&number) {
                row.released = true;
                batch.receipts.push(receipt);
                return;
            }
        }
        self.ready.queued.insert(number, Queued::Released);
        self.ready.receipts.push(receipt);
    }

    pub(super) fn retain(&mut self, topic: Topic, message: Option<Arc<Message>>, receipt: Option<Receipt>) {
        let batch = self.grouped();
        batch.retained.insert(topic, message);
        batch.receipts.extend(receipt);
    }

    pub(super) fn receive(&mut self, publication: Publication, in_use: bool, receipt: Receipt) {
        let batch = if in_use { self.grouped() } else { &mut self.ready };
        let session = batch.sessions.entry(publication.session).or_default();
        session.received.insert(publication.packet_id, in_use);
        batch.receipts.push(receipt);
    }

    pub(super) fn session(&mut self, number: u64) -> &mut Session {
        self.ready.sessions.entry(number).or_default()
    }

    pub(super) fn end_session(&mut self, number: u64, receipt: Option<Receipt>) {
        *self.session(number) = Session { ended: true, ..Session::default() };
        self.ready.receipts.extend(receipt);
    }

    pub(super) fn subscribe(&mut self, number: u64, name: TopicFilter, row: Option<SubscriptionRow>, receipt: Receipt) {
        self.session(number).subscriptions.insert(name, row);
        self.ready.receipts.push(receipt);
    }
}

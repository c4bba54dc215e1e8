//! What is written in one transaction.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use super::{Hold, Holds, Memory};
use crate::message::{Message, Receipt, Topic, TopicFilter};
use crate::store::rows::{AuditRow, AuditSurplus, QueuedRow, RemoteRow, SessionRow, SubscriptionRow};

/// What becomes of a queued message.
#[derive(Debug)]
pub(in crate::store) enum Queued {
    /// It is kept; its own receipts can be settled without the disk when the client acknowledges it first.
    Put(QueuedRow, Vec<Receipt>),
    /// It is on disk already, and its client has received it.
    Released,
    /// It goes.
    Gone,
}

/// What becomes of a topic's retained message.
#[derive(Debug)]
pub(in crate::store) struct Kept {
    /// `None`: what the topic had goes.
    pub(in crate::store) message: Option<Arc<Message>>,
    /// The disk has nothing of the topic.
    pub(in crate::store) fresh: bool,
}

/// What becomes of a session.
#[derive(Debug, Default)]
pub(in crate::store) struct Session {
    /// The session ends: all of it goes.
    pub(in crate::store) ended: bool,
    pub(in crate::store) row: Option<SessionRow>,
    /// It is one at a remote.
    pub(in crate::store) remote: Option<RemoteRow>,
    /// `None`: the subscription goes.
    pub(in crate::store) subscriptions: HashMap<TopicFilter, Option<SubscriptionRow>>,
    /// Whether the identifier is in use.
    pub(in crate::store) received: HashMap<NonZeroU16, bool>,
    /// The disk has nothing of the session.
    pub(in crate::store) fresh: bool,
}

/// The highest numbers of rows that the disk is known to have. Numbers are never given twice.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::store) struct Numbers {
    pub(in crate::store) session: u64,
    pub(in crate::store) queued: u64,
    pub(in crate::store) held: u64,
}

/// What is written in one transaction.
#[derive(Debug, Default)]
pub(in crate::store) struct Batch {
    pub(in crate::store) retained: HashMap<Topic, Kept>,
    pub(in crate::store) sessions: HashMap<u64, Session>,
    pub(in crate::store) queued: HashMap<u64, Queued>,
    pub(in crate::store) held: Holds,
    /// By the plugins' names.
    pub(in crate::store) memories: HashMap<Arc<str>, Memory>,
    /// By their numbers.
    pub(in crate::store) audit: BTreeMap<u64, AuditRow>,
    /// A transaction failed: what the disk has above these goes first.
    pub(in crate::store) doubted: Option<Numbers>,
    /// Settled when all of it is on disk.
    pub(super) receipts: Vec<Receipt>,
    /// By when it is to be written.
    pub(super) due: Option<Instant>,
}

impl Batch {
    /// A change follows that is wanted by then.
    pub(super) fn want(&mut self, due: Instant) {
        // What an empty batch was wanted for has gone.
        let earlier = self.due.filter(|_| !self.is_empty());
        self.due = Some(earlier.map_or(due, |earlier| earlier.min(due)));
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        let nothing = self.retained.is_empty() && self.sessions.is_empty() && self.queued.is_empty();
        let nothing = nothing && self.held.0.is_empty() && self.memories.is_empty() && self.audit.is_empty();
        nothing && self.doubted.is_none() && self.receipts.is_empty()
    }

    /// How many things change.
    pub(in crate::store) fn len(&self) -> usize {
        let parts = |session: &Session| session.subscriptions.len() + session.received.len() + 1;
        let memories = self.held.0.len() + self.memories.values().map(Memory::len).sum::<usize>();
        self.retained.len()
            + self.queued.len()
            + self.audit.len()
            + self.sessions.values().map(parts).sum::<usize>()
            + memories
    }

    /// Puts later changes over these.
    pub(in crate::store) fn absorb(&mut self, later: Self) {
        if let Some(due) = later.due {
            self.want(due);
        }
        for (topic, kept) in later.retained {
            self.retain(topic, kept);
        }
        for (number, session) in later.sessions {
            if session.ended {
                self.end_session(number);
            } else {
                let own = self.sessions.entry(number).or_default();
                own.fresh |= session.fresh;
                own.row = session.row.or(own.row.take());
                own.remote = session.remote.or(own.remote.take());
                own.subscriptions.extend(session.subscriptions);
                own.received.extend(session.received);
            }
        }
        for (number, change) in later.queued {
            match (self.queued.get_mut(&number), change) {
                (Some(Queued::Put(row, _)), Queued::Released) => row.released = true,
                // It may be on disk by now, so that it goes is kept. Whoever waited for it waits for that: it may have
                // gone to another session, which is in here too.
                (Some(own), Queued::Gone) => {
                    if let Queued::Put(_, receipts) = std::mem::replace(own, Queued::Gone) {
                        self.receipts.extend(receipts);
                    }
                }
                (_, change) => {
                    self.queued.insert(number, change);
                }
            }
        }
        self.held.absorb(later.held);
        for (owner, memory) in later.memories {
            self.memories.entry(owner).or_default().absorb(memory);
        }
        self.audit.extend(later.audit);
        self.bound_audit();
        self.receipts.extend(later.receipts);
    }

    /// While the disk fails, the oldest go as they go from the disk.
    pub(super) fn bound_audit(&mut self) {
        let mut surplus = AuditSurplus::of(self.audit.values());
        self.audit.retain(|_, row| surplus.keeps(row));
    }

    pub(in crate::store) fn retain(&mut self, topic: Topic, kept: Kept) {
        let fresh = self.retained.get(&topic).map_or(kept.fresh, |earlier| earlier.fresh);
        if fresh && kept.message.is_none() {
            self.retained.remove(&topic);
        } else {
            self.retained.insert(topic, Kept { fresh, ..kept });
        }
    }

    pub(super) fn end_session(&mut self, number: u64) {
        if self.sessions.remove(&number).is_none_or(|session| !session.fresh) {
            self.sessions.insert(number, Session { ended: true, ..Session::default() });
        }
    }

    /// Writing it failed, and nobody can tell how much of it the disk has all the same.
    pub(super) fn note_failure(&mut self, written: Numbers) {
        self.doubted = Some(written);
        self.retained.values_mut().for_each(|kept| kept.fresh = false);
        self.sessions.iter_mut().for_each(|(number, session)| session.fresh &= *number > written.session);
        self.memories.values_mut().for_each(Memory::note_failure);
        // Those who wait are sent away in the end; what they waited with must not pile up.
        let (awaited, given_up): (Vec<_>, Vec<_>) = self.receipts.drain(..).partition(Receipt::is_awaited);
        self.receipts = awaited;
        given_up.into_iter().for_each(Receipt::settle);
    }

    /// What goes and is doubted goes with all that is.
    pub(super) fn forget_doubted(&mut self) {
        let Some(written) = self.doubted else { return };
        self.queued.retain(|number, change| *number <= written.queued || !matches!(change, Queued::Gone));
        self.held.0.retain(|number, change| *number <= written.held || !matches!(change, Hold::Gone));
    }

    /// The highest numbers in it.
    pub(super) fn numbers(&self) -> Numbers {
        let highest = |numbers: &mut dyn Iterator<Item = &u64>| numbers.copied().max().unwrap_or(0);
        Numbers {
            session: highest(&mut self.sessions.keys()),
            queued: highest(&mut self.queued.keys()),
            held: highest(&mut self.held.0.keys()),
        }
    }

    /// It is on disk.
    pub(in crate::store) fn settle(self) {
        let queued = self.queued.into_values().filter_map(|change| match change {
            Queued::Put(_, receipts) => Some(receipts),
            Queued::Released | Queued::Gone => None,
        });
        queued.flatten().chain(self.receipts).for_each(Receipt::settle);
    }
}

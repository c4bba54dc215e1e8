//! What waits for one client: a bounded queue between the hub, which never waits, and the client's connection.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::access::Access;
use super::budget::{Purse, Room};
use super::keeper::Keeper;
use super::rights::Rights;
use super::routed::Routed;
use super::share::Shared;
use super::stats::Drop;
use crate::message::{Awaited, Promise, QoS, Receipt};

/// One message for one client, as its subscription wants it.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The message.
    pub(super) routed: Arc<Routed>,
    /// The lower of the publisher's and the subscription's.
    pub(super) qos: QoS,
    /// The retain flag to send.
    pub(super) retain: bool,
    /// The subscription identifier to send, for MQTT 5.
    pub(super) subscription_id: Option<NonZeroU32>,
    /// The shared subscription that it came by.
    pub(super) share: Option<Arc<Shared>>,
    /// What it takes up; none before it is queued.
    pub(super) room: Option<Room>,
}

/// A delivery that is made out to its client.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) delivery: Delivery,
    /// Set for QoS 1 and 2. The same before a restart and after.
    pub(super) packet_id: Option<NonZeroU16>,
    /// Where the store has it.
    pub(super) row: Option<u64>,
    /// What must be on disk before it may be sent.
    pub(super) gate: Option<Awaited>,
    /// It may have been sent before the restart.
    pub(super) again: bool,
}

impl Parcel {
    /// A QoS 2 message whose handshake may have begun before a restart. It goes on to its end with this client, whatever
    /// becomes of the message meanwhile: else the client would hold the identifier for ever (MQTT 5.0, section 4.3.3).
    pub(super) fn may_have_begun(&self) -> bool {
        self.again && self.delivery.qos == QoS::ExactlyOnce
    }

    /// Whether another member of its group could have it instead.
    pub(super) fn is_to_share(&self) -> bool {
        self.delivery.share.is_some() && !self.may_have_begun()
    }

    /// Whether it may be sent.
    pub(super) fn is_safe(&self) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.promise() == Promise::Kept)
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Parcel>,
    bytes: usize,
    closed: bool,
    offline: bool,
    last_id: u16,
    keeper: Option<Keeper>,
}

impl Queue {
    /// Packet identifiers in turn. One that is still in flight after 65,535 others holds up its successor.
    fn next_id(&mut self) -> NonZeroU16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        NonZeroU16::new(self.last_id).unwrap_or(NonZeroU16::MIN)
    }

    fn make_out(&mut self, delivery: Delivery, receipts: &[Receipt]) -> Parcel {
        let mut parcel = Parcel { delivery, packet_id: None, row: None, gate: None, again: false };
        if parcel.delivery.qos != QoS::AtMostOnce {
            let packet_id = self.next_id();
            parcel.packet_id = Some(packet_id);
            if let Some(keeper) = &self.keeper {
                let (row, gate) = keeper.keep(&parcel.delivery, packet_id, receipts, !self.offline);
                (parcel.row, parcel.gate) = (Some(row), gate);
            }
        }
        parcel
    }
}

/// The queue of one session. Policy when full: the newest is turned away, and whoever brought it counts it. QoS 0
/// messages do not wait for a client that is away.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// Told when the queue was empty and no longer is.
    pub(super) filled: Arc<Notify>,
    max_messages: usize,
    pub(super) max_bytes: usize,
    /// The client's part of what all may hold.
    pub(super) purse: Arc<Purse>,
    /// The client id, for no-local.
    pub(super) client: Arc<str>,
    /// Whose session it is.
    pub(super) owner: OnceLock<Arc<Access>>,
}

/// Why a queue did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is full.
    Full,
    /// All queues together hold as much as they may.
    AllFull,
    /// The client is away, and this message does not wait for it.
    Away,
    /// The session has ended; its subscriptions can go.
    Ended,
    /// The client has no right to it.
    NotAllowed,
}

impl NotTaken {
    /// What to count it as; nothing where nobody was there to get it.
    pub(super) fn reason(self) -> Option<Drop> {
        match self {
            Self::Full => Some(Drop::QueueFull),
            Self::AllFull => Some(Drop::AllQueuesFull),
            Self::Away => Some(Drop::ClientAway),
            Self::Ended | Self::NotAllowed => None,
        }
    }
}

impl Outbox {
    pub(super) fn new(client: Arc<str>, max_messages: usize, max_bytes: usize, purse: Arc<Purse>) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Arc::default(),
            max_messages,
            max_bytes,
            purse,
            client,
            owner: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what has QoS 1 or 2 is kept over a restart.
    pub(super) fn keep(&self, keeper: Keeper) {
        self.lock().keeper = Some(keeper);
    }

    /// Queues a message. Never waits. For a client that is away only if `away_too`, and never with QoS 0. What has to
    /// be kept takes its part of the receipts.
    pub(super) fn push(&self, mut delivery: Delivery, away_too: bool, receipts: &[Receipt]) -> Result<(), NotTaken> {
        let size = delivery.routed.size();
        let mut queue = self.lock();
        if queue.closed {
            return Err(NotTaken::Ended);
        }
        if queue.offline && (!away_too || delivery.qos == QoS::AtMostOnce) {
            return Err(NotTaken::Away);
        }
        if queue.waiting.len() >= self.max_messages || queue.bytes + size > self.max_bytes {
            return Err(NotTaken::Full);
        }
        delivery.room = Some(self.purse.take(size).ok_or(NotTaken::AllFull)?);
        let was_empty = queue.waiting.is_empty();
        queue.bytes += size;
        let parcel = queue.make_out(delivery, receipts);
        queue.waiting.push_back(parcel);
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Makes a delivery out to the client that does not wait in this queue.
    pub(super) fn make_out(&self, delivery: Delivery) -> Parcel {
        self.lock().make_out(delivery, &[])
    }

    /// Puts back what waited before a restart.
    pub(super) fn restore(&self, mut parcel: Parcel) {
        parcel.delivery.room = Some(self.purse.take_anyway(parcel.delivery.routed.size()));
        let mut queue = self.lock();
        queue.last_id = parcel.packet_id.map_or(queue.last_id, NonZeroU16::get);
        queue.bytes += parcel.delivery.routed.size();
        queue.waiting.push_back(parcel);
    }

    /// Counts packet identifiers on from this one.
    pub(super) fn go_on_after(&self, id: NonZeroU16) {
        self.lock().last_id = id.get();
    }

    /// Takes all messages that came by shared subscriptions.
    pub(super) fn take_shared(&self) -> Vec<Parcel> {
        let mut queue = self.lock();
        let (shared, own): (VecDeque<_>, VecDeque<_>) = queue.waiting.drain(..).partition(Parcel::is_to_share);
        queue.waiting = own;
        queue.bytes = queue.bytes.saturating_sub(shared.iter().map(|parcel| parcel.delivery.routed.size()).sum());
        shared.into()
    }

    /// What the client may do now. Nothing, as long as it is nobody's.
    pub(super) fn rights(&self) -> Rights {
        self.owner.get().map_or(Rights::NONE, |owner| owner.rights())
    }

    /// Takes out what `may` says no to.
    pub(super) fn take_unless(&self, may: impl Fn(&Parcel) -> bool) -> Vec<Parcel> {
        let mut queue = self.lock();
        let (kept, taken): (VecDeque<_>, VecDeque<_>) = queue.waiting.drain(..).partition(may);
        queue.waiting = kept;
        queue.bytes = queue.waiting.iter().map(|parcel| parcel.delivery.routed.size()).sum();
        taken.into()
    }

    /// Takes the oldest message.
    pub(super) fn pop(&self) -> Option<Parcel> {
        let mut queue = self.lock();
        let Some(parcel) = queue.waiting.pop_front() else {
            self.purse.settle();
            return None;
        };
        queue.bytes = queue.bytes.saturating_sub(parcel.delivery.routed.size());
        Some(parcel)
    }

    /// Says whether the client is there. While it is away, only QoS 1 and 2 are queued.
    pub(super) fn set_online(&self, online: bool) {
        self.lock().offline = !online;
        self.purse.settle();
    }

    /// Ends it: what waits is let go, what comes is turned away. Returns what waited.
    pub(super) fn close(&self) -> VecDeque<Parcel> {
        let mut queue = self.lock();
        queue.closed = true;
        queue.bytes = 0;
        std::mem::take(&mut queue.waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// How many messages wait, and their bytes.
    pub(super) fn load(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.waiting.len(), queue.bytes)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

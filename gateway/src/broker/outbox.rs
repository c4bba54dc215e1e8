//! What waits for one client: a bounded queue between the hub, which never waits, and the client's connection.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::routed::Routed;
use super::share::Shared;
use super::stats::Drop;
use crate::message::QoS;

/// One message for one client, as its subscription wants it.
#[derive(Debug, Clone)]
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
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Delivery>,
    bytes: usize,
    closed: bool,
    offline: bool,
}

/// The queue of one session. Policy when full: the newest is turned away, and whoever brought it counts it. QoS 0
/// messages do not wait for a client that is away.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// Told when the queue was empty and no longer is.
    pub(super) filled: Notify,
    max_messages: usize,
    pub(super) max_bytes: usize,
    /// The client id, for no-local.
    pub(super) client: Arc<str>,
}

/// Why a queue did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is full.
    Full,
    /// The client is away, and this message does not wait for it.
    Away,
    /// The session has ended; its subscriptions can go.
    Ended,
}

impl NotTaken {
    /// What to count it as; nothing where nobody was there to get it.
    pub(super) fn reason(self) -> Option<Drop> {
        match self {
            Self::Full => Some(Drop::QueueFull),
            Self::Away => Some(Drop::ClientAway),
            Self::Ended => None,
        }
    }
}

impl Outbox {
    pub(super) fn new(client: Arc<str>, max_messages: usize, max_bytes: usize) -> Self {
        Self { queue: Mutex::default(), filled: Notify::new(), max_messages, max_bytes, client }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message. Never waits. For a client that is away only if `away_too`, and never with QoS 0.
    pub(super) fn push(&self, delivery: Delivery, away_too: bool) -> Result<(), NotTaken> {
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
        let was_empty = queue.waiting.is_empty();
        queue.bytes += size;
        queue.waiting.push_back(delivery);
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Takes all messages that came by shared subscriptions.
    pub(super) fn take_shared(&self) -> Vec<Delivery> {
        let mut queue = self.lock();
        let (shared, own): (VecDeque<_>, VecDeque<_>) = queue.waiting.drain(..).partition(|d| d.share.is_some());
        queue.waiting = own;
        queue.bytes = queue.bytes.saturating_sub(shared.iter().map(|d| d.routed.size()).sum());
        shared.into()
    }

    /// Takes the oldest message.
    pub(super) fn pop(&self) -> Option<Delivery> {
        let mut queue = self.lock();
        let delivery = queue.waiting.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(delivery.routed.size());
        Some(delivery)
    }

    /// Says whether the client is there. While it is away, only QoS 1 and 2 are queued.
    pub(super) fn set_online(&self, online: bool) {
        self.lock().offline = !online;
    }

    /// Ends it: what waits is let go, what comes is turned away. Returns how many waited.
    pub(super) fn close(&self) -> usize {
        let mut queue = self.lock();
        queue.closed = true;
        queue.bytes = 0;
        std::mem::take(&mut queue.waiting).len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

//! Carriers: those who take delivered messages out of the house and answer for them, an uplink each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::message::{Message, Receipt, Topic};

/// Takes the delivered messages that it wants, each once, and keeps them until somebody else has them. It never makes the
/// pipeline wait; what it has no room for it counts and reports itself.
pub trait Carrier: Send + Sync {
    /// Its name, unique among carriers.
    fn name(&self) -> &str;

    /// Whether it takes this message.
    fn wants(&self, message: &Message) -> bool;

    /// Takes a message that it wants, as [`Message::to_record`]. Its publisher is told that the message is safe when
    /// `receipt` is settled. Must return at once.
    fn take(&self, record: Bytes, message: &Message, receipt: Option<Receipt>);

    /// Whether publishers wait for it: else it is given no receipts, and nobody is told anything of it.
    fn answers(&self) -> bool {
        true
    }

    /// Whether a client that publishes under this topic is to wait until there is room again.
    fn holds_up(&self, topic: &Topic) -> bool;
}

/// The carriers of now.
#[derive(Default)]
pub(super) struct Carriers {
    /// There are some. Asked first, so that without them a message pays nothing.
    any: AtomicBool,
    /// Some of them answer for what they take.
    answering: AtomicBool,
    all: RwLock<Arc<[Arc<dyn Carrier>]>>,
    /// Told when one that held publishers up does so no more.
    room: Arc<Notify>,
}

impl Carriers {
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(super) fn any_answers(&self) -> bool {
        self.answering.load(Ordering::Acquire)
    }

    fn all(&self) -> Arc<[Arc<dyn Carrier>]> {
        Arc::clone(&self.all.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in the place of the one with this name, or takes it away.
    pub(super) fn put(&self, name: &str, carrier: Option<Arc<dyn Carrier>>) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let others = all.iter().filter(|other| other.name() != name).cloned();
        *all = others.chain(carrier).collect();
        self.answering.store(all.iter().any(|carrier| carrier.answers()), Ordering::Release);
        self.any.store(!all.is_empty(), Ordering::Release);
        drop(all);
        self.room.notify_waiters();
    }

    /// Gives a message to all that want it.
    pub(super) fn offer(&self, message: &Message, receipt: Option<&Receipt>) {
        if !self.any() {
            return;
        }
        let all = self.all();
        let mut record = None;
        for carrier in all.iter().filter(|carrier| carrier.wants(message)) {
            let record = record.get_or_insert_with(|| Bytes::from(message.to_record()));
            // A branch where something is to be noted with what the last of them leaves behind; see `message/receipt.rs`.
            let receipt = receipt.filter(|_| carrier.answers());
            let receipt = receipt.map(|receipt| if receipt.notes() { receipt.branch() } else { receipt.clone() });
            carrier.take(record.clone(), message, receipt);
        }
    }

    pub(super) fn hold_up(&self, topic: &Topic) -> bool {
        self.any_answers() && self.all().iter().any(|carrier| carrier.holds_up(topic))
    }

    /// Rung when there may be room again.
    pub(super) fn room(&self) -> &Arc<Notify> {
        &self.room
    }
}

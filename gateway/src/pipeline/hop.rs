//! What becomes of each message on its way, for whoever watches. Nobody watching costs a look; nobody ever waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::{DropReason, Verdict};
use crate::message::{Message, MessageId, Topic};

/// Hops that a watcher may lag behind. Policy: drop oldest; the watcher is told how many it missed.
const HOPS_QUEUE: usize = 2048;

/// A place on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// The arrival.
    In,
    /// The stage with this name.
    Stage(Arc<str>),
    /// The delivery to all outputs.
    Out,
}

/// What happened to a message at one place.
#[derive(Debug, Clone)]
pub struct Hop {
    /// The message's id, which stays the same from its arrival to its delivery.
    pub id: MessageId,
    /// What it was under when it came there.
    pub topic: Topic,
    /// Where.
    pub spot: Spot,
    /// How long after its first byte, or after a stage made it.
    pub after: Duration,
    /// `came`, `passed`, `changed`, `filtered`, `replaced`, `dropped`, `held`, `made`, `delivered`.
    pub did: &'static str,
    /// Why it was dropped.
    pub reason: Option<DropReason>,
    /// What it is from here on, where it is new or another.
    pub message: Option<Message>,
}

impl Hop {
    fn of(message: &Message, spot: Spot, did: &'static str) -> Self {
        let after = Instant::now().saturating_duration_since(message.received.monotonic);
        Self { id: message.id, topic: message.topic.clone(), spot, after, did, reason: None, message: None }
    }
}

/// Tells watchers.
#[derive(Debug)]
pub(super) struct Hops(broadcast::Sender<Arc<Hop>>);

impl Default for Hops {
    fn default() -> Self {
        Self(broadcast::Sender::new(HOPS_QUEUE))
    }
}

impl Hops {
    pub(super) fn watch(&self) -> broadcast::Receiver<Arc<Hop>> {
        self.0.subscribe()
    }

    fn tell(&self, hop: impl FnOnce() -> Hop) {
        if self.0.receiver_count() > 0 {
            // Fails only when the last watcher left just now.
            let _ = self.0.send(Arc::new(hop()));
        }
    }

    /// It has come.
    pub(super) fn came(&self, message: &Message) {
        self.tell(|| Hop { message: Some(message.clone()), ..Hop::of(message, Spot::In, "came") });
    }

    /// A stage has judged it.
    pub(super) fn judged(&self, message: &Message, stage: &Arc<str>, verdict: &Verdict) {
        self.tell(|| {
            let hop = |did| Hop::of(message, Spot::Stage(Arc::clone(stage)), did);
            match verdict {
                Verdict::Pass => hop("passed"),
                Verdict::Modify(changed) => Hop { message: Some(changed.clone()), ..hop("changed") },
                Verdict::Filter => hop("filtered"),
                Verdict::Replace(_) => hop("replaced"),
                Verdict::Drop(reason) => Hop { reason: Some(*reason), ..hop("dropped") },
                Verdict::Hold(_) => hop("held"),
            }
        });
    }

    /// A stage has made it.
    pub(super) fn made(&self, message: &Message, stage: &Arc<str>) {
        let spot = || Spot::Stage(Arc::clone(stage));
        self.tell(|| Hop { message: Some(message.clone()), ..Hop::of(message, spot(), "made") });
    }

    /// It has reached the outputs.
    pub(super) fn delivered(&self, message: &Message) {
        self.tell(|| Hop::of(message, Spot::Out, "delivered"));
    }
}

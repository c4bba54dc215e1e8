//! Stamps new messages with an id and the time.

use std::sync::Arc;

use bytes::Bytes;

use crate::message::{Clock, Message, MessageIds, Origin, Place, Received, Topic};

#[derive(Debug)]
struct Inner {
    ids: MessageIds,
    clock: Clock,
    place: Place,
}

/// Makes messages. A clone makes messages of the same run by the same clock.
#[derive(Debug, Clone)]
pub struct Stamp(Arc<Inner>);

impl Stamp {
    /// Begins a run; `run` is a random number.
    pub fn new(run: u64) -> Self {
        Self(Arc::new(Inner { ids: MessageIds::new(run), clock: Clock::default(), place: Place::default() }))
    }

    /// The clocks.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Where the gateway is.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// A new message, received now.
    pub fn message(&self, origin: Origin, topic: Topic, payload: impl Into<Bytes>) -> Message {
        self.message_at(self.clock().now(), origin, topic, payload)
    }

    /// A new message that was received at `received`.
    pub fn message_at(&self, received: Received, origin: Origin, topic: Topic, payload: impl Into<Bytes>) -> Message {
        Message::new(self.0.ids.next(), received, origin, topic, payload)
    }
}

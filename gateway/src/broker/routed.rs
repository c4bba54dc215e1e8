//! A message on its way to MQTT clients, with what is worked out once for all of them.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::codec::{PublishProperties, properties_of};
use crate::message::Message;

/// One message for all its subscribers.
#[derive(Debug)]
pub(super) struct Routed {
    /// The message.
    pub(super) message: Arc<Message>,
    expires: Option<Instant>,
    v5: OnceLock<PublishProperties>,
}

impl Routed {
    pub(super) fn new(message: Arc<Message>) -> Self {
        Self::aged(message, Duration::ZERO)
    }

    /// A message that has waited for so long already.
    pub(super) fn aged(message: Arc<Message>, age: Duration) -> Self {
        let expiry = message.properties.as_ref().and_then(|p| p.expiry);
        let left = expiry.map(|seconds| Duration::from_secs(seconds.into()).saturating_sub(age));
        let expires = left.and_then(|left| Instant::now().checked_add(left));
        Self { message, expires, v5: OnceLock::new() }
    }

    /// What it weighs in a queue: its texts and a fixed share for everything else.
    pub(super) fn size(&self) -> usize {
        const SHARE: usize = 128;
        self.message.topic.as_str().len() + self.message.payload.len() + SHARE
    }

    /// Whether its expiry interval has run out.
    pub(super) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= Instant::now())
    }

    /// Its properties for MQTT 5 without what differs from client to client.
    pub(super) fn v5(&self) -> &PublishProperties {
        self.v5.get_or_init(|| properties_of(&self.message))
    }

    /// Seconds left of its expiry interval (MQTT 5.0, section 3.3.2.3.3). A second that has begun counts: what is sent on
    /// at once keeps its interval, and an interval of one second does not become none.
    pub(super) fn expiry_left(&self) -> Option<u32> {
        let left = self.expires?.saturating_duration_since(Instant::now());
        u32::try_from(left.as_millis().div_ceil(1000)).ok()
    }
}

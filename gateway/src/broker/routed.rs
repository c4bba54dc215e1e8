//! A message on its way to MQTT clients, with what is worked out once for all of them.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::codec::{PublishProperties, Utf8};
use crate::message::{Message, Properties};

/// Names of user properties that start like this are the gateway's own: clients' are not passed on.
pub(super) const OWN_PREFIX: &str = "stile-";

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

    /// Its properties for MQTT 5 without what differs from client to client: the publisher's, then the gateway's own.
    pub(super) fn v5(&self) -> &PublishProperties {
        self.v5.get_or_init(|| {
            let mut properties = self.message.properties.as_deref().map(from_properties).unwrap_or_default();
            let message = &self.message;
            let own = [
                ("stile-id", message.id.to_string()),
                ("stile-received-at", message.received.rfc3339()),
                ("stile-clock", message.received.clock.as_str().to_owned()),
                ("stile-origin", message.origin.to_string()),
            ];
            properties.user.extend(own.into_iter().filter_map(|(name, value)| text_pair(name, &value)));
            properties
        })
    }

    /// Seconds left of its expiry interval (MQTT 5.0, section 3.3.2.3.3). A second that has begun counts: what is sent on
    /// at once keeps its interval, and an interval of one second does not become none.
    pub(super) fn expiry_left(&self) -> Option<u32> {
        let left = self.expires?.saturating_duration_since(Instant::now());
        u32::try_from(left.as_millis().div_ceil(1000)).ok()
    }
}

/// Texts that MQTT can't carry, too long or with a NUL, come from plugins alone: they are left out.
fn text_pair(name: &str, value: &str) -> Option<(Utf8, Utf8)> {
    Some((Utf8::new(name).ok()?, Utf8::new(value).ok()?))
}

fn from_properties(p: &Properties) -> PublishProperties {
    let text = |text: &Option<String>| text.as_deref().and_then(|t| Utf8::new(t).ok());
    PublishProperties {
        payload_is_utf8: p.payload_is_text,
        expiry: p.expiry,
        content_type: text(&p.content_type),
        response_topic: text(&p.response_topic),
        correlation_data: p.correlation.clone(),
        user: p.user.iter().filter_map(|(name, value)| text_pair(name, value)).collect(),
        ..PublishProperties::default()
    }
}

/// What a publisher said, as a message carries it; `None` when that is nothing. Copied, so that a message that is kept
/// does not keep the connection's read buffer.
pub(super) fn to_properties(p: &PublishProperties) -> Option<Arc<Properties>> {
    let user = p.user.iter().filter(|(name, _)| !name.starts_with(OWN_PREFIX));
    let properties = Properties {
        payload_is_text: p.payload_is_utf8,
        expiry: p.expiry,
        content_type: p.content_type.as_ref().map(ToString::to_string),
        response_topic: p.response_topic.as_ref().map(ToString::to_string),
        correlation: p.correlation_data.as_deref().map(Bytes::copy_from_slice),
        user: user.map(|(n, v)| (n.to_string(), v.to_string())).collect(),
    };
    (!properties.is_empty()).then(|| Arc::new(properties))
}

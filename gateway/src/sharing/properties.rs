//! What of MQTT 5's properties goes along, the gateway's own included.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::coarse;
use crate::codec::{is_own, own_properties};
use crate::config::{self, Coarse};
use crate::message::{ClockQuality, Message, MessageId, Origin, Properties, RECEIVED_AT, Received};

/// What a rule says of properties.
pub(super) struct Said {
    /// The names of those that go; `None`: all.
    names: Option<Vec<String>>,
    /// The time of receipt is rounded down to a multiple of this.
    received: Option<Duration>,
}

impl Said {
    pub(super) fn of(share: &config::Share) -> Self {
        let received = share.coarse.iter().find_map(|coarse| match coarse {
            Coarse::Received { to, .. } => Some(*to),
            _ => None,
        });
        let mut names = share.properties.clone().or_else(|| share.changes().then(Vec::new));
        names.iter_mut().for_each(|names| names.extend(received.map(|_| RECEIVED_AT.to_owned())));
        Self { names, received }
    }

    /// A copy of the message that carries no more of this than may leave. What the gateway says of it stands among the
    /// publisher's then, and nothing else in the copy tells it.
    pub(super) fn shape(&self, message: &Message) -> Message {
        let Some(names) = &self.names else { return message.clone() };
        let goes = |name: &str| names.iter().any(|own| own == name);
        let before = message.properties.as_deref().cloned().unwrap_or_default();
        let mut user = before.user;
        user.retain(|(name, _)| goes(name) && !is_own(name));
        let own = own_properties(message).filter(|(name, _)| goes(name));
        user.extend(own.filter_map(|(name, value)| match self.received {
            Some(to) if name == RECEIVED_AT => Some((name.to_owned(), coarse::rfc3339(rounded(message, to))?)),
            _ => Some((name.to_owned(), value)),
        }));
        let properties = Properties {
            // How long it is worth delivering, and that it is text, say nothing of whom it is about.
            payload_is_text: before.payload_is_text,
            expiry: before.expiry,
            content_type: before.content_type.filter(|_| goes("content-type")),
            response_topic: before.response_topic.filter(|_| goes("response-topic")),
            correlation: before.correlation.filter(|_| goes("correlation-data")),
            user,
        };
        Message {
            id: MessageId::NONE,
            origin: Origin::Gateway,
            radio: None,
            received: self.received(message, goes(RECEIVED_AT)),
            properties: (!properties.is_empty()).then(|| Arc::new(properties)),
            ..message.clone()
        }
    }

    /// The time of receipt as it may lie in a queue. A message that expires keeps its own, which never leaves: by it the
    /// time that it waits is counted.
    fn received(&self, message: &Message, goes: bool) -> Received {
        let expires = message.properties.as_ref().is_some_and(|properties| properties.expiry.is_some());
        if expires || (goes && self.received.is_none()) {
            return message.received;
        }
        let wall = self.received.map_or(UNIX_EPOCH, |to| rounded(message, to));
        Received { wall, clock: ClockQuality::Unknown, ..message.received }
    }
}

fn rounded(message: &Message, to: Duration) -> SystemTime {
    coarse::round_down(message.received.wall, to)
}

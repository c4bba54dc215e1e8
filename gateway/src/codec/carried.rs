//! What a message carries besides its payload, as properties of MQTT 5, and back.

use std::sync::Arc;

use bytes::Bytes;

use super::{PublishProperties, Utf8};
use crate::message::{Message, MessageId, OWN_PROPERTIES, Properties};

/// Names of user properties that start like this are the gateway's own: others' are not passed on.
const OWN_PREFIX: &str = "stile-";

/// Whether a user property of this name can only be the gateway's own.
pub fn is_own(name: &str) -> bool {
    name.starts_with(OWN_PREFIX)
}

/// What the gateway says of a message, under [`OWN_PROPERTIES`].
pub fn own_properties(message: &Message) -> impl Iterator<Item = (&'static str, String)> {
    let values = [
        message.id.to_string(),
        message.received.rfc3339(),
        message.received.clock.as_str().to_owned(),
        message.origin.to_string(),
    ];
    OWN_PROPERTIES.into_iter().zip(values)
}

/// A message's properties: the publisher's, then the gateway's own. One without an id has among the former what may be
/// said of it.
pub fn properties_of(message: &Message) -> PublishProperties {
    let mut properties = message.properties.as_deref().map(from_properties).unwrap_or_default();
    if message.id != MessageId::NONE {
        properties.user.extend(own_properties(message).filter_map(|(name, value)| text_pair(name, &value)));
    }
    properties
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
pub fn said(p: &PublishProperties) -> Option<Arc<Properties>> {
    let user = p.user.iter().filter(|(name, _)| !is_own(name));
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

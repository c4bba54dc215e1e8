//! What travels through the gateway: one `Message`, its topic, where it came from and when.
//!
//! Owns the types that every room shares and their validity. Never does I/O and knows no other room.
//! Constructors validate, so whoever holds a value can trust it; a clone costs a few reference counts.

mod compare;
mod id;
mod place;
mod receipt;
mod record;
mod time;
mod topic;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;

pub use id::{MessageId, MessageIds};
pub use place::{Fix, Place, Position};
pub use receipt::{Awaited, Note, Promise, Publication, Receipt};
pub use record::RecordError;
pub use time::{Clock, ClockQuality, Received, TimeSource, Timing};
pub use topic::{TOPIC_MAX_BYTES, Topic, TopicError, TopicFilter};

/// MQTT quality of service (MQTT 5.0, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum QoS {
    /// At most once.
    #[default]
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level as MQTT writes it, `None` for 3 and above.
    pub fn from_u8(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// Where a message entered the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A radio, by its name.
    Radio(Arc<str>),
    /// An MQTT client, by its client id.
    Client(Arc<str>),
    /// The gateway itself: states, results.
    Gateway,
    /// A plugin made it, by the plugin's name.
    Plugin(Arc<str>),
    /// A remote broker, by the uplink's name.
    Uplink(Arc<str>),
}

impl Origin {
    /// Whether it is the client with this id.
    pub fn is_client(&self, id: &str) -> bool {
        matches!(self, Self::Client(own) if **own == *id)
    }

    /// The name of whoever it is; the gateway has none.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Radio(name) | Self::Client(name) | Self::Plugin(name) | Self::Uplink(name) => Some(name),
            Self::Gateway => None,
        }
    }
}

impl Origin {
    /// Reads what [`Display`](fmt::Display) writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("radio", name)) => Some(Self::Radio(name.into())),
            Some(("client", id)) => Some(Self::Client(id.into())),
            Some(("plugin", name)) => Some(Self::Plugin(name.into())),
            Some(("uplink", name)) => Some(Self::Uplink(name.into())),
            None if text == "gateway" => Some(Self::Gateway),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Radio(name) => write!(f, "radio:{name}"),
            Self::Client(id) => write!(f, "client:{id}"),
            Self::Gateway => f.write_str("gateway"),
            Self::Plugin(name) => write!(f, "plugin:{name}"),
            Self::Uplink(name) => write!(f, "uplink:{name}"),
        }
    }
}

/// Names of the user properties in which the gateway says something of a message: its id, when it was received, how far the
/// clock could be trusted then, where it entered.
pub const OWN_PROPERTIES: [&str; 4] = ["stile-id", RECEIVED_AT, "stile-clock", "stile-origin"];

/// The one of [`OWN_PROPERTIES`] that is a time.
pub const RECEIVED_AT: &str = "stile-received-at";

/// What a radio knows of a frame besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadioMeta {
    /// The framing that decoded it, as the configuration names it.
    pub framing: Cow<'static, str>,
    /// Bits a second on the line.
    pub baud: u32,
    /// Which `[[radio.poll]]` asked for it.
    pub poll: Option<Arc<str>>,
}

/// What MQTT 5 lets a publisher say about a message (section 3.3.2.3), kept on its way through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// The payload is UTF-8 text.
    pub payload_is_text: Option<bool>,
    /// Seconds for which the message is worth delivering.
    pub expiry: Option<u32>,
    /// MIME type.
    pub content_type: Option<String>,
    /// Where the asker waits for the answer.
    pub response_topic: Option<String>,
    /// What the asker will know the answer by.
    pub correlation: Option<Bytes>,
    /// Name and value pairs, in order.
    pub user: Vec<(String, String)>,
}

impl Properties {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One message on its way through the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name for ever.
    pub id: MessageId,
    /// What it is published under.
    pub topic: Topic,
    /// Its bytes.
    pub payload: Bytes,
    /// The quality of service it was published with: the most that a subscriber can get.
    pub qos: QoS,
    /// Kept for later subscribers; an empty payload clears what was kept.
    pub retain: bool,
    /// Where it entered.
    pub origin: Origin,
    /// When its first byte was received.
    pub received: Received,
    /// Set on frames from a radio.
    pub radio: Option<Arc<RadioMeta>>,
    /// Set where the publisher said something.
    pub properties: Option<Arc<Properties>>,
}

impl Properties {
    /// Bytes of its texts.
    fn weight(&self) -> usize {
        let texts = [&self.content_type, &self.response_topic].into_iter().flatten().map(String::len);
        let user = self.user.iter().map(|(name, value)| name.len() + value.len());
        texts.chain(user).sum::<usize>() + self.correlation.as_ref().map_or(0, Bytes::len)
    }
}

impl Message {
    /// Bytes of its payload and its texts: what it weighs in queues of the pipeline.
    pub fn weight(&self) -> usize {
        let properties = self.properties.as_deref().map_or(0, Properties::weight);
        self.payload.len() + self.topic.as_str().len() + properties
    }

    /// A message with QoS 1, not retained, without properties. Fields can be changed afterwards: each is valid by type.
    pub fn new(id: MessageId, received: Received, origin: Origin, topic: Topic, payload: impl Into<Bytes>) -> Self {
        Self {
            id,
            topic,
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            origin,
            received,
            radio: None,
            properties: None,
        }
    }

    /// The payload for people and JSON: how it is written, `text` or `base64`, and the writing.
    pub fn readable_payload(&self) -> (&'static str, String) {
        match std::str::from_utf8(&self.payload) {
            Ok(text) => ("text", text.to_owned()),
            Err(_) => ("base64", base64::engine::general_purpose::STANDARD.encode(&self.payload)),
        }
    }

    /// The message for people and scripts: payload as text where it is text, else base64.
    pub fn to_json(&self) -> serde_json::Value {
        let (encoding, payload) = self.readable_payload();
        serde_json::json!({
            "id": self.id.to_string(),
            "time": self.received.rfc3339(),
            "clock": self.received.clock.as_str(),
            "origin": self.origin.to_string(),
            "topic": self.topic.as_str(),
            "qos": self.qos as u8,
            "retain": self.retain,
            "encoding": encoding,
            "payload": payload,
        })
    }

    /// The bytes of a payload that was written by [`Message::readable_payload`]; `None` where nothing could have been
    /// written like that.
    pub fn read_payload(encoding: &str, written: String) -> Option<Vec<u8>> {
        match encoding {
            "text" => Some(written.into_bytes()),
            "base64" => base64::engine::general_purpose::STANDARD.decode(written).ok(),
            _ => None,
        }
    }

    /// What the asker will know the answer by, if it said so.
    pub fn correlation(&self) -> Option<&Bytes> {
        self.properties.as_ref()?.correlation.as_ref()
    }
}

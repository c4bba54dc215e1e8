//! What a filter says of a message, and what it makes.

use std::borrow::Cow;
use std::time::Duration;

use crate::message::{Message, Property, Qos};

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It goes on as it is. Costs nothing.
    Pass,
    /// It ends here, as the filter is meant to. The text says why and is shown to the operator; keep it to a few
    /// different ones, such as `unchanged`.
    Drop(Cow<'static, str>),
    /// It goes on, changed.
    Modify(Patch),
    /// It ends here, and these go on instead, in this order, from the next filter.
    Replace(Vec<Draft>),
    /// The filter can't judge it, such as a payload that is not what it should be. What becomes of it is the operator's
    /// choice (`on-failure`).
    Reject(Cow<'static, str>),
}

/// A message that a filter makes. The gateway gives it its origin and its time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// A topic name: without wildcards, within what the filter may publish.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The quality of service.
    pub qos: Qos,
    /// Whether it is to be kept for later subscribers; an empty payload then clears what was kept.
    pub retain: bool,
    /// MIME type of the payload.
    pub content_type: Option<String>,
    /// Where an answer to it is awaited: a topic name.
    pub response_topic: Option<String>,
    /// What the answer will be known by.
    pub correlation: Option<Vec<u8>>,
    /// For how long it is worth delivering, in whole seconds; without it, for ever.
    pub expiry: Option<Duration>,
    /// User properties, in order.
    pub properties: Vec<Property>,
}

impl Draft {
    /// A draft with quality of service 0 that is not kept.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), ..Self::default() }
    }

    /// A message as it came, to go on beside others in [`Verdict::Replace`]. How long it is still worth delivering is not
    /// known here, so it has no expiry.
    pub fn like(message: &Message) -> Self {
        Self {
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            qos: message.qos,
            retain: message.retain,
            content_type: message.content_type(),
            response_topic: message.response_topic(),
            correlation: message.correlation(),
            expiry: None,
            properties: message.user_properties(),
        }
    }
}

/// What to change in a message. What is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patch {
    /// Another topic name.
    pub topic: Option<String>,
    /// Another payload.
    pub payload: Option<Vec<u8>>,
    /// Another quality of service.
    pub qos: Option<Qos>,
    /// Whether to keep it.
    pub retain: Option<bool>,
    /// Another MIME type; an empty one takes it away.
    pub content_type: Option<String>,
    /// Where an answer is awaited; an empty one takes it away.
    pub response_topic: Option<String>,
    /// What the answer will be known by; an empty one takes it away.
    pub correlation: Option<Vec<u8>>,
    /// For how long from now it is worth delivering, in whole seconds; zero takes the limit away.
    pub expiry: Option<Duration>,
    /// User properties to set: any of the same name go first.
    pub set: Vec<Property>,
    /// Names of user properties to take away.
    pub unset: Vec<String>,
}

impl Patch {
    /// Another payload, and nothing else.
    pub fn payload(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: Some(payload.into()), ..Self::default() }
    }
}

/// Why a whole call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// What the filter was given is wrong, such as its settings. The text tells the operator what to change.
    Invalid(String),
    /// Something that it needs is not there now; the same call may succeed later.
    Unavailable(String),
    /// The filter can't go on. The gateway throws the instance away and makes a new one.
    Broken(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(text) | Self::Unavailable(text) | Self::Broken(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

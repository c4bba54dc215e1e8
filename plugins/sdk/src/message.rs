//! A message as a filter sees it. What costs a call to the gateway is asked for by a method, and costs nothing else.

use std::time::Duration;

use crate::time::Time;

/// MQTT quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Qos {
    /// Sent once and forgotten.
    #[default]
    AtMostOnce,
    /// Sent until it is acknowledged; may come twice.
    AtLeastOnce,
    /// Comes once.
    ExactlyOnce,
}

/// Where a message entered the gateway. Its name is [`Message::origin_name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// A radio or a serial port.
    Radio,
    /// An MQTT client.
    #[default]
    Client,
    /// The gateway itself: states, results.
    Gateway,
    /// A filter made it.
    Filter,
    /// Somewhere that this version of the SDK has no word for.
    Other,
}

/// How far the wall clock could be trusted when the message was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// Nobody has said.
    #[default]
    Unknown,
    /// Known to be wrong or not set.
    Unsynchronised,
    /// Set from the network, and kept.
    Synchronised,
}

/// What the radio knows of a frame besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Radio {
    /// Received signal strength in dBm; NaN where the radio does not say.
    pub rssi_dbm: f32,
    /// Signal-to-noise ratio in dB; NaN where the radio does not say.
    pub snr_db: f32,
    /// Centre frequency in Hz; 0 for a serial line.
    pub frequency_hz: u32,
    /// Bandwidth in Hz; 0 for a serial line.
    pub bandwidth_hz: u32,
    /// Bits a second; for LoRa, 0.
    pub bitrate: u32,
    /// LoRa spreading factor, 5 to 12; else 0.
    pub spreading_factor: u8,
}

/// A name and a value, as in MQTT 5's user properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The name; several properties may have the same.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A message on its way through the gateway.
#[derive(Debug)]
pub struct Message {
    /// The topic name.
    pub topic: String,
    /// The payload, as it was published.
    pub payload: Vec<u8>,
    /// The quality of service it was published with.
    pub qos: Qos,
    /// Whether it is to be kept for later subscribers.
    pub retain: bool,
    /// When its first byte was received.
    pub received: Time,
    /// What that time is worth.
    pub clock: Clock,
    /// Where it entered.
    pub origin: Origin,
    /// Set on frames from a radio.
    pub radio: Option<Radio>,
    /// The rest, for whoever asks.
    pub(crate) more: More,
}

impl Message {
    /// The payload as text; none where it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.payload).ok()
    }

    /// How long after `earlier` this message was received; zero if before.
    pub fn since(&self, earlier: Time) -> Duration {
        self.received.since(earlier)
    }

    /// The level of the topic at this place, from 0.
    pub fn level(&self, place: usize) -> Option<&str> {
        self.topic.split('/').nth(place)
    }

    /// Whether its topic fits a filter such as `lora/+/up` (MQTT 5.0, section 4.7).
    pub fn fits(&self, filter: &str) -> bool {
        let (mut filter, mut topic) = (filter.split('/'), self.topic.split('/'));
        loop {
            match (filter.next(), topic.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("+"), Some(_)) => {}
                (Some(wanted), Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
    }
}

#[cfg(target_family = "wasm")]
pub(crate) use of_the_batch::More;
#[cfg(not(target_family = "wasm"))]
pub use told::Details;
#[cfg(not(target_family = "wasm"))]
pub(crate) use told::Details as More;

#[cfg(target_family = "wasm")]
mod of_the_batch {
    use super::{Message, Property};
    use crate::guest::context;

    /// The message's place in the batch that is being judged.
    #[derive(Debug)]
    pub(crate) struct More(pub(crate) u32);

    impl Message {
        /// The message's id, unique over restarts.
        pub fn id(&self) -> String {
            context::id(self.more.0)
        }

        /// The name of the radio, client or filter that it came from; empty for the gateway itself.
        pub fn origin_name(&self) -> String {
            context::origin_name(self.more.0)
        }

        /// The MIME type that the publisher gave.
        pub fn content_type(&self) -> Option<String> {
            context::content_type(self.more.0)
        }

        /// Where the publisher waits for an answer.
        pub fn response_topic(&self) -> Option<String> {
            context::response_topic(self.more.0)
        }

        /// What the publisher will know the answer by.
        pub fn correlation(&self) -> Option<Vec<u8>> {
            context::correlation(self.more.0)
        }

        /// The first user property of that name.
        pub fn user_property(&self, name: &str) -> Option<String> {
            context::user_property(self.more.0, name)
        }

        /// All user properties, in order.
        pub fn user_properties(&self) -> Vec<Property> {
            context::user_properties(self.more.0).into_iter().map(Into::into).collect()
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod told {
    use super::{Clock, Message, Origin, Property, Qos};
    use crate::time::Time;

    /// In a test: what a message tells whoever asks.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct Details {
        /// See [`Message::id`].
        pub id: String,
        /// See [`Message::origin_name`].
        pub origin_name: String,
        /// See [`Message::content_type`].
        pub content_type: Option<String>,
        /// See [`Message::response_topic`].
        pub response_topic: Option<String>,
        /// See [`Message::correlation`].
        pub correlation: Option<Vec<u8>>,
        /// See [`Message::user_properties`].
        pub user_properties: Vec<Property>,
    }

    impl Message {
        /// In a test: a message from a client at [`Time::EXAMPLE`]. Its fields can be set to something else.
        pub fn new(topic: &str, payload: impl Into<Vec<u8>>) -> Self {
            Self {
                topic: topic.to_owned(),
                payload: payload.into(),
                qos: Qos::AtMostOnce,
                retain: false,
                received: Time::EXAMPLE,
                clock: Clock::Unknown,
                origin: Origin::Client,
                radio: None,
                more: Details::default(),
            }
        }

        /// In a test: the same message with these details.
        #[must_use]
        pub fn with(mut self, details: Details) -> Self {
            self.more = details;
            self
        }

        /// The message's id, unique over restarts.
        pub fn id(&self) -> String {
            self.more.id.clone()
        }

        /// The name of the radio, client or filter that it came from; empty for the gateway itself.
        pub fn origin_name(&self) -> String {
            self.more.origin_name.clone()
        }

        /// The MIME type that the publisher gave.
        pub fn content_type(&self) -> Option<String> {
            self.more.content_type.clone()
        }

        /// Where the publisher waits for an answer.
        pub fn response_topic(&self) -> Option<String> {
            self.more.response_topic.clone()
        }

        /// What the publisher will know the answer by.
        pub fn correlation(&self) -> Option<Vec<u8>> {
            self.more.correlation.clone()
        }

        /// The first user property of that name.
        pub fn user_property(&self, name: &str) -> Option<String> {
            self.more.user_properties.iter().find(|property| property.name == name).map(|found| found.value.clone())
        }

        /// All user properties, in order.
        pub fn user_properties(&self) -> Vec<Property> {
            self.more.user_properties.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_fit_filters_as_in_mqtt() {
        let fits = |filter: &str, topic: &str| Message::new(topic, "").fits(filter);
        for (filter, topic) in
            [("a/+/c", "a/b/c"), ("#", "a/b"), ("a/#", "a"), ("a/#", "a/b/c"), ("+", "a"), ("a/b", "a/b")]
        {
            assert!(fits(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [("a/+", "a"), ("a/+", "a/b/c"), ("a/b", "a/c"), ("a", "a/b"), ("a/b", "a")] {
            assert!(!fits(filter, topic), "{filter} {topic}");
        }
    }
}

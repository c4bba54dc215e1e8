//! The will in a CONNECT (sections 3.1.2.5 and 3.1.3.2 to 3.1.3.4).
//!
//! Owns its payload fields and properties. Never sees the connect flags, which hold its QoS and RETAIN.

use bytes::Bytes;

use super::property::{Property, read_properties};
use super::publish::PublishProperties;
use super::reader::Reader;
use super::writer::Writer;
use super::{CodecError, Utf8, Version};
use crate::message::QoS;

/// A message that the server publishes when it loses the client (section 3.1.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// The topic name, without wildcards.
    pub topic: Utf8,
    /// The payload, at most 65 535 bytes.
    pub payload: Bytes,
    /// The QoS to publish it with.
    pub qos: QoS,
    /// To be retained.
    pub retain: bool,
    /// Seconds to wait before publishing; not sent means 0.
    pub delay: Option<u32>,
    /// The properties to publish it with; topic alias and subscription identifiers are not used.
    pub properties: PublishProperties,
}

impl Will {
    /// Whether the payload is the UTF-8 text that the payload format indicator says (section 3.1.3.2.3).
    ///
    /// # Errors
    /// Payload format invalid.
    pub fn check_payload_format(&self) -> Result<(), CodecError> {
        self.properties.check_payload_format(&self.payload)
    }

    pub(super) fn read(qos: QoS, retain: bool, version: Version, r: &mut Reader) -> Result<Self, CodecError> {
        let mut delay = None;
        let mut properties = PublishProperties::default();
        if version == Version::V5 {
            read_properties(r, |id, r| match id {
                Property::WillDelay => r.set(&mut delay, id, Reader::u32),
                _ => properties.take(id, r),
            })?;
        }
        let topic = r.topic_name("will topic")?;
        let payload = r.binary("will payload")?;
        Ok(Self { topic, payload, qos, retain, delay, properties })
    }

    pub(super) fn write(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        if version == Version::V5 {
            w.properties(|w| {
                w.property_u32(Property::WillDelay, self.delay);
                self.properties.write_common(w)
            })?;
        }
        w.binary(self.topic.as_bytes(), "will topic")?;
        w.binary(&self.payload, "will payload")
    }
}

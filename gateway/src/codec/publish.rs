//! PUBLISH (section 3.3), owned as it is read and borrowed as it is written.
//!
//! Owns the properties that a message carries, which a will has too. Never resolves a topic alias.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::header::Kind;
use super::property::{Property, UserProperties, read_properties};
use super::reader::{Reader, check_no_wildcard, qos};
use super::writer::Writer;
use super::{CodecError, ReasonCode, Utf8, Version};
use crate::message::QoS;

const DUP: u8 = 0b1000;
const RETAIN: u8 = 0b0001;

/// A message on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// May have been sent before. Never with QoS 0.
    pub dup: bool,
    /// How it is acknowledged.
    pub qos: QoS,
    /// To be retained; towards a subscriber: was retained.
    pub retain: bool,
    /// The topic name, without wildcards. Empty only in 5.0, where an alias then stands for it.
    pub topic: Utf8,
    /// Present when the QoS is 1 or 2.
    pub packet_id: Option<NonZeroU16>,
    /// The payload, of any bytes.
    pub payload: Bytes,
    /// The properties of 5.0; `None` when there are none, so that the usual message stays small.
    pub properties: Option<Box<PublishProperties>>,
}

/// The properties of a message (section 3.3.2.3). The default is empty and does not allocate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishProperties {
    /// The payload format indicator: the sender says whether the payload is UTF-8 text.
    pub payload_is_utf8: Option<bool>,
    /// Message expiry interval in seconds.
    pub expiry: Option<u32>,
    /// A number in the place of the topic. Never in a will.
    pub topic_alias: Option<NonZeroU16>,
    /// Where an answer goes: a topic name without wildcards.
    pub response_topic: Option<Utf8>,
    /// What an answer has to repeat, at most 65 535 bytes.
    pub correlation_data: Option<Bytes>,
    /// User properties.
    pub user: UserProperties,
    /// Which subscriptions it matched, each at most 268 435 455; from servers only. Never in a will.
    pub subscription_ids: Vec<NonZeroU32>,
    /// Describes the payload, by a MIME type for example.
    pub content_type: Option<Utf8>,
}

/// What [`Publish::properties`] shows when there are none.
static NO_PROPERTIES: PublishProperties = PublishProperties {
    payload_is_utf8: None,
    expiry: None,
    topic_alias: None,
    response_topic: None,
    correlation_data: None,
    user: Vec::new(),
    subscription_ids: Vec::new(),
    content_type: None,
};

/// A message about to be written, each part borrowed from wherever it is; see [`Publish`] for the fields.
#[derive(Debug, Clone, Copy)]
pub struct PublishRef<'a> {
    /// May have been sent before.
    pub dup: bool,
    /// How it is acknowledged.
    pub qos: QoS,
    /// To be retained, or was.
    pub retain: bool,
    /// The topic name; empty only with an alias.
    pub topic: &'a str,
    /// Present when the QoS is 1 or 2.
    pub packet_id: Option<NonZeroU16>,
    /// The payload.
    pub payload: &'a [u8],
    /// The properties, left out for 3.x.
    pub properties: &'a PublishProperties,
}

impl Publish {
    /// The properties, empty ones if there are none.
    pub fn properties(&self) -> &PublishProperties {
        self.properties.as_deref().unwrap_or(&NO_PROPERTIES)
    }

    /// The same message, borrowed.
    pub fn as_ref(&self) -> PublishRef<'_> {
        PublishRef {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: self.packet_id,
            payload: &self.payload,
            properties: self.properties(),
        }
    }

    /// Whether the payload is the UTF-8 text that the payload format indicator says (section 3.3.2.3.2). Not part of
    /// reading: it costs a pass over the payload, and the answer is a PUBACK or PUBREC, not the end of the connection.
    ///
    /// # Errors
    /// Payload format invalid.
    pub fn check_payload_format(&self) -> Result<(), CodecError> {
        self.properties().check_payload_format(&self.payload)
    }

    pub(super) fn read(flags: u8, version: Version, r: &mut Reader) -> Result<Self, CodecError> {
        let qos = qos(flags >> 1, "QoS")?;
        let dup = flags & DUP != 0;
        // MQTT-3.3.1-2. In 3.1 the flag means nothing here.
        if dup && qos == QoS::AtMostOnce && version != Version::V31 {
            return Err(CodecError::malformed("DUP flag", "is set on a QoS 0 message"));
        }
        let topic = r.text("topic name")?;
        check_no_wildcard(&topic, "topic name")?;
        let packet_id = if qos == QoS::AtMostOnce { None } else { Some(r.packet_id()?) };
        let properties = if version == Version::V5 { PublishProperties::read(r)? } else { None };
        let alias = properties.as_ref().and_then(|properties| properties.topic_alias);
        if topic.is_empty() && alias.is_none() {
            let reason = match version {
                Version::V5 => ReasonCode::ProtocolError,
                _ => ReasonCode::TopicNameInvalid,
            };
            return Err(CodecError::new(reason, "topic name", "is empty and no topic alias stands for it"));
        }
        let retain = flags & RETAIN != 0;
        let dup = dup && qos != QoS::AtMostOnce;
        Ok(Self { dup, qos, retain, topic, packet_id, payload: r.rest(), properties })
    }
}

impl PublishRef<'_> {
    pub(super) fn first_byte(&self) -> u8 {
        let dup = if self.dup && self.qos != QoS::AtMostOnce { DUP } else { 0 };
        let retain = if self.retain { RETAIN } else { 0 };
        Kind::Publish.first_byte() | dup | (self.qos as u8) << 1 | retain
    }

    pub(super) fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        let aliased = version == Version::V5 && self.properties.topic_alias.is_some();
        if self.topic.is_empty() && !aliased {
            return Err(CodecError::unwritable("topic name", "is empty and no topic alias stands for it"));
        }
        w.binary(self.topic.as_bytes(), "topic name")?;
        match (self.qos, self.packet_id) {
            (QoS::AtMostOnce, None) => {}
            (QoS::AtMostOnce, Some(_)) => {
                return Err(CodecError::unwritable("packet identifier", "is there although the QoS is 0"));
            }
            (_, Some(packet_id)) => w.u16(packet_id.get()),
            (_, None) => {
                return Err(CodecError::unwritable("packet identifier", "is missing although the QoS is not 0"));
            }
        }
        if version == Version::V5 {
            w.properties(|w| self.properties.write(w))?;
        }
        w.bytes(self.payload);
        Ok(())
    }
}

impl PublishProperties {
    /// `None` for an empty section.
    fn read(r: &mut Reader) -> Result<Option<Box<Self>>, CodecError> {
        let mut properties: Option<Box<Self>> = None;
        read_properties(r, |id, r| {
            let properties = properties.get_or_insert_default();
            match id {
                Property::TopicAlias => r.set(&mut properties.topic_alias, id, topic_alias),
                Property::SubscriptionId => {
                    properties.subscription_ids.push(r.subscription_id(id.words())?);
                    Ok(true)
                }
                _ => properties.take(id, r),
            }
        })?;
        Ok(properties)
    }

    /// Reads one of those that a will may have too.
    pub(super) fn take(&mut self, id: Property, r: &mut Reader) -> Result<bool, CodecError> {
        match id {
            Property::PayloadFormat => r.set(&mut self.payload_is_utf8, id, Reader::flag),
            Property::MessageExpiry => r.set(&mut self.expiry, id, Reader::u32),
            Property::ContentType => r.set(&mut self.content_type, id, Reader::text),
            Property::ResponseTopic => r.set(&mut self.response_topic, id, Reader::topic_name),
            Property::CorrelationData => r.set(&mut self.correlation_data, id, Reader::binary),
            Property::User => r.user(&mut self.user),
            _ => Ok(false),
        }
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), CodecError> {
        w.property_non_zero_u16(Property::TopicAlias, self.topic_alias);
        for subscription_id in &self.subscription_ids {
            w.property_subscription_id(*subscription_id)?;
        }
        self.write_common(w)
    }

    /// Writes those that a will may have too.
    pub(super) fn write_common(&self, w: &mut Writer<'_>) -> Result<(), CodecError> {
        w.property_flag(Property::PayloadFormat, self.payload_is_utf8);
        w.property_u32(Property::MessageExpiry, self.expiry);
        w.property_text(Property::ContentType, self.content_type.as_ref())?;
        w.property_text(Property::ResponseTopic, self.response_topic.as_ref())?;
        w.property_binary(Property::CorrelationData, self.correlation_data.as_deref())?;
        w.property_user(&self.user)
    }

    pub(super) fn check_payload_format(&self, payload: &[u8]) -> Result<(), CodecError> {
        if self.payload_is_utf8 == Some(true) && std::str::from_utf8(payload).is_err() {
            return Err(CodecError::new(
                ReasonCode::PayloadFormatInvalid,
                "payload",
                "is not the UTF-8 it claims to be",
            ));
        }
        Ok(())
    }
}

/// MQTT-3.3.2-8; the code as in section 3.14.2.1.
fn topic_alias(r: &mut Reader, field: &'static str) -> Result<NonZeroU16, CodecError> {
    NonZeroU16::new(r.u16(field)?).ok_or(CodecError::new(ReasonCode::TopicAliasInvalid, field, "is 0"))
}

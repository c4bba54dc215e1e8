//! The properties of 5.0 (section 2.2.2): their identifiers, the reading loop, and the groups that packets share.
//!
//! Owns that a property comes once at most and where the packet's table allows it. Never knows those tables: each
//! packet's `take` is its table.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::byte_enum::byte_enum;
use super::reader::Reader;
use super::writer::Writer;
use super::{CodecError, Utf8};

byte_enum! {
    /// The identifier of a property (section 2.2.2.2).
    pub(super) enum Property {
        PayloadFormat = 0x01 => "payload format indicator",
        MessageExpiry = 0x02 => "message expiry interval",
        ContentType = 0x03 => "content type",
        ResponseTopic = 0x08 => "response topic",
        CorrelationData = 0x09 => "correlation data",
        SubscriptionId = 0x0B => "subscription identifier",
        SessionExpiry = 0x11 => "session expiry interval",
        AssignedClientId = 0x12 => "assigned client identifier",
        ServerKeepAlive = 0x13 => "server keep alive",
        AuthenticationMethod = 0x15 => "authentication method",
        AuthenticationData = 0x16 => "authentication data",
        RequestProblemInformation = 0x17 => "request problem information",
        WillDelay = 0x18 => "will delay interval",
        RequestResponseInformation = 0x19 => "request response information",
        ResponseInformation = 0x1A => "response information",
        ServerReference = 0x1C => "server reference",
        ReasonString = 0x1F => "reason string",
        ReceiveMaximum = 0x21 => "receive maximum",
        TopicAliasMaximum = 0x22 => "topic alias maximum",
        TopicAlias = 0x23 => "topic alias",
        MaximumQoS = 0x24 => "maximum QoS",
        RetainAvailable = 0x25 => "retain available",
        User = 0x26 => "user property",
        MaximumPacketSize = 0x27 => "maximum packet size",
        WildcardsAvailable = 0x28 => "wildcard subscription available",
        SubscriptionIdsAvailable = 0x29 => "subscription identifiers available",
        SharedAvailable = 0x2A => "shared subscription available",
    }
}

/// Names and values that the peers agree on between themselves, in their order; names may repeat (section 3.3.2.3.7).
pub type UserProperties = Vec<(Utf8, Utf8)>;

/// Reads a property section. `take` reads the value of one property, or says `false`: not in this packet.
pub(super) fn read_properties(
    r: &mut Reader,
    mut take: impl FnMut(Property, &mut Reader) -> Result<bool, CodecError>,
) -> Result<(), CodecError> {
    let len = r.varint("property length")?;
    let mut section = Reader::new(r.take(len as usize, "properties")?);
    while !section.is_empty() {
        // A variable byte integer by its type, but all that are defined take one byte.
        let id = Property::from_u8(section.u8("property identifier")?)
            .ok_or(CodecError::malformed("property identifier", "is unknown"))?;
        if !take(id, &mut section)? {
            return Err(CodecError::malformed(id.words(), "is not a property of this packet"));
        }
    }
    Ok(())
}

impl Reader {
    /// Reads the value of property `id` by `read` into `slot`, which has to be empty. Always `true`, for `take`.
    pub(super) fn set<T>(
        &mut self,
        slot: &mut Option<T>,
        id: Property,
        read: impl Fn(&mut Self, &'static str) -> Result<T, CodecError>,
    ) -> Result<bool, CodecError> {
        if slot.is_some() {
            return Err(CodecError::protocol(id.words(), "comes more than once"));
        }
        *slot = Some(read(self, id.words())?);
        Ok(true)
    }

    /// Reads a user property behind those in `user`. Always `true`, for `take`.
    pub(super) fn user(&mut self, user: &mut UserProperties) -> Result<bool, CodecError> {
        let name = self.text("user property name")?;
        user.push((name, self.text("user property value")?));
        Ok(true)
    }

    /// A subscription identifier: 1 to 268 435 455 (section 3.8.2.1.2).
    pub(super) fn subscription_id(&mut self, field: &'static str) -> Result<NonZeroU32, CodecError> {
        NonZeroU32::new(self.varint(field)?).ok_or(CodecError::protocol(field, "is 0"))
    }
}

impl Writer<'_> {
    pub(super) fn property_flag(&mut self, id: Property, value: Option<bool>) {
        if let Some(value) = value {
            self.u8(id as u8);
            self.u8(u8::from(value));
        }
    }

    pub(super) fn property_u16(&mut self, id: Property, value: Option<u16>) {
        if let Some(value) = value {
            self.u8(id as u8);
            self.u16(value);
        }
    }

    pub(super) fn property_u32(&mut self, id: Property, value: Option<u32>) {
        if let Some(value) = value {
            self.u8(id as u8);
            self.u32(value);
        }
    }

    pub(super) fn property_non_zero_u16(&mut self, id: Property, value: Option<NonZeroU16>) {
        self.property_u16(id, value.map(NonZeroU16::get));
    }

    pub(super) fn property_non_zero_u32(&mut self, id: Property, value: Option<NonZeroU32>) {
        self.property_u32(id, value.map(NonZeroU32::get));
    }

    pub(super) fn property_binary(&mut self, id: Property, value: Option<&[u8]>) -> Result<(), CodecError> {
        let Some(value) = value else { return Ok(()) };
        self.u8(id as u8);
        self.binary(value, id.words())
    }

    pub(super) fn property_text(&mut self, id: Property, value: Option<&Utf8>) -> Result<(), CodecError> {
        self.property_binary(id, value.map(|text| text.as_bytes()))
    }

    pub(super) fn property_subscription_id(&mut self, value: NonZeroU32) -> Result<(), CodecError> {
        if value.get() > super::header::VARINT_MAX {
            return Err(CodecError::unwritable(Property::SubscriptionId.words(), "is more than 268435455"));
        }
        self.u8(Property::SubscriptionId as u8);
        self.varint(value.get());
        Ok(())
    }

    pub(super) fn property_user(&mut self, user: &[(Utf8, Utf8)]) -> Result<(), CodecError> {
        for (name, value) in user {
            self.u8(Property::User as u8);
            self.binary(name.as_bytes(), "user property name")?;
            self.binary(value.as_bytes(), "user property value")?;
        }
        Ok(())
    }
}

/// What a peer tells about an outcome: for people and logs, never for decisions (section 2.2.2.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// A text for people.
    pub reason_string: Option<Utf8>,
    /// User properties.
    pub user: UserProperties,
}

impl Details {
    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        self.reason_string.is_none() && self.user.is_empty()
    }

    pub(super) fn take(&mut self, id: Property, r: &mut Reader) -> Result<bool, CodecError> {
        match id {
            Property::ReasonString => r.set(&mut self.reason_string, id, Reader::text),
            Property::User => r.user(&mut self.user),
            _ => Ok(false),
        }
    }

    /// A property section of nothing but these.
    pub(super) fn read(r: &mut Reader) -> Result<Self, CodecError> {
        let mut details = Self::default();
        read_properties(r, |id, r| details.take(id, r))?;
        Ok(details)
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) -> Result<(), CodecError> {
        w.property_text(Property::ReasonString, self.reason_string.as_ref())?;
        w.property_user(&self.user)
    }
}

/// One step of extended authentication (section 4.12).
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication {
    /// The name of the method.
    pub method: Utf8,
    /// What the method says in this step.
    pub data: Option<Bytes>,
}

/// Leaves the data out: they may be a credential.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Authentication {
    pub(super) fn write(step: Option<&Self>, w: &mut Writer<'_>) -> Result<(), CodecError> {
        let Some(Self { method, data }) = step else { return Ok(()) };
        w.property_text(Property::AuthenticationMethod, Some(method))?;
        w.property_binary(Property::AuthenticationData, data.as_deref())
    }
}

/// The two properties of an [`Authentication`] while they are read, in either order.
#[derive(Default)]
pub(super) struct AuthenticationParts {
    method: Option<Utf8>,
    data: Option<Bytes>,
}

impl AuthenticationParts {
    pub(super) fn take(&mut self, id: Property, r: &mut Reader) -> Result<bool, CodecError> {
        match id {
            Property::AuthenticationMethod => r.set(&mut self.method, id, Reader::text),
            Property::AuthenticationData => r.set(&mut self.data, id, Reader::binary),
            _ => Ok(false),
        }
    }

    /// Data without a method are an error (section 3.1.2.11.10).
    pub(super) fn finish(self) -> Result<Option<Authentication>, CodecError> {
        match (self.method, self.data) {
            (Some(method), data) => Ok(Some(Authentication { method, data })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(CodecError::protocol(
                Property::AuthenticationData.words(),
                "comes without an authentication method",
            )),
        }
    }
}

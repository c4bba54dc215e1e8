//! CONNECT (section 3.1): who a client is and what it asks for.
//!
//! Owns which protocol names and levels are understood. Never judges a client identifier's length or a password.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::header::Header;
use super::property::{Authentication, AuthenticationParts, Property, UserProperties, read_properties};
use super::reader::{Reader, qos};
use super::writer::Writer;
use super::{CodecError, ReasonCode, Utf8, Version, Will};

const USER_NAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL_QOS: u8 = 0x18;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;
const RESERVED: u8 = 0x01;

/// A client's request for a connection. Options that are `None` were not sent; 3.x has none below `password`.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// The version of this packet and of all that follow.
    pub version: Version,
    /// Forget what an earlier session left; called clean session in 3.x.
    pub clean_start: bool,
    /// Seconds between two signs of life; 0 turns the check off.
    pub keep_alive: u16,
    /// The client's name; empty asks the server for one.
    pub client_id: Utf8,
    /// What to publish when the client is lost.
    pub will: Option<Will>,
    /// The user's name.
    pub user_name: Option<Utf8>,
    /// The password, at most 65 535 bytes. In 3.x only with a user name.
    pub password: Option<Bytes>,
    /// Seconds that the session outlives the connection; not sent means 0, and `u32::MAX` for ever.
    pub session_expiry: Option<u32>,
    /// How many unacknowledged QoS 1 and 2 messages the client takes; not sent means 65 535.
    pub receive_maximum: Option<NonZeroU16>,
    /// The largest packet that the client takes, in bytes; not sent means no limit.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The highest topic alias that the client takes; not sent means 0, none.
    pub topic_alias_maximum: Option<u16>,
    /// Asks for response information in CONNACK; not sent means no.
    pub request_response_information: Option<bool>,
    /// Whether any packet may have a reason string or user properties; not sent means yes.
    pub request_problem_information: Option<bool>,
    /// User properties.
    pub user: UserProperties,
    /// The first step of extended authentication.
    pub authentication: Option<Authentication>,
}

/// Leaves the password out.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("session_expiry", &self.session_expiry)
            .field("receive_maximum", &self.receive_maximum)
            .field("maximum_packet_size", &self.maximum_packet_size)
            .field("topic_alias_maximum", &self.topic_alias_maximum)
            .field("user", &self.user)
            .field("authentication", &self.authentication)
            .finish_non_exhaustive()
    }
}

impl Connect {
    /// A request with nothing optional in it.
    pub fn new(version: Version, client_id: Utf8) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 0,
            client_id,
            will: None,
            user_name: None,
            password: None,
            session_expiry: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: None,
            request_response_information: None,
            request_problem_information: None,
            user: Vec::new(),
            authentication: None,
        }
    }

    pub(super) fn read(header: Header, r: &mut Reader) -> Result<Self, CodecError> {
        let version = read_version(r)?;
        Self::read_as(version, header, r).map_err(|error| error.answer_as(version))
    }

    fn read_as(version: Version, header: Header, r: &mut Reader) -> Result<Self, CodecError> {
        header.check_connect(version)?;
        let flags = r.u8("connect flags")?;
        check_flags(flags, version)?;
        let mut connect = Self::new(version, Utf8::default());
        connect.clean_start = flags & CLEAN_START != 0;
        connect.keep_alive = r.u16("keep alive")?;
        if version == Version::V5 {
            connect.read_properties(r)?;
        }
        connect.client_id = r.text("client identifier")?;
        // MQTT-3.1.3-8 of 3.1.1; 3.1 asks for 1 to 23 characters.
        let may_be_empty = version == Version::V5 || (version == Version::V311 && connect.clean_start);
        if connect.client_id.is_empty() && !may_be_empty {
            return Err(CodecError::new(ReasonCode::ClientIdentifierNotValid, "client identifier", "is empty"));
        }
        if flags & WILL != 0 {
            let qos = qos(flags >> WILL_QOS.trailing_zeros(), "will QoS")?;
            connect.will = Some(Will::read(qos, flags & WILL_RETAIN != 0, version, r)?);
        }
        // 3.1 lets the packet end before a user name or password that the flags announce.
        let may_end = version == Version::V31;
        if flags & USER_NAME != 0 && !(may_end && r.is_empty()) {
            connect.user_name = Some(r.text("user name")?);
        }
        if flags & PASSWORD != 0 && !(may_end && r.is_empty()) {
            connect.password = Some(r.binary("password")?);
        }
        r.finish()?;
        Ok(connect)
    }

    fn read_properties(&mut self, r: &mut Reader) -> Result<(), CodecError> {
        let mut authentication = AuthenticationParts::default();
        read_properties(r, |id, r| match id {
            Property::SessionExpiry => r.set(&mut self.session_expiry, id, Reader::u32),
            Property::ReceiveMaximum => r.set(&mut self.receive_maximum, id, Reader::non_zero_u16),
            Property::MaximumPacketSize => r.set(&mut self.maximum_packet_size, id, Reader::non_zero_u32),
            Property::TopicAliasMaximum => r.set(&mut self.topic_alias_maximum, id, Reader::u16),
            Property::RequestResponseInformation => r.set(&mut self.request_response_information, id, Reader::flag),
            Property::RequestProblemInformation => r.set(&mut self.request_problem_information, id, Reader::flag),
            Property::User => r.user(&mut self.user),
            _ => authentication.take(id, r),
        })?;
        self.authentication = authentication.finish()?;
        Ok(())
    }

    pub(super) fn write_body(&self, w: &mut Writer<'_>) -> Result<(), CodecError> {
        let (name, level) = self.version.name_and_level();
        if self.version != Version::V5 && self.password.is_some() && self.user_name.is_none() {
            return Err(CodecError::unwritable("password", "is there without a user name"));
        }
        w.binary(name, "protocol name")?;
        w.u8(level);
        w.u8(self.flags());
        w.u16(self.keep_alive);
        if self.version == Version::V5 {
            w.properties(|w| self.write_properties(w))?;
        }
        w.binary(self.client_id.as_bytes(), "client identifier")?;
        if let Some(will) = &self.will {
            will.write(self.version, w)?;
        }
        if let Some(user_name) = &self.user_name {
            w.binary(user_name.as_bytes(), "user name")?;
        }
        if let Some(password) = &self.password {
            w.binary(password, "password")?;
        }
        Ok(())
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= WILL | (will.qos as u8) << WILL_QOS.trailing_zeros();
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        if self.user_name.is_some() {
            flags |= USER_NAME;
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        flags
    }

    fn write_properties(&self, w: &mut Writer<'_>) -> Result<(), CodecError> {
        w.property_u32(Property::SessionExpiry, self.session_expiry);
        w.property_non_zero_u16(Property::ReceiveMaximum, self.receive_maximum);
        w.property_non_zero_u32(Property::MaximumPacketSize, self.maximum_packet_size);
        w.property_u16(Property::TopicAliasMaximum, self.topic_alias_maximum);
        w.property_flag(Property::RequestResponseInformation, self.request_response_information);
        w.property_flag(Property::RequestProblemInformation, self.request_problem_information);
        w.property_user(&self.user)?;
        Authentication::write(self.authentication.as_ref(), w)
    }
}

impl Version {
    fn name_and_level(self) -> (&'static [u8], u8) {
        match self {
            Self::V31 => (b"MQIsdp", 3),
            Self::V311 => (b"MQTT", 4),
            Self::V5 => (b"MQTT", 5),
        }
    }
}

/// Reads protocol name and level (sections 3.1.2.1 and 3.1.2.2).
fn read_version(r: &mut Reader) -> Result<Version, CodecError> {
    let name = r.binary("protocol name")?;
    let unsupported = |rule| CodecError::new(ReasonCode::UnsupportedProtocolVersion, "protocol name", rule);
    if !matches!(&name[..], b"MQTT" | b"MQIsdp") {
        return Err(unsupported("is not MQTT"));
    }
    let level = r.u8("protocol level")?;
    let known = [Version::V31, Version::V311, Version::V5];
    known.into_iter().find(|version| version.name_and_level() == (&name[..], level)).ok_or_else(|| {
        // The high bit marks a bridge for some clients, which try again without it when the answer is in their format.
        let answer = if &name[..] == b"MQTT" && level & 0x7F >= 5 { Version::V5 } else { Version::V311 };
        unsupported("is followed by an unknown level").answer_as(answer)
    })
}

fn check_flags(flags: u8, version: Version) -> Result<(), CodecError> {
    // MQTT-3.1.2-3; 3.1 leaves the bit open.
    if flags & RESERVED != 0 && version != Version::V31 {
        return Err(CodecError::malformed("connect flags", "have the reserved bit set"));
    }
    // MQTT-3.1.2-11 and MQTT-3.1.2-13; 3.1 ignores them.
    if flags & WILL == 0 && flags & (WILL_QOS | WILL_RETAIN) != 0 && version != Version::V31 {
        return Err(CodecError::malformed("connect flags", "describe a will although there is none"));
    }
    // MQTT-3.1.2-22 of 3.1.1; 5.0 allows it.
    if flags & PASSWORD != 0 && flags & USER_NAME == 0 && version != Version::V5 {
        return Err(CodecError::protocol("password", "comes without a user name"));
    }
    Ok(())
}

//! CONNACK (section 3.2): the server's answer to CONNECT, and its limits.
//!
//! Owns the answer's two forms: return codes in 3.x, reason codes and properties in 5.0. Never decides the answer.

use std::num::{NonZeroU16, NonZeroU32};

use super::property::{Authentication, AuthenticationParts, Details, Property, read_properties};
use super::reader::Reader;
use super::writer::Writer;
use super::{CodecError, ReasonCode, Utf8, Version};
use crate::message::QoS;

/// Table 3-1, section 3.2.2.2.
pub(super) const ALLOWED: &[ReasonCode] = &[
    ReasonCode::Success,
    ReasonCode::UnspecifiedError,
    ReasonCode::MalformedPacket,
    ReasonCode::ProtocolError,
    ReasonCode::ImplementationSpecificError,
    ReasonCode::UnsupportedProtocolVersion,
    ReasonCode::ClientIdentifierNotValid,
    ReasonCode::BadUserNameOrPassword,
    ReasonCode::NotAuthorized,
    ReasonCode::ServerUnavailable,
    ReasonCode::ServerBusy,
    ReasonCode::Banned,
    ReasonCode::BadAuthenticationMethod,
    ReasonCode::TopicNameInvalid,
    ReasonCode::PacketTooLarge,
    ReasonCode::QuotaExceeded,
    ReasonCode::PayloadFormatInvalid,
    ReasonCode::RetainNotSupported,
    ReasonCode::QoSNotSupported,
    ReasonCode::UseAnotherServer,
    ReasonCode::ServerMoved,
    ReasonCode::ConnectionRateExceeded,
];

/// The server's answer. Options that are `None` were not sent; 3.x has nothing below `reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// A session was waiting for the client. Only on success, and not in 3.1.
    pub session_present: bool,
    /// Success, or why not. A return code of 3.x is read as the reason code that says the same.
    pub reason: ReasonCode,
    /// Seconds that the session outlives the connection; not sent means what the client asked for.
    pub session_expiry: Option<u32>,
    /// How many unacknowledged QoS 1 and 2 messages the server takes; not sent means 65 535.
    pub receive_maximum: Option<NonZeroU16>,
    /// The highest QoS that the server takes, 0 or 1; not sent means 2.
    pub maximum_qos: Option<QoS>,
    /// Whether messages can be retained; not sent means yes.
    pub retain_available: Option<bool>,
    /// The largest packet that the server takes, in bytes; not sent means no limit.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The name that the server gave to a client without one.
    pub assigned_client_id: Option<Utf8>,
    /// The highest topic alias that the server takes; not sent means 0, none.
    pub topic_alias_maximum: Option<u16>,
    /// Reason string and user properties.
    pub details: Details,
    /// Whether filters may have wildcards; not sent means yes.
    pub wildcards_available: Option<bool>,
    /// Whether subscriptions may have identifiers; not sent means yes.
    pub subscription_ids_available: Option<bool>,
    /// Whether subscriptions may be shared; not sent means yes.
    pub shared_available: Option<bool>,
    /// The keep alive to use, in seconds; not sent means what the client asked for.
    pub server_keep_alive: Option<u16>,
    /// What response topics are made from.
    pub response_information: Option<Utf8>,
    /// Another server to use.
    pub server_reference: Option<Utf8>,
    /// The last step of extended authentication.
    pub authentication: Option<Authentication>,
}

impl ConnAck {
    /// An answer with nothing optional in it.
    pub fn new(session_present: bool, reason: ReasonCode) -> Self {
        Self {
            session_present,
            reason,
            session_expiry: None,
            receive_maximum: None,
            maximum_qos: None,
            retain_available: None,
            maximum_packet_size: None,
            assigned_client_id: None,
            topic_alias_maximum: None,
            details: Details::default(),
            wildcards_available: None,
            subscription_ids_available: None,
            shared_available: None,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication: None,
        }
    }

    pub(super) fn read(version: Version, r: &mut Reader) -> Result<Self, CodecError> {
        let flags = r.u8("connect acknowledge flags")?;
        // 3.1 has no flags: the byte is reserved and its value open.
        let session_present = version != Version::V31 && flags & 1 != 0;
        if version != Version::V31 && flags & !1 != 0 {
            return Err(CodecError::malformed("connect acknowledge flags", "have a reserved bit set"));
        }
        let reason = match version {
            Version::V5 => r.reason(ALLOWED)?,
            Version::V31 | Version::V311 => ReasonCode::from_connack_v3(r.u8("return code")?)
                .ok_or(CodecError::protocol("return code", "is reserved"))?,
        };
        // MQTT-3.2.2-6; MQTT-3.2.2-4 of 3.1.1.
        if session_present && reason != ReasonCode::Success {
            return Err(CodecError::protocol("session present flag", "is set on a refusal"));
        }
        let mut connack = Self::new(session_present, reason);
        if version == Version::V5 {
            connack.read_properties(r)?;
        }
        Ok(connack)
    }

    fn read_properties(&mut self, r: &mut Reader) -> Result<(), CodecError> {
        let mut authentication = AuthenticationParts::default();
        read_properties(r, |id, r| match id {
            Property::SessionExpiry => r.set(&mut self.session_expiry, id, Reader::u32),
            Property::ReceiveMaximum => r.set(&mut self.receive_maximum, id, Reader::non_zero_u16),
            Property::MaximumQoS => r.set(&mut self.maximum_qos, id, maximum_qos),
            Property::RetainAvailable => r.set(&mut self.retain_available, id, Reader::flag),
            Property::MaximumPacketSize => r.set(&mut self.maximum_packet_size, id, Reader::non_zero_u32),
            Property::AssignedClientId => r.set(&mut self.assigned_client_id, id, Reader::text),
            Property::TopicAliasMaximum => r.set(&mut self.topic_alias_maximum, id, Reader::u16),
            Property::WildcardsAvailable => r.set(&mut self.wildcards_available, id, Reader::flag),
            Property::SubscriptionIdsAvailable => r.set(&mut self.subscription_ids_available, id, Reader::flag),
            Property::SharedAvailable => r.set(&mut self.shared_available, id, Reader::flag),
            Property::ServerKeepAlive => r.set(&mut self.server_keep_alive, id, Reader::u16),
            Property::ResponseInformation => r.set(&mut self.response_information, id, Reader::text),
            Property::ServerReference => r.set(&mut self.server_reference, id, Reader::text),
            Property::ReasonString | Property::User => self.details.take(id, r),
            _ => authentication.take(id, r),
        })?;
        self.authentication = authentication.finish()?;
        Ok(())
    }

    pub(super) fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        let session_present = self.session_present && self.reason == ReasonCode::Success;
        w.u8(u8::from(session_present && version != Version::V31));
        if version == Version::V5 {
            w.reason(self.reason, ALLOWED)?;
            return w.properties(|w| self.write_properties(w));
        }
        let code = self.reason.connack_v3();
        w.u8(code.ok_or(CodecError::unwritable("reason code", "has no return code in 3.x that says the same"))?);
        Ok(())
    }

    fn write_properties(&self, w: &mut Writer<'_>) -> Result<(), CodecError> {
        w.property_u32(Property::SessionExpiry, self.session_expiry);
        w.property_non_zero_u16(Property::ReceiveMaximum, self.receive_maximum);
        // There is no value for 2: it is what not sending means (section 3.2.2.3.4).
        w.property_flag(Property::MaximumQoS, self.maximum_qos.and_then(at_most_one));
        w.property_flag(Property::RetainAvailable, self.retain_available);
        w.property_non_zero_u32(Property::MaximumPacketSize, self.maximum_packet_size);
        w.property_text(Property::AssignedClientId, self.assigned_client_id.as_ref())?;
        w.property_u16(Property::TopicAliasMaximum, self.topic_alias_maximum);
        self.details.write(w)?;
        w.property_flag(Property::WildcardsAvailable, self.wildcards_available);
        w.property_flag(Property::SubscriptionIdsAvailable, self.subscription_ids_available);
        w.property_flag(Property::SharedAvailable, self.shared_available);
        w.property_u16(Property::ServerKeepAlive, self.server_keep_alive);
        w.property_text(Property::ResponseInformation, self.response_information.as_ref())?;
        w.property_text(Property::ServerReference, self.server_reference.as_ref())?;
        Authentication::write(self.authentication.as_ref(), w)
    }
}

fn maximum_qos(r: &mut Reader, field: &'static str) -> Result<QoS, CodecError> {
    Ok(if r.flag(field)? { QoS::AtLeastOnce } else { QoS::AtMostOnce })
}

fn at_most_one(qos: QoS) -> Option<bool> {
    match qos {
        QoS::AtMostOnce => Some(false),
        QoS::AtLeastOnce => Some(true),
        QoS::ExactlyOnce => None,
    }
}

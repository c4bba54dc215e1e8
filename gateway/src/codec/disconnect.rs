//! DISCONNECT and AUTH (sections 3.14 and 3.15).
//!
//! Owns their codes and properties. Never knows the direction: session expiry is the client's and server reference
//! the server's to send (sections 3.14.2.2.2 and 3.14.2.2.5), which the session checks.

use super::property::{Authentication, AuthenticationParts, Details, Property, read_properties};
use super::reader::Reader;
use super::writer::Writer;
use super::{CodecError, ReasonCode, Utf8, Version};

/// Section 3.14.2.1, and 0x8C, which section 2.4 has for DISCONNECT too.
pub(super) const DISCONNECT: &[ReasonCode] = &[
    ReasonCode::Success,
    ReasonCode::DisconnectWithWill,
    ReasonCode::UnspecifiedError,
    ReasonCode::MalformedPacket,
    ReasonCode::ProtocolError,
    ReasonCode::ImplementationSpecificError,
    ReasonCode::NotAuthorized,
    ReasonCode::ServerBusy,
    ReasonCode::ServerShuttingDown,
    ReasonCode::BadAuthenticationMethod,
    ReasonCode::KeepAliveTimeout,
    ReasonCode::SessionTakenOver,
    ReasonCode::TopicFilterInvalid,
    ReasonCode::TopicNameInvalid,
    ReasonCode::ReceiveMaximumExceeded,
    ReasonCode::TopicAliasInvalid,
    ReasonCode::PacketTooLarge,
    ReasonCode::MessageRateTooHigh,
    ReasonCode::QuotaExceeded,
    ReasonCode::AdministrativeAction,
    ReasonCode::PayloadFormatInvalid,
    ReasonCode::RetainNotSupported,
    ReasonCode::QoSNotSupported,
    ReasonCode::UseAnotherServer,
    ReasonCode::ServerMoved,
    ReasonCode::SharedSubscriptionsNotSupported,
    ReasonCode::ConnectionRateExceeded,
    ReasonCode::MaximumConnectTime,
    ReasonCode::SubscriptionIdentifiersNotSupported,
    ReasonCode::WildcardSubscriptionsNotSupported,
];

/// Section 3.15.2.1.
pub(super) const AUTH: &[ReasonCode] =
    &[ReasonCode::Success, ReasonCode::ContinueAuthentication, ReasonCode::ReAuthenticate];

/// The last packet on a connection. In 3.x it comes from clients only and says nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// Why; success is the normal end, after which no will is published.
    pub reason: ReasonCode,
    /// A new value, in seconds, for how long the session lives on; from clients only.
    pub session_expiry: Option<u32>,
    /// Reason string and user properties.
    pub details: Details,
    /// Another server to use; from servers only.
    pub server_reference: Option<Utf8>,
}

/// A step of extended authentication; 5.0 only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Whether authentication has succeeded, goes on or begins anew.
    pub reason: ReasonCode,
    /// The step. `None` only in the empty packet, which section 3.15.2.1 allows for success.
    pub authentication: Option<Authentication>,
    /// Reason string and user properties.
    pub details: Details,
}

impl Disconnect {
    /// A DISCONNECT without properties.
    pub fn new(reason: ReasonCode) -> Self {
        Self { reason, session_expiry: None, details: Details::default(), server_reference: None }
    }

    pub(super) fn read(version: Version, r: &mut Reader) -> Result<Self, CodecError> {
        let mut disconnect = Self::new(ReasonCode::Success);
        if version != Version::V5 || r.is_empty() {
            return Ok(disconnect);
        }
        disconnect.reason = r.reason(DISCONNECT)?;
        if r.is_empty() {
            return Ok(disconnect);
        }
        read_properties(r, |id, r| match id {
            Property::SessionExpiry => r.set(&mut disconnect.session_expiry, id, Reader::u32),
            Property::ServerReference => r.set(&mut disconnect.server_reference, id, Reader::text),
            _ => disconnect.details.take(id, r),
        })?;
        Ok(disconnect)
    }

    pub(super) fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        // The short forms of section 3.14.2.1 say the same in fewer bytes.
        let plain = self.session_expiry.is_none() && self.server_reference.is_none() && self.details.is_empty();
        if version != Version::V5 || (plain && self.reason == ReasonCode::Success) {
            return Ok(());
        }
        w.reason(self.reason, DISCONNECT)?;
        if plain {
            return Ok(());
        }
        w.properties(|w| {
            w.property_u32(Property::SessionExpiry, self.session_expiry);
            w.property_text(Property::ServerReference, self.server_reference.as_ref())?;
            self.details.write(w)
        })
    }
}

impl Auth {
    pub(super) fn read(r: &mut Reader) -> Result<Self, CodecError> {
        let mut auth = Self { reason: ReasonCode::Success, authentication: None, details: Details::default() };
        if r.is_empty() {
            return Ok(auth);
        }
        auth.reason = r.reason(AUTH)?;
        let mut authentication = AuthenticationParts::default();
        read_properties(r, |id, r| match id {
            Property::ReasonString | Property::User => auth.details.take(id, r),
            _ => authentication.take(id, r),
        })?;
        auth.authentication = authentication.finish()?;
        // Section 3.15.2.2.2.
        if auth.authentication.is_none() {
            return Err(CodecError::protocol(Property::AuthenticationMethod.words(), "is missing"));
        }
        Ok(auth)
    }

    pub(super) fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        if version != Version::V5 {
            return Err(CodecError::unwritable("AUTH", "is not a packet of 3.x"));
        }
        if self.authentication.is_none() {
            if self.reason == ReasonCode::Success && self.details.is_empty() {
                return Ok(());
            }
            return Err(CodecError::unwritable(Property::AuthenticationMethod.words(), "is missing"));
        }
        w.reason(self.reason, AUTH)?;
        w.properties(|w| {
            Authentication::write(self.authentication.as_ref(), w)?;
            self.details.write(w)
        })
    }
}

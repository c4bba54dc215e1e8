//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7), which have one form.
//!
//! Owns that form and its reason codes. Never knows which packets are in flight.

use std::num::NonZeroU16;

use super::property::Details;
use super::reader::Reader;
use super::writer::Writer;
use super::{CodecError, ReasonCode, Version};

/// The codes of PUBACK and PUBREC (sections 3.4.2.1 and 3.5.2.1).
pub(super) const RECEIVED: &[ReasonCode] = &[
    ReasonCode::Success,
    ReasonCode::NoMatchingSubscribers,
    ReasonCode::UnspecifiedError,
    ReasonCode::ImplementationSpecificError,
    ReasonCode::NotAuthorized,
    ReasonCode::TopicNameInvalid,
    ReasonCode::PacketIdentifierInUse,
    ReasonCode::QuotaExceeded,
    ReasonCode::PayloadFormatInvalid,
];

/// The codes of PUBREL and PUBCOMP (sections 3.6.2.1 and 3.7.2.1).
pub(super) const RELEASED: &[ReasonCode] = &[ReasonCode::Success, ReasonCode::PacketIdentifierNotFound];

/// One step in the acknowledgement of a PUBLISH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The PUBLISH that is meant.
    pub packet_id: NonZeroU16,
    /// How the step went. Always success in 3.x, which has no codes.
    pub reason: ReasonCode,
    /// Reason string and user properties; none in 3.x.
    pub details: Details,
}

impl Ack {
    /// An acknowledgement without properties.
    pub fn new(packet_id: NonZeroU16, reason: ReasonCode) -> Self {
        Self { packet_id, reason, details: Details::default() }
    }

    pub(super) fn read(version: Version, r: &mut Reader, allowed: &[ReasonCode]) -> Result<Self, CodecError> {
        let mut ack = Self::new(r.packet_id()?, ReasonCode::Success);
        if version != Version::V5 || r.is_empty() {
            return Ok(ack);
        }
        ack.reason = r.reason(allowed)?;
        if !r.is_empty() {
            ack.details = Details::read(r)?;
        }
        Ok(ack)
    }

    pub(super) fn write_body(
        &self,
        version: Version,
        w: &mut Writer<'_>,
        allowed: &[ReasonCode],
    ) -> Result<(), CodecError> {
        w.u16(self.packet_id.get());
        // The short forms of section 3.4.2.1 say the same in fewer bytes.
        if version != Version::V5 || (self.reason == ReasonCode::Success && self.details.is_empty()) {
            return Ok(());
        }
        w.reason(self.reason, allowed)?;
        if self.details.is_empty() {
            return Ok(());
        }
        w.properties(|w| self.details.write(w))
    }
}

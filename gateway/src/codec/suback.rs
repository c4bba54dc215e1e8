//! SUBACK and UNSUBACK (sections 3.9 and 3.11).
//!
//! Owns their codes in each version. Never counts them against what was asked.

use std::num::NonZeroU16;

use super::property::Details;
use super::reader::Reader;
use super::writer::Writer;
use super::{CodecError, ReasonCode, Version};

/// Section 3.9.3.
pub(super) const SUBACK: &[ReasonCode] = &[
    ReasonCode::Success,
    ReasonCode::GrantedQoS1,
    ReasonCode::GrantedQoS2,
    ReasonCode::UnspecifiedError,
    ReasonCode::ImplementationSpecificError,
    ReasonCode::NotAuthorized,
    ReasonCode::TopicFilterInvalid,
    ReasonCode::PacketIdentifierInUse,
    ReasonCode::QuotaExceeded,
    ReasonCode::SharedSubscriptionsNotSupported,
    ReasonCode::SubscriptionIdentifiersNotSupported,
    ReasonCode::WildcardSubscriptionsNotSupported,
];

/// Section 3.9.3 of 3.1.1. 3.1 has no failure; clients of its time understand the one of 3.1.1.
pub(super) const SUBACK_V3: &[ReasonCode] =
    &[ReasonCode::Success, ReasonCode::GrantedQoS1, ReasonCode::GrantedQoS2, ReasonCode::UnspecifiedError];

/// Section 3.11.3.
pub(super) const UNSUBACK: &[ReasonCode] = &[
    ReasonCode::Success,
    ReasonCode::NoSubscriptionExisted,
    ReasonCode::UnspecifiedError,
    ReasonCode::ImplementationSpecificError,
    ReasonCode::NotAuthorized,
    ReasonCode::TopicFilterInvalid,
    ReasonCode::PacketIdentifierInUse,
];

/// What became of the subscriptions that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// That of the SUBSCRIBE.
    pub packet_id: NonZeroU16,
    /// Reason string and user properties; 5.0 only.
    pub details: Details,
    /// One for each filter, in order: the granted QoS or an error, of which 3.x has but one.
    pub reasons: Vec<ReasonCode>,
}

/// What became of the subscriptions that were given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsubAck {
    /// That of the UNSUBSCRIBE.
    pub packet_id: NonZeroU16,
    /// Reason string and user properties; 5.0 only.
    pub details: Details,
    /// One for each filter, in order; 5.0 only.
    pub reasons: Vec<ReasonCode>,
}

impl SubAck {
    pub(super) fn read(version: Version, r: &mut Reader) -> Result<Self, CodecError> {
        let packet_id = r.packet_id()?;
        let (details, allowed) = match version {
            Version::V5 => (Details::read(r)?, SUBACK),
            Version::V31 | Version::V311 => (Details::default(), SUBACK_V3),
        };
        Ok(Self { packet_id, details, reasons: read_reasons(r, allowed)? })
    }

    pub(super) fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        w.u16(self.packet_id.get());
        if version == Version::V5 {
            w.properties(|w| self.details.write(w))?;
            return write_reasons(&self.reasons, w, SUBACK);
        }
        check_any(&self.reasons)?;
        for reason in &self.reasons {
            let reason = if reason.is_error() { ReasonCode::UnspecifiedError } else { *reason };
            w.reason(reason, SUBACK_V3)?;
        }
        Ok(())
    }
}

impl UnsubAck {
    pub(super) fn read(version: Version, r: &mut Reader) -> Result<Self, CodecError> {
        let packet_id = r.packet_id()?;
        if version != Version::V5 {
            return Ok(Self { packet_id, details: Details::default(), reasons: Vec::new() });
        }
        let details = Details::read(r)?;
        Ok(Self { packet_id, details, reasons: read_reasons(r, UNSUBACK)? })
    }

    pub(super) fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        w.u16(self.packet_id.get());
        if version != Version::V5 {
            return Ok(());
        }
        w.properties(|w| self.details.write(w))?;
        write_reasons(&self.reasons, w, UNSUBACK)
    }
}

/// As many codes as there were filters, so at least one.
fn read_reasons(r: &mut Reader, allowed: &[ReasonCode]) -> Result<Vec<ReasonCode>, CodecError> {
    let mut reasons = vec![r.reason(allowed)?];
    while !r.is_empty() {
        reasons.push(r.reason(allowed)?);
    }
    Ok(reasons)
}

fn write_reasons(reasons: &[ReasonCode], w: &mut Writer<'_>, allowed: &[ReasonCode]) -> Result<(), CodecError> {
    check_any(reasons)?;
    reasons.iter().try_for_each(|reason| w.reason(*reason, allowed))
}

fn check_any(reasons: &[ReasonCode]) -> Result<(), CodecError> {
    if reasons.is_empty() {
        Err(CodecError::unwritable("reason code", "is missing: there has to be one"))
    } else {
        Ok(())
    }
}

//! What is wrong with a packet: the field, the rule it breaks, and the reason code to answer with.
//!
//! Owns the codec's one error. Never holds anything that the peer sent, so it is safe to log.

use std::fmt;

use super::{ReasonCode, Version};

/// A packet that cannot be read, or one that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecError {
    reason: ReasonCode,
    field: &'static str,
    rule: &'static str,
    answer_as: Option<Version>,
}

impl CodecError {
    pub(super) fn new(reason: ReasonCode, field: &'static str, rule: &'static str) -> Self {
        Self { reason, field, rule, answer_as: None }
    }

    /// The bytes cannot be parsed (section 1.2, Malformed Packet).
    pub(super) fn malformed(field: &'static str, rule: &'static str) -> Self {
        Self::new(ReasonCode::MalformedPacket, field, rule)
    }

    /// The bytes parse, but the protocol does not allow them (section 1.2, Protocol Error).
    pub(super) fn protocol(field: &'static str, rule: &'static str) -> Self {
        Self::new(ReasonCode::ProtocolError, field, rule)
    }

    /// What was asked to be written has no form on the wire: a fault of this program, not of a peer.
    pub(super) fn unwritable(field: &'static str, rule: &'static str) -> Self {
        Self::new(ReasonCode::ImplementationSpecificError, field, rule)
    }

    pub(super) fn answer_as(self, version: Version) -> Self {
        Self { answer_as: Some(version), ..self }
    }

    /// The code for CONNACK or DISCONNECT (section 4.13).
    pub fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// The field at fault, as the specification calls it.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// For a faulty CONNECT: the version in which its sender can read a CONNACK. `None`: it does not speak MQTT, or
    /// has not come far enough to tell; close without an answer. Always `None` for other packets.
    pub fn answer_version(&self) -> Option<Version> {
        self.answer_as
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}, 0x{:02X})", self.field, self.rule, self.reason, self.reason as u8)
    }
}

impl std::error::Error for CodecError {}

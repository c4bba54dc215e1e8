//! The data types of the wire (section 1.5), read off a packet's body.
//!
//! Owns the bounds: nothing reads past the end of a packet or of a property section. Never interprets a value beyond
//! what its type forbids.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Buf, Bytes};

use super::header::{decode_varint, varint_len};
use super::{CodecError, ReasonCode, Utf8};
use crate::message::QoS;

/// What is left of a body or of a section of it.
pub(super) struct Reader {
    bytes: Bytes,
}

/// A read that ended before its field did.
fn ends_inside(field: &'static str) -> CodecError {
    CodecError::malformed(field, "is cut short by the end of the packet")
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    /// A packet ends where its last field does.
    pub(super) fn finish(&self) -> Result<(), CodecError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(CodecError::malformed("remaining length", "is longer than the packet's fields"))
    }

    pub(super) fn take(&mut self, len: usize, field: &'static str) -> Result<Bytes, CodecError> {
        if len > self.bytes.len() {
            return Err(ends_inside(field));
        }
        Ok(self.bytes.split_to(len))
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, CodecError> {
        self.bytes.try_get_u8().map_err(|_| ends_inside(field))
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, CodecError> {
        self.bytes.try_get_u16().map_err(|_| ends_inside(field))
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, CodecError> {
        self.bytes.try_get_u32().map_err(|_| ends_inside(field))
    }

    /// A byte that is 0 or 1.
    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, CodecError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::protocol(field, "is neither 0 nor 1")),
        }
    }

    pub(super) fn non_zero_u16(&mut self, field: &'static str) -> Result<NonZeroU16, CodecError> {
        NonZeroU16::new(self.u16(field)?).ok_or(CodecError::protocol(field, "is 0"))
    }

    pub(super) fn non_zero_u32(&mut self, field: &'static str) -> Result<NonZeroU32, CodecError> {
        NonZeroU32::new(self.u32(field)?).ok_or(CodecError::protocol(field, "is 0"))
    }

    /// A packet identifier (section 2.2.1).
    pub(super) fn packet_id(&mut self) -> Result<NonZeroU16, CodecError> {
        self.non_zero_u16("packet identifier")
    }

    /// A variable byte integer inside a packet, where only 5.0 has one (section 1.5.5).
    pub(super) fn varint(&mut self, field: &'static str) -> Result<u32, CodecError> {
        let (value, len) = decode_varint(self.bytes.iter().copied(), field)?.ok_or(ends_inside(field))?;
        if len != varint_len(value) {
            return Err(CodecError::malformed(field, "takes more bytes than it needs"));
        }
        self.bytes.advance(len);
        Ok(value)
    }

    /// Binary data: a two-byte length and as many bytes (section 1.5.6).
    pub(super) fn binary(&mut self, field: &'static str) -> Result<Bytes, CodecError> {
        let len = self.u16(field)?;
        self.take(usize::from(len), field)
    }

    /// A UTF-8 string (section 1.5.4).
    pub(super) fn text(&mut self, field: &'static str) -> Result<Utf8, CodecError> {
        Utf8::from_bytes(self.binary(field)?, field)
    }

    /// A topic name: not empty, no wildcards (MQTT-4.7.3-1, MQTT-4.7.0-1).
    pub(super) fn topic_name(&mut self, field: &'static str) -> Result<Utf8, CodecError> {
        let topic = self.text(field)?;
        if topic.is_empty() {
            return Err(CodecError::new(ReasonCode::TopicNameInvalid, field, "is empty"));
        }
        check_no_wildcard(&topic, field)?;
        Ok(topic)
    }

    /// A reason code out of `allowed`.
    pub(super) fn reason(&mut self, allowed: &[ReasonCode]) -> Result<ReasonCode, CodecError> {
        ReasonCode::from_u8(self.u8("reason code")?)
            .filter(|reason| allowed.contains(reason))
            .ok_or(CodecError::protocol("reason code", "is none that this packet has"))
    }
}

/// Topic names have no wildcards (MQTT-3.3.2-2).
pub(super) fn check_no_wildcard(topic: &str, field: &'static str) -> Result<(), CodecError> {
    if topic.bytes().any(|byte| matches!(byte, b'+' | b'#')) {
        return Err(CodecError::new(ReasonCode::TopicNameInvalid, field, "contains a wildcard"));
    }
    Ok(())
}

/// The QoS in the two lowest of `bits`, the others being ignored.
pub(super) fn qos(bits: u8, field: &'static str) -> Result<QoS, CodecError> {
    QoS::from_u8(bits & 0b11).ok_or(CodecError::malformed(field, "is 3"))
}

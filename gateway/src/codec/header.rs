//! The fixed header (section 2.1): packet type, flags, remaining length.
//!
//! Owns the cutting of the byte stream into packets, and the bound on their size. Never looks into a packet's body.

use bytes::{Buf, Bytes, BytesMut};

use super::byte_enum::byte_enum;
use super::{CodecError, ReasonCode, Version};

/// Room made at once for a packet of which nothing but the header has come.
const FIRST_STEP: usize = 4096;

byte_enum! {
    /// The type of a control packet (section 2.1.2), the high half of the first byte.
    pub(super) enum Kind {
        Connect = 1 => "CONNECT",
        ConnAck = 2 => "CONNACK",
        Publish = 3 => "PUBLISH",
        PubAck = 4 => "PUBACK",
        PubRec = 5 => "PUBREC",
        PubRel = 6 => "PUBREL",
        PubComp = 7 => "PUBCOMP",
        Subscribe = 8 => "SUBSCRIBE",
        SubAck = 9 => "SUBACK",
        Unsubscribe = 10 => "UNSUBSCRIBE",
        UnsubAck = 11 => "UNSUBACK",
        PingReq = 12 => "PINGREQ",
        PingResp = 13 => "PINGRESP",
        Disconnect = 14 => "DISCONNECT",
        Auth = 15 => "AUTH",
    }
}

impl Kind {
    /// The flags that every packet but PUBLISH has (section 2.1.3).
    fn fixed_flags(self) -> u8 {
        match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        }
    }

    /// Type and flags of any packet but PUBLISH, whose flags are then added.
    pub(super) fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.fixed_flags()
    }
}

/// A fixed header whose bytes have all arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The low half of the first byte.
    pub(super) flags: u8,
    /// The size of the header itself, in bytes.
    len: usize,
    /// The size of the body, in bytes.
    remaining: usize,
    /// Whether the remaining length takes no more bytes than it needs.
    minimal: bool,
}

impl Header {
    /// Reads the header at the front of `buf` and leaves it there; `None` when it is not whole.
    pub(super) fn peek(buf: &BytesMut, version: Option<Version>) -> Result<Option<Self>, CodecError> {
        let Some(&first) = buf.first() else { return Ok(None) };
        let kind = Kind::from_u8(first >> 4).ok_or(CodecError::malformed("packet type", "is reserved"))?;
        let flags = first & 0x0F;
        check_place(kind, version)?;
        if let Some(version) = version {
            check_flags(kind, flags, version)?;
        }
        let Some((remaining, length_len)) = decode_varint(buf.iter().skip(1).copied(), "remaining length")? else {
            return Ok(None);
        };
        let minimal = length_len == varint_len(remaining);
        let header = Self { kind, flags, len: 1 + length_len, remaining: remaining as usize, minimal };
        if let Some(version) = version {
            header.check_length(version)?;
        }
        Ok(Some(header))
    }

    /// For CONNECT, whose header comes before its version: what [`Self::peek`] checks of the others.
    pub(super) fn check_connect(&self, version: Version) -> Result<(), CodecError> {
        check_flags(self.kind, self.flags, version)?;
        self.check_length(version)
    }

    fn check_length(&self, version: Version) -> Result<(), CodecError> {
        // MQTT-1.5.5-1. The 3.x specifications do not ask for it.
        if version == Version::V5 && !self.minimal {
            return Err(CodecError::malformed("remaining length", "takes more bytes than it needs"));
        }
        Ok(())
    }

    /// Takes header and body off `buf` and gives the body; `None` when bytes are missing, with room made for them.
    pub(super) fn split_body(&self, buf: &mut BytesMut, max: usize) -> Result<Option<Bytes>, CodecError> {
        let total = self.len + self.remaining;
        if total > max {
            return Err(CodecError::new(ReasonCode::PacketTooLarge, self.kind.words(), "is larger than allowed here"));
        }
        let missing = total.saturating_sub(buf.len());
        if missing > 0 {
            // The room follows what has come, so that memory costs a peer as many bytes as it costs us.
            buf.reserve(missing.min(buf.len().max(FIRST_STEP)));
            return Ok(None);
        }
        buf.advance(self.len);
        Ok(Some(buf.split_to(self.remaining).freeze()))
    }
}

fn check_place(kind: Kind, version: Option<Version>) -> Result<(), CodecError> {
    match (kind, version) {
        // MQTT-3.1.0-2.
        (Kind::Connect, Some(_)) => Err(CodecError::protocol("CONNECT", "comes a second time")),
        (Kind::Connect, None) | (_, Some(Version::V5)) => Ok(()),
        (Kind::Auth, Some(_)) => Err(CodecError::malformed("packet type", "is reserved")),
        (_, Some(_)) => Ok(()),
        // MQTT-3.1.0-1.
        (_, None) => Err(CodecError::protocol("packet type", "is not CONNECT, which has to be the first packet")),
    }
}

fn check_flags(kind: Kind, flags: u8, version: Version) -> Result<(), CodecError> {
    let good = match (kind, version) {
        // PUBLISH reads its own.
        (Kind::Publish, _) => true,
        // In 3.1 these three have a QoS, always 1, and may be marked as duplicates; other flags mean nothing.
        (Kind::PubRel | Kind::Subscribe | Kind::Unsubscribe, Version::V31) => flags & 0b0110 == 0b0010,
        (_, Version::V31) => true,
        _ => flags == kind.fixed_flags(),
    };
    // MQTT-2.1.3-1; MQTT-2.2.2-2 of 3.1.1.
    if good { Ok(()) } else { Err(CodecError::malformed("fixed header flags", "have a reserved value")) }
}

/// The largest variable byte integer (section 1.5.5).
pub(super) const VARINT_MAX: u32 = 268_435_455;

/// How many bytes `value` takes as a variable byte integer.
pub(super) fn varint_len(value: u32) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// Reads a variable byte integer (section 1.5.5) and gives it with its length; `None` when `bytes` end inside it.
pub(super) fn decode_varint(
    bytes: impl Iterator<Item = u8>,
    field: &'static str,
) -> Result<Option<(u32, usize)>, CodecError> {
    let mut value = 0;
    for (index, byte) in bytes.take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
        if index == 3 {
            return Err(CodecError::malformed(field, "takes more than four bytes"));
        }
    }
    Ok(None)
}

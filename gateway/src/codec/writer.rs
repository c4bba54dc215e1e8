//! The data types of the wire (section 1.5), written.
//!
//! Owns lengths: a body is written twice by the same code, first only measured and then put down, so that no length is
//! computed in a second place and the output is grown once, by exactly what the packet takes. Never writes half a
//! packet.

use bytes::BytesMut;

use super::ReasonCode;
use super::error::CodecError;
use super::header::{VARINT_MAX, varint_len};

/// Counts bytes, and puts them down when it has a place for them.
pub(super) struct Writer<'a> {
    out: Option<&'a mut BytesMut>,
    len: usize,
}

/// The size of a body and of its packet, fixed header included.
fn measure(body: impl Fn(&mut Writer<'_>) -> Result<(), CodecError>) -> Result<(u32, usize), CodecError> {
    let mut counter = Writer { out: None, len: 0 };
    body(&mut counter)?;
    let remaining = checked_varint(counter.len, "packet")?;
    Ok((remaining, 1 + varint_len(remaining) + counter.len))
}

/// The size of a packet, fixed header included.
pub(super) fn frame_len(body: impl Fn(&mut Writer<'_>) -> Result<(), CodecError>) -> Result<usize, CodecError> {
    measure(body).map(|(_, total)| total)
}

/// Appends a packet: `first`, the length of what `body` writes, and that. On an error `out` is as it was.
pub(super) fn frame(
    first: u8,
    out: &mut BytesMut,
    body: impl Fn(&mut Writer<'_>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let (remaining, total) = measure(&body)?;
    out.reserve(total);
    let mut writer = Writer { out: Some(out), len: 0 };
    writer.u8(first);
    writer.varint(remaining);
    // What has been measured without an error is written without one.
    body(&mut writer)
}

fn checked_varint(len: usize, field: &'static str) -> Result<u32, CodecError> {
    u32::try_from(len)
        .ok()
        .filter(|len| *len <= VARINT_MAX)
        .ok_or(CodecError::unwritable(field, "is longer than 268435455 bytes"))
}

impl Writer<'_> {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if let Some(out) = &mut self.out {
            out.extend_from_slice(bytes);
        }
        self.len += bytes.len();
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// A variable byte integer (section 1.5.5) of at most [`VARINT_MAX`].
    pub(super) fn varint(&mut self, mut value: u32) {
        while value > 0x7F {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    /// Bytes after their two-byte length: a text or binary data (sections 1.5.4 and 1.5.6).
    pub(super) fn binary(&mut self, bytes: &[u8], field: &'static str) -> Result<(), CodecError> {
        let len =
            u16::try_from(bytes.len()).map_err(|_| CodecError::unwritable(field, "is longer than 65535 bytes"))?;
        self.u16(len);
        self.bytes(bytes);
        Ok(())
    }

    /// A reason code, if it is one of `allowed`.
    pub(super) fn reason(&mut self, reason: ReasonCode, allowed: &[ReasonCode]) -> Result<(), CodecError> {
        if !allowed.contains(&reason) {
            return Err(CodecError::unwritable("reason code", "is none that this packet has"));
        }
        self.u8(reason as u8);
        Ok(())
    }

    /// A property section: its length and what `section` writes (section 2.2.2).
    pub(super) fn properties(
        &mut self,
        section: impl Fn(&mut Writer<'_>) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let mut counter = Writer { out: None, len: 0 };
        section(&mut counter)?;
        self.varint(checked_varint(counter.len, "property length")?);
        section(self)
    }
}

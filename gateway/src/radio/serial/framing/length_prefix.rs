//! `length-prefix`: a count of payload bytes, the payload, perhaps a checksum over both.
//!
//! The checksum has the count's byte order and is not counted. Back in step: with a checksum, as soon as the bytes that
//! a false count claimed have come, or the line was silent for a second; without one only by that silence, since any
//! count up to `max_frame` is believed. A count above it is rejected and the search goes on behind its first byte.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use crc::{CRC_16_MODBUS, CRC_32_ISO_HDLC};

use super::rescan::{Format, Look, pieces};
use super::{EncodeError, Reject};
use crate::config::{Crc, Endian};

static CRC16: crc::Crc<u16> = crc::Crc::<u16>::new(&CRC_16_MODBUS);
static CRC32: crc::Crc<u32> = crc::Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The format of `length-prefix`.
pub(super) struct LengthPrefix {
    width: usize,
    endian: Endian,
    crc: Crc,
    max: usize,
}

impl LengthPrefix {
    pub(super) fn new(width: u8, endian: Endian, crc: Crc, max: usize) -> Self {
        Self { width: usize::from(width), endian, crc, max }
    }
}

impl Format for LengthPrefix {
    const STALL: Duration = Duration::from_secs(1);

    fn verifies(&self) -> bool {
        self.crc != Crc::None
    }

    fn look(&self, buffer: &VecDeque<u8>) -> Look {
        if buffer.len() < self.width.max(1) {
            return Look::More(self.width.max(1));
        }
        let count = number(&pieces(buffer, 0, self.width), self.endian);
        let Some(payload) = usize::try_from(count).ok().filter(|&count| count <= self.max) else {
            return Look::Bad { reason: Reject::TooLong, length: self.width };
        };
        let end = self.width.saturating_add(payload);
        let total = end.saturating_add(crc_width(self.crc));
        if buffer.len() < total {
            return Look::More(total);
        }
        if checksum(self.crc, &pieces(buffer, 0, end)) == number(&pieces(buffer, end, total), self.endian) {
            Look::Frame { header: self.width, payload, total }
        } else {
            Look::Bad { reason: Reject::Checksum, length: total }
        }
    }
}

fn crc_width(crc: Crc) -> usize {
    match crc {
        Crc::None => 0,
        Crc::Crc16 => 2,
        Crc::Crc32 => 4,
    }
}

fn checksum(crc: Crc, parts: &[&[u8]]) -> u64 {
    match crc {
        Crc::None => 0,
        Crc::Crc16 => {
            let mut digest = CRC16.digest();
            parts.iter().for_each(|part| digest.update(part));
            digest.finalize().into()
        }
        Crc::Crc32 => {
            let mut digest = CRC32.digest();
            parts.iter().for_each(|part| digest.update(part));
            digest.finalize().into()
        }
    }
}

/// Reads a number of at most 8 bytes.
fn number(parts: &[&[u8]], endian: Endian) -> u64 {
    let bytes = parts.iter().copied().flatten();
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    match endian {
        Endian::Big => bytes.fold(0, add),
        Endian::Little => bytes.rev().fold(0, add),
    }
}

/// Writes the low `width` bytes of a number, 8 at most.
fn put_number(value: u64, width: usize, endian: Endian, out: &mut BytesMut) {
    match endian {
        Endian::Big => out.put_uint(value, width.min(8)),
        Endian::Little => out.put_uint_le(value, width.min(8)),
    }
}

/// Count, payload, checksum.
pub(super) fn encode(
    width: u8,
    endian: Endian,
    crc: Crc,
    payload: &[u8],
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let count = payload.len() as u64;
    if width < 8 && count >> (8 * u32::from(width)) != 0 {
        return Err(EncodeError::CountTooSmall { length: payload.len(), width });
    }
    let mut head = BytesMut::with_capacity(8);
    put_number(count, usize::from(width), endian, &mut head);
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    put_number(checksum(crc, &[&head, payload]), crc_width(crc), endian, out);
    Ok(())
}

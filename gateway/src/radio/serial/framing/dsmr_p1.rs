//! `dsmr-p1`: telegrams of an electricity meter's P1 port (DSMR 5.0.2 P1 Companion Standard, chapter 6), from `/`
//! through the four hex digits behind `!`.
//!
//! The CRC is the one of that chapter: polynomial x16 + x15 + x2 + 1, reflected, initial 0, over `/` through `!`; that is
//! CRC-16/ARC. A telegram without one (DSMR 2 and 3) is rejected. Never looks at OBIS lines. `/` and `!` cannot stand in
//! a telegram's text (IEC 62056-21, clause 6), so each `/` brings it back in step.

use bytes::BytesMut;
use crc::{CRC_16_ARC, Crc};

use super::bytewise::Machine;
use super::gather::Gather;
use super::noise::Noise;
use super::{Decoded, EncodeError, Reject};

static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);

/// Hex digits of the CRC.
const DIGITS: usize = 4;

/// The machine of `dsmr-p1`.
pub(super) struct DsmrP1 {
    /// Digits still to come, once `!` was seen.
    digits: Option<usize>,
    gather: Gather,
    noise: Noise,
}

impl DsmrP1 {
    pub(super) fn new(max: usize) -> Self {
        Self { digits: None, gather: Gather::new(max), noise: Noise::new(max) }
    }

    fn inside(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        if self.digits.is_some() && !byte.is_ascii_hexdigit() {
            if matches!(byte, b'\r' | b'\n') {
                self.gather.reject(at, Reject::Checksum, found);
            } else {
                self.gather.reject(at.saturating_add(1), Reject::Malformed, found);
            }
            return;
        }
        self.gather.push(at, byte, found);
        self.digits = match self.digits {
            None if byte == b'!' => Some(DIGITS),
            left => left.map(|left| left.saturating_sub(1)),
        };
        if self.digits == Some(0) {
            if crc_is_right(self.gather.bytes()) {
                self.gather.finish(0, found);
            } else {
                self.gather.reject(at.saturating_add(1), Reject::Checksum, found);
                self.gather.forget();
            }
        }
    }
}

impl Machine for DsmrP1 {
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        match byte {
            b'/' => {
                self.noise.end(found);
                self.gather.reject(at, Reject::Incomplete, found);
                self.gather.begin(at);
                self.gather.push(at, byte, found);
                self.digits = None;
            }
            _ if self.gather.is_inside() => self.inside(at, byte, found),
            b'\r' | b'\n' => self.noise.end(found),
            _ if self.gather.is_between() => self.noise.take(at, found),
            _ => {}
        }
    }

    fn cut(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        self.digits = None;
        self.noise.end(found);
        self.gather.cut(at, found);
    }
}

/// The digits that belong behind `/` through `!`.
fn crc_digits(body: &[u8]) -> String {
    format!("{:04X}", CRC.checksum(body))
}

fn crc_is_right(telegram: &[u8]) -> bool {
    let (body, digits) = telegram.split_at(telegram.len().saturating_sub(DIGITS));
    digits.eq_ignore_ascii_case(crc_digits(body).as_bytes())
}

/// The telegram, its CRC if it has none, CR LF.
pub(super) fn encode(max_frame: usize, payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    let (first, text) = payload.split_first().ok_or(EncodeError::Empty)?;
    if *first != b'/' || text.contains(&b'/') {
        return Err(EncodeError::BadText("a P1 telegram begins with /, and has no other"));
    }
    let Some(mark) = payload.iter().position(|&byte| byte == b'!') else {
        return Err(EncodeError::BadText("a P1 telegram ends with !, or with ! and its CRC"));
    };
    let (body, given) = payload.split_at(mark + 1);
    let expected = crc_digits(body);
    match given.len() {
        0 => {}
        DIGITS if given.eq_ignore_ascii_case(expected.as_bytes()) => {}
        DIGITS if given.iter().all(u8::is_ascii_hexdigit) => return Err(EncodeError::WrongChecksum { expected }),
        _ => return Err(EncodeError::BadText("in a P1 telegram four hex digits follow !, and nothing else")),
    }
    let length = body.len() + DIGITS;
    if length > max_frame {
        return Err(EncodeError::TooLong { length, max_frame });
    }
    out.extend_from_slice(body);
    out.extend_from_slice(if given.is_empty() { expected.as_bytes() } else { given });
    out.extend_from_slice(b"\r\n");
    Ok(())
}

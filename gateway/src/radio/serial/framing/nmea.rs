//! `nmea`: NMEA 0183 sentences, from `$` or `!` through the two digits of the checksum.
//!
//! The checksum is the exclusive or of the bytes between the first and `*`, in hex of either case; a sentence without
//! one is rejected. Never looks at fields. `$` and `!` stand only at a sentence's beginning (NMEA 0183, reserved
//! characters), so each of them, and each line ending, brings it back in step.

use bytes::BytesMut;

use super::bytewise::Machine;
use super::gather::Gather;
use super::noise::Noise;
use super::{Decoded, EncodeError, Reject};

/// `*` and two digits.
const TRAILER: usize = 3;

/// The machine of `nmea`.
pub(super) struct Nmea {
    /// Digits still to come, once `*` was seen.
    digits: Option<u8>,
    gather: Gather,
    noise: Noise,
}

impl Nmea {
    pub(super) fn new(max: usize) -> Self {
        Self { digits: None, gather: Gather::new(max), noise: Noise::new(max) }
    }

    fn inside(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        if self.digits.is_some() && !byte.is_ascii_hexdigit() {
            self.gather.reject(at.saturating_add(1), Reject::Malformed, found);
            return;
        }
        self.gather.push(at, byte, found);
        self.digits = match self.digits {
            None if byte == b'*' => Some(2),
            left => left.map(|left| left.saturating_sub(1)),
        };
        if self.digits == Some(0) {
            if checksum_is_right(self.gather.bytes()) {
                self.gather.finish(0, found);
            } else {
                self.gather.reject(at.saturating_add(1), Reject::Checksum, found);
                self.gather.forget();
            }
        }
    }
}

impl Machine for Nmea {
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        match byte {
            b'$' | b'!' => {
                self.noise.end(found);
                self.gather.reject(at, Reject::Incomplete, found);
                self.gather.begin(at);
                self.gather.push(at, byte, found);
                self.digits = None;
            }
            b'\r' | b'\n' => {
                self.noise.end(found);
                self.gather.reject(at, Reject::Checksum, found);
                self.gather.forget();
            }
            _ if self.gather.is_inside() => self.inside(at, byte, found),
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

/// Exclusive or of the bytes behind the sentence's first.
fn checksum(sentence: &[u8]) -> u8 {
    sentence.iter().skip(1).fold(0, |sum, byte| sum ^ byte)
}

/// Whether a sentence, from its first byte to the two digits, has the checksum that they say.
pub(in crate::radio) fn checksum_is_right(sentence: &[u8]) -> bool {
    let (body, trailer) = sentence.split_at(sentence.len().saturating_sub(TRAILER));
    trailer.eq_ignore_ascii_case(format!("*{:02X}", checksum(body)).as_bytes())
}

/// The sentence, its checksum if it has none, CR LF.
pub(super) fn encode(max_frame: usize, payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    let (first, text) = payload.split_first().ok_or(EncodeError::Empty)?;
    if !matches!(first, b'$' | b'!') {
        return Err(EncodeError::BadText("an NMEA sentence begins with $ or !"));
    }
    if !text.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'$' | b'!')) {
        return Err(EncodeError::BadText(
            "an NMEA sentence is one line of printable ASCII, with $ and ! only in front",
        ));
    }
    let (body, expected) = match payload.iter().position(|&byte| byte == b'*') {
        None => (payload, format!("*{:02X}", checksum(payload))),
        Some(star) if star + TRAILER == payload.len() => {
            let (body, given) = payload.split_at(star);
            let expected = format!("*{:02X}", checksum(body));
            if !given.eq_ignore_ascii_case(expected.as_bytes()) {
                return Err(EncodeError::WrongChecksum { expected });
            }
            (payload, String::new())
        }
        Some(_) => return Err(EncodeError::BadText("in an NMEA sentence two hex digits follow *, and nothing else")),
    };
    let length = body.len() + expected.len();
    if length > max_frame {
        return Err(EncodeError::TooLong { length, max_frame });
    }
    out.extend_from_slice(body);
    out.extend_from_slice(expected.as_bytes());
    out.extend_from_slice(b"\r\n");
    Ok(())
}

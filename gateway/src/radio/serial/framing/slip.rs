//! `slip`: RFC 1055.
//!
//! Repeated END bytes are passed over. Back in step after the next END, so the encoder sends one in front as well, as
//! the RFC advises.

use bytes::{BufMut, BytesMut};

use super::bytewise::Machine;
use super::gather::Gather;
use super::{Decoded, EncodeError, Reject};

/// Ends a frame.
const END: u8 = 0xC0;
/// Says that the next byte stands for another one.
const ESC: u8 = 0xDB;
/// After ESC: an END in the payload.
const ESC_END: u8 = 0xDC;
/// After ESC: an ESC in the payload.
const ESC_ESC: u8 = 0xDD;

/// The machine of `slip`.
pub(super) struct Slip {
    escaped: bool,
    gather: Gather,
}

impl Slip {
    pub(super) fn new(max: usize) -> Self {
        Self { escaped: false, gather: Gather::new(max) }
    }

    fn escaped(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        match byte {
            ESC_END => self.gather.push(at, END, found),
            ESC_ESC => self.gather.push(at, ESC, found),
            _ => self.gather.reject(at.saturating_add(1), Reject::Malformed, found),
        }
        if byte == END {
            self.gather.forget();
        }
    }
}

impl Machine for Slip {
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        if std::mem::take(&mut self.escaped) {
            return self.escaped(at, byte, found);
        }
        match byte {
            END => self.gather.finish(0, found),
            ESC => {
                self.escaped = true;
                if self.gather.is_between() {
                    self.gather.begin(at);
                }
            }
            _ => self.gather.push(at, byte, found),
        }
    }

    fn cut(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        self.escaped = false;
        self.gather.cut(at, found);
    }
}

/// END, the payload with END and ESC escaped, END.
pub(super) fn encode(payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    if payload.is_empty() {
        return Err(EncodeError::Empty);
    }
    out.put_u8(END);
    for &byte in payload {
        match byte {
            END => out.extend_from_slice(&[ESC, ESC_END]),
            ESC => out.extend_from_slice(&[ESC, ESC_ESC]),
            _ => out.put_u8(byte),
        }
    }
    out.put_u8(END);
    Ok(())
}

//! `line`: lines of text, without their ending.
//!
//! Empty lines are passed over. Never checks that it is text. Back in step after the next ending.

use bytes::BytesMut;

use super::bytewise::Machine;
use super::gather::Gather;
use super::{Decoded, EncodeError};
use crate::config::LineEnding;

/// The machine of `line`.
pub(super) struct Line {
    ending: LineEnding,
    /// A `\r` came that is payload unless `\n` follows; only with CRLF.
    held: bool,
    gather: Gather,
}

impl Line {
    pub(super) fn new(ending: LineEnding, max: usize) -> Self {
        Self { ending, held: false, gather: Gather::new(max) }
    }

    fn crlf(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        let held = std::mem::replace(&mut self.held, byte == b'\r');
        if held && byte == b'\n' {
            self.gather.finish(0, found);
            return;
        }
        if held {
            self.gather.push(at.saturating_sub(1), b'\r', found);
        }
        if byte != b'\r' {
            self.gather.push(at, byte, found);
        }
    }
}

impl Machine for Line {
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        match (self.ending, byte) {
            (LineEnding::Crlf, _) => self.crlf(at, byte, found),
            (LineEnding::Lf, b'\n') | (LineEnding::Cr, b'\r') => self.gather.finish(0, found),
            _ => self.gather.push(at, byte, found),
        }
    }

    fn cut(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        if std::mem::take(&mut self.held) && self.gather.is_between() {
            self.gather.begin(at.saturating_sub(1));
        }
        self.gather.cut(at, found);
    }
}

/// The payload and the ending.
pub(super) fn encode(ending: LineEnding, payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    let (mark, name): (&[u8], _) = match ending {
        LineEnding::Lf => (b"\n", "LF"),
        LineEnding::Crlf => (b"\r\n", "CRLF"),
        LineEnding::Cr => (b"\r", "CR"),
    };
    if payload.is_empty() {
        return Err(EncodeError::Empty);
    }
    if payload.windows(mark.len()).any(|window| window == mark) {
        return Err(EncodeError::EndingInside(name));
    }
    out.extend_from_slice(payload);
    out.extend_from_slice(mark);
    Ok(())
}

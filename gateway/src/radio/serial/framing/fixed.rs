//! `fixed`: every frame has the same number of bytes.
//!
//! Nothing in the stream tells where a frame begins, so a lost byte is never noticed: only a reset brings it back in
//! step.

use bytes::BytesMut;

use super::bytewise::Machine;
use super::gather::Gather;
use super::{Decoded, EncodeError};

/// The machine of `fixed`.
pub(super) struct Fixed {
    length: usize,
    /// Bytes of the present frame, skipped ones included.
    count: usize,
    gather: Gather,
}

impl Fixed {
    pub(super) fn new(length: usize, max: usize) -> Self {
        Self { length: length.max(1), count: 0, gather: Gather::new(max) }
    }
}

impl Machine for Fixed {
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        self.gather.push(at, byte, found);
        self.count += 1;
        if self.count == self.length {
            self.count = 0;
            self.gather.finish(0, found);
        }
    }

    fn cut(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        self.count = 0;
        self.gather.cut(at, found);
    }
}

/// The payload as it is, if it has the length.
pub(super) fn encode(length: usize, payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    if payload.len() != length {
        return Err(EncodeError::WrongLength { length: payload.len(), expected: length });
    }
    out.extend_from_slice(payload);
    Ok(())
}

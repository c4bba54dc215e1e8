//! `raw`: whatever one read returns is one frame.
//!
//! Never waits, never buffers, never rejects. There is nothing to lose step with.

use bytes::{Bytes, BytesMut};

use super::{Decoded, Decoder, EncodeError};

/// The decoder of `raw`.
pub(super) struct Raw {
    max: usize,
    at: u64,
}

impl Raw {
    pub(super) fn new(max: usize) -> Self {
        Self { max, at: 0 }
    }
}

impl Decoder for Raw {
    fn decode(&mut self, input: &[u8], found: &mut dyn FnMut(Decoded)) {
        for piece in input.chunks(self.max) {
            found(Decoded::Frame { start: self.at, payload: Bytes::copy_from_slice(piece) });
            self.at = self.at.saturating_add(piece.len() as u64);
        }
    }

    fn reset(&mut self, _found: &mut dyn FnMut(Decoded)) {}
}

/// The payload as it is; `idle-gap` frames look the same on the wire.
pub(super) fn encode(payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    if payload.is_empty() {
        return Err(EncodeError::Empty);
    }
    out.extend_from_slice(payload);
    Ok(())
}

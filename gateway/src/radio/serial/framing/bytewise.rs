//! Runs the framings that need to see only one byte at a time.
//!
//! Owns the count of bytes. Never looks at them.

use std::time::Duration;

use super::{Decoded, Decoder};

/// A framing as a machine that is fed byte by byte. Its work for each byte is bounded by a constant.
pub(super) trait Machine: Send + Sync {
    /// Takes one byte, which stands at offset `at` of the stream.
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded));

    /// See [`Decoder::idle`].
    fn idle(&mut self, _found: &mut dyn FnMut(Decoded)) {}

    /// See [`Decoder::idle_after`].
    fn idle_after(&self) -> Option<Duration> {
        None
    }

    /// The stream ends before offset `at`: reports what it cuts, and goes back to the state between two frames.
    fn cut(&mut self, at: u64, found: &mut dyn FnMut(Decoded));
}

/// A decoder made of a machine.
pub(super) struct Bytewise<M> {
    machine: M,
    /// Offset of the next byte.
    at: u64,
}

impl<M> Bytewise<M> {
    pub(super) fn new(machine: M) -> Self {
        Self { machine, at: 0 }
    }
}

impl<M: Machine> Decoder for Bytewise<M> {
    fn decode(&mut self, input: &[u8], found: &mut dyn FnMut(Decoded)) {
        for &byte in input {
            self.machine.byte(self.at, byte, found);
            self.at = self.at.saturating_add(1);
        }
    }

    fn idle(&mut self, found: &mut dyn FnMut(Decoded)) {
        self.machine.idle(found);
    }

    fn idle_after(&self) -> Option<Duration> {
        self.machine.idle_after()
    }

    fn reset(&mut self, found: &mut dyn FnMut(Decoded)) {
        self.machine.cut(self.at, found);
    }
}

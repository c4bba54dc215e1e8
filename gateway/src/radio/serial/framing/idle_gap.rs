//! `idle-gap`: bytes belong together until the line falls silent.
//!
//! Never measures the silence: the driver does. Back in step after the next silence. Encoded like `raw`.

use std::time::Duration;

use super::Decoded;
use super::bytewise::Machine;
use super::gather::Gather;

/// The machine of `idle-gap`.
pub(super) struct IdleGap {
    gap: Duration,
    gather: Gather,
}

impl IdleGap {
    pub(super) fn new(gap: Duration, max: usize) -> Self {
        Self { gap, gather: Gather::new(max) }
    }
}

impl Machine for IdleGap {
    fn byte(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        self.gather.push(at, byte, found);
    }

    fn idle(&mut self, found: &mut dyn FnMut(Decoded)) {
        self.gather.finish(0, found);
    }

    fn idle_after(&self) -> Option<Duration> {
        Some(self.gap)
    }

    fn cut(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        // Without the silence behind it, nobody knows whether it was whole.
        self.gather.cut(at, found);
    }
}

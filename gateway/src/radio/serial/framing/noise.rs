//! Bytes that belong to no frame.
//!
//! Owns the rule that each run of them is reported once. Never keeps them.

use super::{Decoded, Reject};

/// The run of noise so far.
///
/// A run is reported when it ends, or when it reaches `limit` bytes: noise that never ends must be seen too. The rest
/// of such a run passes in silence.
#[derive(Debug)]
pub(super) struct Noise {
    limit: usize,
    start: u64,
    length: usize,
}

impl Noise {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, start: 0, length: 0 }
    }

    /// The byte at this offset is noise.
    pub(super) fn take(&mut self, at: u64, found: &mut dyn FnMut(Decoded)) {
        if self.length == 0 {
            self.start = at;
        }
        self.length = self.length.saturating_add(1);
        if self.length == self.limit {
            self.report(found);
        }
    }

    /// The next byte is none, or there is no next byte.
    pub(super) fn end(&mut self, found: &mut dyn FnMut(Decoded)) {
        if self.length > 0 && self.length < self.limit {
            self.report(found);
        }
        self.length = 0;
    }

    fn report(&self, found: &mut dyn FnMut(Decoded)) {
        found(Decoded::Rejected { start: self.start, reason: Reject::Noise, length: self.length });
    }
}

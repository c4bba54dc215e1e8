//! The frame that is being gathered, byte by byte.
//!
//! Owns the limit on its length and the rule that what is given up is reported once and its rest skipped. Never knows
//! where frames begin or end.

use bytes::Bytes;

use super::{Decoded, Reject};

/// Where in the stream a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between two frames.
    Between,
    /// In a frame that began at this offset.
    Inside(u64),
    /// In a frame that was given up, until it ends.
    Skipping,
}

/// A frame so far. Holds at most `limit` bytes.
#[derive(Debug)]
pub(super) struct Gather {
    limit: usize,
    bytes: Vec<u8>,
    state: State,
}

impl Gather {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: Vec::new(), state: State::Between }
    }

    pub(super) fn is_between(&self) -> bool {
        self.state == State::Between
    }

    pub(super) fn is_inside(&self) -> bool {
        matches!(self.state, State::Inside(_))
    }

    /// What the frame holds so far; nothing when there is none.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins a frame whose first byte stands at `start`, whatever was before.
    pub(super) fn begin(&mut self, start: u64) {
        self.bytes.clear();
        self.state = State::Inside(start);
    }

    /// Takes a byte of payload that came with the stream's byte `at`. It begins a frame where there is none, and gives
    /// the frame up where it is one too many.
    pub(super) fn push(&mut self, at: u64, byte: u8, found: &mut dyn FnMut(Decoded)) {
        match self.state {
            State::Skipping => return,
            State::Between => self.begin(at),
            State::Inside(_) => {}
        }
        if self.bytes.len() < self.limit {
            self.bytes.push(byte);
        } else {
            self.reject(at.saturating_add(1), Reject::TooLong, found);
        }
    }

    /// Gives up the frame, of which the byte before offset `end` was the last, and skips what is left of it. Does
    /// nothing where there is no frame.
    pub(super) fn reject(&mut self, end: u64, reason: Reject, found: &mut dyn FnMut(Decoded)) {
        if let State::Inside(start) = self.state {
            let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
            found(Decoded::Rejected { start, reason, length });
            self.bytes.clear();
            self.state = State::Skipping;
        }
    }

    /// The frame ends here, and its last `trailer` bytes are no payload. A frame that was given up ends in silence.
    pub(super) fn finish(&mut self, trailer: usize, found: &mut dyn FnMut(Decoded)) {
        if let State::Inside(start) = self.state {
            let payload = self.bytes.get(..self.bytes.len().saturating_sub(trailer)).unwrap_or_default();
            found(Decoded::Frame { start, payload: Bytes::copy_from_slice(payload) });
        }
        self.forget();
    }

    /// The stream ends before offset `end`, and with it a frame that is not whole.
    pub(super) fn cut(&mut self, end: u64, found: &mut dyn FnMut(Decoded)) {
        self.reject(end, Reject::Incomplete, found);
        self.forget();
    }

    /// Back between frames.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.state = State::Between;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_without_end_is_reported_once_and_takes_no_more_than_its_limit() {
        let mut gather = Gather::new(100);
        let mut found = Vec::new();
        for at in 0..1_000_000 {
            gather.push(at, b'x', &mut |what| found.push(what));
            assert!(gather.bytes.capacity() <= 200);
        }
        assert_eq!(found, [Decoded::Rejected { start: 0, reason: Reject::TooLong, length: 101 }]);
    }
}

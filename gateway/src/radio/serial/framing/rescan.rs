//! Runs the framings whose frames announce their length.
//!
//! Owns the search for the next frame when an announcement was wrong: it looks again from the byte behind. Never
//! knows what a frame looks like.
//!
//! The search would be quadratic if a hostile line announced a long frame with every byte. So each byte of the stream
//! earns [`RESCAN_PER_BYTE`] bytes of checksumming, up to [`RESCAN_CREDIT`], and when that is spent a frame with a bad
//! checksum is skipped whole. Below that many bytes a frame the search never leaves out a place.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::{Decoded, Decoder, Reject};

/// Bytes that may be checksummed in vain for each byte of the stream.
const RESCAN_PER_BYTE: usize = 256;

/// What a quiet stream saves up of them, at most.
const RESCAN_CREDIT: usize = 4 << 20;

/// What stands at the beginning of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// That cannot be said before this many bytes have come.
    More(usize),
    /// A good frame.
    Frame {
        /// Bytes before the payload.
        header: usize,
        /// Bytes of payload.
        payload: usize,
        /// Bytes in all.
        total: usize,
    },
    /// Not a frame.
    Bad {
        /// Why.
        reason: Reject,
        /// Bytes that were looked at.
        length: usize,
    },
}

/// A framing that can say what stands at the beginning of a buffer.
pub(super) trait Format: Send + Sync {
    /// The silence after which the rest of a frame will not come any more.
    const STALL: Duration;

    /// Whether a checksum tells a frame from bytes that look like one. Only then is a frame looked for in the rest of one
    /// that broke off.
    fn verifies(&self) -> bool {
        true
    }

    /// Says it. Never asks for more bytes than its longest frame has, and only then reads more than a header.
    fn look(&self, buffer: &VecDeque<u8>) -> Look;
}

/// A decoder made of a format. Holds at most one frame.
pub(super) struct Rescan<F> {
    format: F,
    buffer: VecDeque<u8>,
    /// Offset of the buffer's first byte.
    at: u64,
    /// What went wrong was reported, and no good frame has come since.
    lost: bool,
    /// Where the last rejected frame ended, if it was one: the next may begin there.
    reported_to: u64,
    credit: usize,
}

impl<F: Format> Rescan<F> {
    pub(super) fn new(format: F) -> Self {
        Self { format, buffer: VecDeque::new(), at: 0, lost: false, reported_to: 0, credit: RESCAN_CREDIT }
    }

    /// Takes what can be taken from the buffer; says how many bytes it must hold before there is more.
    fn take(&mut self, found: &mut dyn FnMut(Decoded)) -> usize {
        loop {
            match self.format.look(&self.buffer) {
                Look::More(needed) => return needed,
                Look::Frame { header, payload, total } => {
                    let payload = pieces(&self.buffer, header, header.saturating_add(payload)).concat();
                    found(Decoded::Frame { start: self.at, payload: Bytes::from(payload) });
                    self.lost = false;
                    self.consume(total);
                }
                Look::Bad { reason, length } => self.bad(reason, length, found),
            }
        }
    }

    fn bad(&mut self, reason: Reject, length: usize, found: &mut dyn FnMut(Decoded)) {
        // Two corrupt frames in a row are two; what the search meets elsewhere is none.
        if !self.lost || (reason == Reject::Checksum && self.at == self.reported_to) {
            found(Decoded::Rejected { start: self.at, reason, length });
            self.lost = true;
            self.reported_to = self.at.saturating_add(length as u64);
        }
        let cost = if reason == Reject::Checksum { length } else { 0 };
        match self.credit.checked_sub(cost) {
            Some(left) => {
                self.credit = left;
                self.consume(1);
            }
            None => self.consume(length),
        }
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.buffer.len());
        self.buffer.drain(..count);
        self.at = self.at.saturating_add(count as u64);
        self.credit = self.credit.saturating_add(count.saturating_mul(RESCAN_PER_BYTE)).min(RESCAN_CREDIT);
    }
}

impl<F: Format> Decoder for Rescan<F> {
    fn decode(&mut self, input: &[u8], found: &mut dyn FnMut(Decoded)) {
        let mut input = input;
        loop {
            let missing = self.take(found).saturating_sub(self.buffer.len()).max(1);
            if input.is_empty() {
                return;
            }
            let (now, later) = input.split_at(missing.min(input.len()));
            self.buffer.extend(now);
            input = later;
        }
    }

    fn idle(&mut self, found: &mut dyn FnMut(Decoded)) {
        while !self.buffer.is_empty() {
            self.take(found);
            if !self.buffer.is_empty() {
                let rest = self.buffer.len();
                self.bad(Reject::Incomplete, rest, found);
                self.consume(if self.format.verifies() { 0 } else { rest });
            }
        }
        self.lost = false;
    }

    fn idle_after(&self) -> Option<Duration> {
        Some(F::STALL)
    }

    fn reset(&mut self, found: &mut dyn FnMut(Decoded)) {
        // No more will come, which is all that silence says too.
        self.idle(found);
    }
}

/// The bytes `from..to` of the buffer, in its two pieces; nothing where it has none.
pub(super) fn pieces(buffer: &VecDeque<u8>, from: usize, to: usize) -> [&[u8]; 2] {
    let (first, second) = buffer.as_slices();
    let cut = |piece: &'_ [u8], before: usize| {
        let clip = |offset: usize| offset.saturating_sub(before).min(piece.len());
        clip(from)..clip(to).max(clip(from))
    };
    let (near, far) = (cut(first, 0), cut(second, first.len()));
    [first.get(near).unwrap_or_default(), second.get(far).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Claims a frame of 1000 bytes at every place, finds its checksum wrong, and counts how often.
    #[derive(Default)]
    struct Liar {
        checked: AtomicUsize,
    }

    impl Format for Liar {
        const STALL: Duration = Duration::from_secs(1);

        fn look(&self, buffer: &VecDeque<u8>) -> Look {
            if buffer.len() < 1000 {
                return Look::More(1000);
            }
            self.checked.fetch_add(1, Ordering::Relaxed);
            Look::Bad { reason: Reject::Checksum, length: 1000 }
        }
    }

    #[test]
    fn a_stream_of_false_announcements_costs_a_bounded_search_and_one_frame_of_memory() {
        let mut decoder = Rescan::new(Liar::default());
        let mut reports = 0;
        for _ in 0..100 {
            decoder.decode(&[7; 10_000], &mut |_| reports += 1);
            assert!(decoder.buffer.len() <= 1000 && decoder.buffer.capacity() <= 2048);
        }
        let checksummed = decoder.format.checked.into_inner() * 1000;
        assert!(checksummed <= RESCAN_CREDIT + 1_000_000 * (RESCAN_PER_BYTE + 1), "{checksummed} bytes");
        assert!((1..=1000).contains(&reports), "{reports} reports");
    }

    #[test]
    fn the_pieces_of_a_wrapped_buffer_are_its_bytes() {
        let mut buffer = VecDeque::with_capacity(8);
        buffer.extend([0; 6]);
        buffer.drain(..6);
        buffer.extend(0..8);
        for from in 0..10_usize {
            for to in 0..10_usize {
                let expected: Vec<u8> = (0..8).skip(from).take(to.max(from) - from).collect();
                assert_eq!(pieces(&buffer, from, to).concat(), expected, "{from}..{to}");
            }
        }
    }
}

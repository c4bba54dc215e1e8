//! The bytes that came last on a line, read by read: for trying a framing on them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes that are kept. Policy: the oldest read is forgotten.
const BYTES: usize = 4096;

/// Reads that are kept: of a slow line each brings a byte or two.
const READS: usize = 1024;

/// See the module's head.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    bytes: VecDeque<u8>,
    /// How many bytes each brought, and when.
    reads: VecDeque<(usize, Instant)>,
}

impl Tail {
    /// Bytes came in one read.
    pub(in crate::radio) fn note(&mut self, bytes: &[u8], at: Instant) {
        let bytes = &bytes[bytes.len().saturating_sub(BYTES)..];
        while self.reads.len() >= READS || self.bytes.len() + bytes.len() > BYTES {
            let Some((length, _)) = self.reads.pop_front() else { break };
            self.bytes.drain(..length);
        }
        self.bytes.extend(bytes);
        self.reads.push_back((bytes.len(), at));
    }

    /// How many bytes are kept.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// When the last of them came.
    pub fn last(&self) -> Option<Instant> {
        self.reads.back().map(|(_, at)| *at)
    }

    /// Each read with the silence before it, in their order.
    pub(super) fn reads(&self) -> Vec<(Duration, Vec<u8>)> {
        let mut bytes = self.bytes.iter().copied();
        let mut before = None;
        let read = |(length, at): &(usize, Instant)| {
            let silence = before.replace(*at).map_or(Duration::ZERO, |before| at.saturating_duration_since(before));
            (silence, bytes.by_ref().take(*length).collect())
        };
        self.reads.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_last_reads_whole_and_no_more_than_its_bounds() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        for number in 0..100 {
            tail.note(&[number; 100], now + Duration::from_millis(number.into()));
        }
        let reads = tail.reads();
        assert_eq!((tail.len(), reads.len()), (4000, 40));
        assert!(reads.iter().zip(60..).all(|((_, bytes), number)| *bytes == [number; 100]));
        assert_eq!((reads[0].0, reads[1].0), (Duration::ZERO, Duration::from_millis(1)));
        tail.note(&[7; 10_000], now);
        assert_eq!((tail.len(), tail.reads().len()), (BYTES, 1));
        (0..2000).for_each(|_| tail.note(b"x", now));
        assert_eq!((tail.len(), tail.reads().len()), (READS, READS));
    }
}

//! When each byte came: maps places in the stream to the times of the reads that brought them.

use std::collections::VecDeque;

use crate::message::Received;

/// Reads that are remembered. A frame whose first byte came longer ago is dated by the oldest read that is.
const MARKS: usize = 4096;

/// The stream so far.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    marks: VecDeque<(u64, Received)>,
    total: u64,
}

impl Arrivals {
    /// Notes a read of `length` bytes.
    pub(super) fn note(&mut self, length: usize, at: Received) {
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back((self.total, at));
        self.total += length as u64;
    }

    /// When the byte at `offset` came. Forgets what came before it, since frames come in order.
    pub(super) fn of(&mut self, offset: u64) -> Option<Received> {
        while self.marks.get(1).is_some_and(|(start, _)| *start <= offset) {
            self.marks.pop_front();
        }
        self.marks.front().map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::*;
    use crate::message::ClockQuality;

    #[test]
    fn a_byte_is_dated_by_the_read_that_brought_it() {
        let start = Instant::now();
        let at = |ms| Received {
            wall: SystemTime::UNIX_EPOCH,
            monotonic: start + Duration::from_millis(ms),
            clock: ClockQuality::Unknown,
        };
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.of(0), None);
        arrivals.note(10, at(1));
        arrivals.note(1, at(2));
        arrivals.note(5, at(3));
        assert_eq!(arrivals.of(0), Some(at(1)));
        assert_eq!(arrivals.of(9), Some(at(1)));
        assert_eq!(arrivals.of(10), Some(at(2)));
        assert_eq!(arrivals.of(15), Some(at(3)));
    }

    #[test]
    fn only_so_many_reads_are_remembered() {
        let now = Received { wall: SystemTime::now(), monotonic: Instant::now(), clock: ClockQuality::Unknown };
        let mut arrivals = Arrivals::default();
        for _ in 0..2 * MARKS {
            arrivals.note(1, now);
        }
        assert_eq!(arrivals.marks.len(), MARKS);
    }
}

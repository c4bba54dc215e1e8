//! What became of each packet of a train. Pure: whoever sends and reads says what happened and when.

use std::time::{Duration, Instant};

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The first to its packet, after so long.
    First(Duration),
    /// Another one to its packet.
    Duplicate,
    /// The first to its packet, and too late.
    Late,
    /// To nothing that was sent.
    Stray,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Book {
    timeout: Duration,
    sent: Vec<Sent>,
    /// Answers that count.
    pub(super) received: u32,
    pub(super) duplicates: u32,
    pub(super) late: u32,
    /// Answers to a packet before one that was already answered (RFC 4737, section 3.3).
    pub(super) reordered: u32,
    /// Behind the last packet that was answered.
    expected: u32,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    answered: bool,
}

impl Book {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, sent: Vec::new(), received: 0, duplicates: 0, late: 0, reordered: 0, expected: 0 }
    }

    /// The next packet has left, or was to.
    pub(super) fn sent(&mut self, at: Instant) {
        self.sent.push(Sent { at, answered: false });
    }

    /// An answer to the packet with this number, from 0, has come.
    pub(super) fn answered(&mut self, sequence: u32, at: Instant) -> Verdict {
        let Some(sent) = self.sent.get_mut(sequence as usize) else { return Verdict::Stray };
        if std::mem::replace(&mut sent.answered, true) {
            self.duplicates += 1;
            return Verdict::Duplicate;
        }
        let took = at.saturating_duration_since(sent.at);
        if took > self.timeout {
            self.late += 1;
            return Verdict::Late;
        }
        self.received += 1;
        if sequence < self.expected {
            self.reordered += 1;
        } else {
            self.expected = sequence + 1;
        }
        Verdict::First(took)
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.sent.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn lost(&self) -> u32 {
        self.count() - self.received
    }

    /// When nothing more can come that counts.
    pub(super) fn over_at(&self) -> Option<Instant> {
        self.sent.last().map(|last| last.at + self.timeout)
    }

    /// Whether each has its answer.
    pub(super) fn is_complete(&self) -> bool {
        self.received + self.late == self.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_counts_once_and_in_time() {
        let (start, millis) = (Instant::now(), Duration::from_millis);
        let mut book = Book::new(millis(100));
        (0..5).for_each(|turn| book.sent(start + millis(10) * turn));
        assert_eq!(book.answered(1, start + millis(12)), Verdict::First(millis(2)));
        assert_eq!(book.answered(0, start + millis(13)), Verdict::First(millis(13)), "after 1: reordered");
        assert_eq!(book.answered(1, start + millis(14)), Verdict::Duplicate);
        assert_eq!(book.answered(2, start + millis(121)), Verdict::Late);
        assert_eq!(book.answered(2, start + millis(122)), Verdict::Duplicate);
        assert_eq!(book.answered(3, start + millis(130)), Verdict::First(millis(100)));
        assert_eq!(book.answered(5, start), Verdict::Stray);
        assert_eq!((book.received, book.lost(), book.duplicates, book.late, book.reordered), (3, 2, 2, 1, 1));
        assert_eq!((book.over_at(), book.is_complete()), (Some(start + millis(140)), false));
        // A clock that is read in another order does not make a delay negative.
        assert_eq!(book.answered(4, start), Verdict::First(Duration::ZERO));
        assert!(book.is_complete());
    }
}

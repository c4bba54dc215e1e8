//! Message ids: unique across restarts without a clock that can be trusted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names one message for ever: a random number for the run of the daemon and a count within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Random, drawn once when the daemon starts.
    pub run: u64,
    /// Counts up from 1 within the run.
    pub sequence: u64,
}

impl MessageId {
    /// Of a message that goes elsewhere without saying which it is; no message that came in has it.
    pub const NONE: Self = Self { run: 0, sequence: 0 };
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.run, self.sequence)
    }
}

/// Hands out the ids of one run.
#[derive(Debug)]
pub struct MessageIds {
    run: u64,
    last: AtomicU64,
}

impl MessageIds {
    /// Starts a run; `run` is a random number.
    pub fn new(run: u64) -> Self {
        Self { run, last: AtomicU64::new(0) }
    }

    /// The next id.
    pub fn next(&self) -> MessageId {
        MessageId { run: self.run, sequence: self.last.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

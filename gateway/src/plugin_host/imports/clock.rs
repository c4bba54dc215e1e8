//! Time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::super::bindings::stile::filter::clock::Host;
use super::super::state::State;

/// What time it is for a plugin.
#[derive(Debug)]
pub(in super::super) enum Clock {
    /// That of the machine; the monotonic clock begins at this moment.
    Machine(Instant),
    /// That of messages that are played again: microseconds since 1970, set by whoever plays them.
    Played(AtomicU64),
}

impl Clock {
    /// Microseconds since 1970.
    pub(in super::super) fn now(&self) -> u64 {
        match self {
            Self::Machine(_) => unix_micros(),
            Self::Played(micros) => micros.load(Ordering::Relaxed),
        }
    }

    /// Nanoseconds since some moment before.
    fn monotonic(&self) -> u64 {
        match self {
            Self::Machine(began) => u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            Self::Played(micros) => micros.load(Ordering::Relaxed).saturating_mul(1000),
        }
    }
}

impl Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.own.clock.now())
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(self.own.clock.monotonic())
    }
}

/// Microseconds since 1970; 0 for a clock that stands before that.
pub(in super::super) fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

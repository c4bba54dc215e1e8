//! Time.

use std::time::{SystemTime, UNIX_EPOCH};

use super::super::bindings::stile::filter::clock::Host;
use super::super::state::State;

impl Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(unix_micros())
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.own.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Microseconds since 1970; 0 for a clock that stands before that.
pub(in super::super) fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

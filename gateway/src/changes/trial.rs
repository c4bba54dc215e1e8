//! How long a change may still be confirmed. By the clock that counts from the machine's start and that nobody sets: the wall
//! clock may be, while a change waits.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Different after each start of the machine (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The time that a change has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    /// Which run of the machine.
    boot: String,
    /// When it begins and ends, in milliseconds since the machine's start.
    begun: u64,
    due: u64,
}

fn now() -> (String, u64) {
    // Where it is hidden, a machine that was started again is known by its clock alone.
    let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
    let time = clock_gettime(ClockId::Boottime);
    (boot, u64::try_from(time.tv_sec * 1000 + time.tv_nsec / 1_000_000).unwrap_or_default())
}

impl Trial {
    /// One that begins now.
    pub(super) fn of(within: Duration) -> Self {
        let (boot, begun) = now();
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        Self { boot, begun, due: begun.saturating_add(within) }
    }

    /// What is left of it; nothing after a start of the machine.
    pub(super) fn left(&self) -> Duration {
        let (boot, now) = now();
        if boot != self.boot || now < self.begun {
            return Duration::ZERO;
        }
        Duration::from_millis(self.due.saturating_sub(now))
    }

    pub(super) fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_its_time_and_with_the_machine() {
        let trial = Trial::of(Duration::from_secs(60));
        assert!(trial.left() > Duration::from_secs(50) && !trial.is_over(), "{trial:?}");
        assert!(Trial::of(Duration::ZERO).is_over());
        assert!(Trial { boot: "another".into(), ..trial.clone() }.is_over());
        // The clock began anew, though nobody could say so.
        assert!(Trial { begun: u64::MAX - 1, due: u64::MAX, ..trial }.is_over());
    }
}

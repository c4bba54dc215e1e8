//! CPU time of one call.
//!
//! Wall time would cut healthy calls on a busy machine, so the thread's own CPU clock is what counts. Nothing reads a clock
//! on a call that ends before the ticker's next beat: the first beat that a call sees notes the time, later ones compare. So
//! a call may have up to one beat more than its budget. There is no limit by the wall: a guest has no import that waits, so
//! a call that does not run does not last either.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that the calling thread has used.
pub(super) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What is left of a call's CPU time.
#[derive(Debug)]
pub(super) struct Budget {
    most: Duration,
    /// The thread's time at the first beat of this call.
    first: Option<Duration>,
}

impl Budget {
    pub(super) fn new(most: Duration) -> Self {
        Self { most, first: None }
    }

    /// A call begins.
    pub(super) fn begin(&mut self, most: Duration) {
        self.most = most;
        self.first = None;
    }

    /// A beat while the call runs; `used` is the thread's time. Whether the call has had enough.
    pub(super) fn beat(&mut self, used: Duration) -> bool {
        let first = *self.first.get_or_insert(used);
        used.saturating_sub(first) >= self.most
    }

    pub(super) fn most(&self) -> Duration {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_the_first_beat_of_each_call() {
        let ms = Duration::from_millis;
        let mut budget = Budget::new(ms(2));
        assert!(!budget.beat(ms(1000)));
        assert!(!budget.beat(ms(1001)));
        assert!(budget.beat(ms(1002)));
        budget.begin(ms(2));
        assert!(!budget.beat(ms(1003)));
        assert!(!budget.beat(ms(1003)));
        assert!(budget.beat(ms(1006)));
    }

    #[test]
    fn a_thread_that_waits_uses_no_time() {
        let before = thread_time();
        std::thread::sleep(Duration::from_millis(50));
        assert!(thread_time() - before < Duration::from_millis(40));
        let mut sum = 0_u64;
        while thread_time() - before < Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }
}

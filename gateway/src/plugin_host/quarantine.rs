//! When a plugin that fails again and again is left alone, and for how long.
//!
//! So many failures within so much time, and it is not called for [`FIRST_PAUSE`]. Then the next message is a trial: a
//! failure within that time again, and the pause is twice as long, up to [`LONGEST_PAUSE`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the first time.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// How long at most.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The count of one plugin's failures. Asks nobody for the time.
#[derive(Debug)]
pub(super) struct Quarantine {
    most: usize,
    within: Duration,
    failures: VecDeque<Instant>,
    pause: Duration,
    until: Option<Instant>,
    /// A failure before that ends the trial.
    trial: Option<Instant>,
}

impl Quarantine {
    pub(super) fn new(most: usize, within: Duration) -> Self {
        Self { most, within, failures: VecDeque::new(), pause: FIRST_PAUSE, until: None, trial: None }
    }

    /// The end of the pause, while there is one.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether the pause is over, which begins the trial.
    pub(super) fn release(&mut self, now: Instant) -> bool {
        let over = self.until.is_some_and(|until| now >= until);
        if over {
            self.until = None;
            self.trial = Some(now + self.within);
        }
        over
    }

    /// A failure. Whether it was one too many.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let relapse = self.trial.take().is_some_and(|trial| now < trial);
        while self.failures.front().is_some_and(|first| now.duration_since(*first) >= self.within) {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        if !relapse && self.failures.len() < self.most {
            return false;
        }
        self.pause = if relapse { (self.pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        self.failures.clear();
        self.until = Some(now + self.pause);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn so_many_failures_within_the_time_and_it_is_left_alone() {
        let start = Instant::now();
        let mut quarantine = Quarantine::new(3, 60 * S);
        assert!(!quarantine.failed(start));
        assert!(!quarantine.failed(start + 59 * S));
        assert!(!quarantine.failed(start + 60 * S), "the first is too old to count");
        assert!(quarantine.failed(start + 61 * S));
        assert_eq!(quarantine.until(), Some(start + 61 * S + FIRST_PAUSE));
        assert!(!quarantine.release(start + 62 * S));
    }

    #[test]
    fn a_failure_on_trial_doubles_the_pause_and_a_good_time_forgives() {
        let mut now = Instant::now();
        let mut quarantine = Quarantine::new(1, 60 * S);
        assert!(quarantine.failed(now));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let until = quarantine.until().unwrap();
            pauses.push((until - now).as_secs());
            assert!(quarantine.release(until));
            assert_eq!(quarantine.until(), None);
            now = until + S;
            assert!(quarantine.failed(now));
        }
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        let until = quarantine.until().unwrap();
        assert!(quarantine.release(until));
        assert!(quarantine.failed(until + 60 * S), "after the trial the usual rule holds again");
        assert_eq!(quarantine.until(), Some(until + 60 * S + FIRST_PAUSE));
    }
}

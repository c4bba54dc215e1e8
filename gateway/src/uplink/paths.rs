//! Which of an uplink's paths to take, and when to go back to a better one. Pure: whoever connects says what became of it.
//!
//! Paths stand in the order of preference. One that failed is tried after those that did not, and of several that failed the
//! one first whose turn was the longest ago: where a connection comes about on a path and then carries nothing, another gets
//! its turn. While another is in use, a better one is gone back to when it has been well for a while, and for longer each time
//! that it failed soon after that: a path that comes and goes is not worth a change each time.

use std::time::Duration;

use tokio::time::Instant;

/// A path that carried a connection for so long is worth going back to as soon as the settings say.
const STEADY: Duration = Duration::from_secs(10 * 60);
/// The longest that one has to be well.
const HOLD_MAX: Duration = Duration::from_secs(3600);
/// Bounds of the pause between two looks at better paths.
const LOOK_MIN: Duration = Duration::from_millis(500);
const LOOK_MAX: Duration = Duration::from_secs(30);

/// See the module's head.
#[derive(Debug)]
pub(super) struct Paths {
    hold: Duration,
    each: Vec<Health>,
    /// Failures so far.
    failures: u64,
}

#[derive(Debug)]
struct Health {
    /// It failed and has carried nothing since; which failure of all it was.
    failed: Option<u64>,
    /// Since when it has been seen to be well, while others are in use.
    well_since: Option<Instant>,
    /// How long it has to be.
    hold: Duration,
}

impl Paths {
    /// So many, none of which has failed; `hold` is how long one has to be well.
    pub(super) fn new(count: usize, hold: Duration) -> Self {
        let each = (0..count).map(|_| Health { failed: None, well_since: None, hold }).collect();
        Self { hold, each, failures: 0 }
    }

    /// In which order to try them now.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.each.len()).collect();
        // Stable, and none comes before some.
        order.sort_by_key(|path| self.each[*path].failed);
        order
    }

    /// Whether there is one that has not failed, or has been seen to be well since.
    pub(super) fn any_well(&self) -> bool {
        self.each.iter().any(|path| path.failed.is_none() || path.well_since.is_some())
    }

    /// No connection came about on it.
    pub(super) fn failed(&mut self, path: usize) {
        self.failures += 1;
        if let Some(health) = self.each.get_mut(path) {
            (health.failed, health.well_since) = (Some(self.failures), None);
        }
    }

    /// The remote has let the gateway in on it.
    pub(super) fn joined(&mut self, path: usize) {
        if let Some(health) = self.each.get_mut(path) {
            (health.failed, health.well_since) = (None, None);
        }
    }

    /// A connection on it ended after a while; `to_blame` is whether the path may be.
    pub(super) fn lost(&mut self, path: usize, to_blame: bool, lasted: Duration) {
        let usual = self.hold;
        if to_blame {
            self.failed(path);
        }
        let Some(health) = self.each.get_mut(path) else { return };
        if lasted >= STEADY {
            health.hold = usual;
        } else if to_blame {
            health.hold = (health.hold * 2).min(HOLD_MAX.max(usual));
        }
    }

    /// It was tried while another is in use. Says whether it is to be gone back to.
    pub(super) fn looked(&mut self, path: usize, well: bool, now: Instant) -> bool {
        let Some(health) = self.each.get_mut(path) else { return false };
        if !well {
            health.well_since = None;
            return false;
        }
        let since = *health.well_since.get_or_insert(now);
        now.duration_since(since) >= health.hold
    }

    /// The pause between two looks: several fit into the time that a path has to be well.
    pub(super) fn pause(&self) -> Duration {
        (self.hold / 4).clamp(LOOK_MIN, LOOK_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Looks at a path that is well until it is gone back to.
    fn time_to_return(paths: &mut Paths, path: usize) -> Duration {
        let start = Instant::now();
        let mut now = start;
        while !paths.looked(path, true, now) {
            now += SECOND;
        }
        now - start
    }

    #[test]
    fn paths_are_tried_in_their_order_those_that_failed_last() {
        let mut paths = Paths::new(3, SECOND);
        assert_eq!(paths.order(), [0, 1, 2]);
        paths.failed(0);
        assert_eq!(paths.order(), [1, 2, 0]);
        paths.lost(1, true, SECOND);
        assert_eq!(paths.order(), [2, 0, 1]);
        assert!(paths.any_well());
        paths.failed(2);
        assert!(!paths.any_well());
        assert_eq!(paths.order(), [0, 1, 2]);
        paths.joined(0);
        paths.lost(0, true, SECOND);
        assert_eq!(paths.order(), [1, 2, 0], "it gives connections and carries nothing");
        paths.joined(1);
        paths.lost(1, false, SECOND);
        assert_eq!(paths.order(), [1, 2, 0], "the remote ended it, so the path is well");
    }

    #[test]
    fn a_path_that_was_well_for_long_enough_without_a_break_is_gone_back_to() {
        let mut paths = Paths::new(2, 30 * SECOND);
        let start = Instant::now();
        paths.failed(0);
        assert!(!paths.looked(0, true, start));
        assert!(!paths.looked(0, true, start + 29 * SECOND));
        assert!(!paths.looked(0, false, start + 30 * SECOND));
        assert!(!paths.looked(0, true, start + 31 * SECOND));
        assert!(!paths.looked(0, true, start + 60 * SECOND));
        assert!(paths.looked(0, true, start + 61 * SECOND));
        paths.lost(1, true, SECOND);
        assert!(paths.any_well(), "it need not wait for its time where there is no other");
        assert_eq!(paths.order(), [0, 1]);
    }

    #[test]
    fn one_that_comes_and_goes_has_to_be_well_for_longer_each_time_up_to_an_hour() {
        let mut paths = Paths::new(2, 60 * SECOND);
        let mut times = Vec::new();
        for _ in 0..8 {
            paths.lost(0, true, SECOND);
            times.push(time_to_return(&mut paths, 0).as_secs());
        }
        assert_eq!(times, [120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        paths.lost(0, true, STEADY);
        assert_eq!(time_to_return(&mut paths, 0), 60 * SECOND);
    }

    #[test]
    fn there_are_several_looks_in_the_time_that_a_path_has_to_be_well() {
        let pause = |hold| Paths::new(2, hold).pause();
        assert_eq!((pause(SECOND), pause(60 * SECOND), pause(HOLD_MAX)), (LOOK_MIN, 15 * SECOND, LOOK_MAX));
    }
}

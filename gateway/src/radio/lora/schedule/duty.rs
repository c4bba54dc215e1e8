//! Air time in each sub-band over a sliding hour (ETSI EN 300 220-1, section 5.4: duty cycle, observed over one hour).
//!
//! Whatever the hour, what began or ended in it counts whole. So the sum is never too small.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over which time a duty cycle is taken.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Past frames within so long are remembered as one, which bounds the memory.
const TOGETHER: Duration = Duration::from_secs(1);

/// Some air time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spell {
    /// When it begins.
    pub(super) from: Instant,
    /// When it ends.
    pub(super) until: Instant,
    /// How much of it is air time.
    pub(super) air: Duration,
}

/// What was sent in one sub-band within the last hour, in about the order of the ends.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<Spell>);

impl Past {
    /// Adds a frame that has been sent.
    pub(super) fn add(&mut self, frame: Spell) {
        match self.0.back_mut() {
            Some(last) if frame.until.saturating_duration_since(last.from) <= TOGETHER && last.from <= frame.from => {
                last.until = last.until.max(frame.until);
                last.air += frame.air;
            }
            _ => self.0.push_back(frame),
        }
    }

    /// Forgets what no hour that is still to end can hold.
    pub(super) fn forget(&mut self, now: Instant) {
        while self.0.front().is_some_and(|spell| now.saturating_duration_since(spell.until) > HOUR) {
            self.0.pop_front();
        }
    }

    /// What counts in an hour that ends then.
    fn within(&self, end: Instant) -> Duration {
        self.0.iter().filter(|spell| counts(spell, end)).map(|spell| spell.air).sum()
    }
}

fn counts(spell: &Spell, end: Instant) -> bool {
    spell.from < end && end.saturating_duration_since(spell.until) < HOUR
}

/// The air time of the hour that ends then.
pub(super) fn used(past: &Past, booked: &[Spell], end: Instant) -> Duration {
    past.within(end) + booked.iter().filter(|spell| counts(spell, end)).map(|spell| spell.air).sum::<Duration>()
}

/// Whether one more frame leaves every hour within the allowance. The fullest hours end with a frame: with this one, or
/// with one that is booked for later.
pub(super) fn allows(past: &Past, booked: &[Spell], frame: &Spell, allowance: Duration) -> bool {
    let later = booked.iter().map(|spell| spell.until).filter(|end| *end > frame.until);
    let mut ends = later.chain([frame.until]).filter(|end| counts(frame, *end));
    ends.all(|end| used(past, booked, end) + frame.air <= allowance)
}

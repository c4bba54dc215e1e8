//! Air time in each sub-band over a sliding hour (ETSI EN 300 220-1, section 5.4: duty cycle, observed over one hour).
//!
//! What is in an hour only in part counts whole. So the sum is never too small.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{TxStatus, Verdict};
use crate::radio::lora::region::SubBand;

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

    fn during(&self, frame: &Spell) -> Duration {
        self.0.iter().filter(|spell| counts(spell, frame)).map(|spell| spell.air).sum()
    }
}

/// Whether a spell is, at least in part, in an hour that ends during this frame.
fn counts(spell: &Spell, frame: &Spell) -> bool {
    spell.from < frame.until && frame.from.saturating_duration_since(spell.until) < HOUR
}

fn during(past: &Past, booked: &[Spell], frame: &Spell) -> Duration {
    past.during(frame) + booked.iter().filter(|spell| counts(spell, frame)).map(|spell| spell.air).sum::<Duration>()
}

/// The air time of the hour that ends now.
pub(super) fn used(past: &Past, booked: &[Spell], now: Instant) -> Duration {
    during(past, booked, &Spell { from: now, until: now, air: Duration::ZERO })
}

/// Whether one more frame leaves every hour within the allowance. While a frame is on the air the hour that ends fills,
/// and between frames it empties; so the fullest hours end during a frame: this one, or one that is booked.
fn allows(past: &Past, booked: &[Spell], frame: &Spell, allowance: Duration) -> bool {
    let mut ends = booked.iter().filter(|other| counts(frame, other)).chain([frame]);
    ends.all(|end| during(past, booked, end) + frame.air <= allowance)
}

/// Whether a sub-band has air time left for one more frame.
///
/// # Errors
/// That it has not.
pub(super) fn check(band: &SubBand, past: &Past, booked: &[Spell], frame: &Spell) -> Result<(), Verdict> {
    let allowance = band.allowance();
    if allows(past, booked, frame, allowance) {
        return Ok(());
    }
    let (low, high, air, hour) = (band.low, band.high, frame.air.as_millis(), allowance.as_secs_f64());
    let why = format!("{low} to {high} Hz: {air} ms would be over {hour} s an hour");
    Err(Verdict::because(TxStatus::DutyCycleOverflow, why))
}

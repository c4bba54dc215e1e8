//! What a meter measures: one household's load over the day and the mains voltage. Knows no meter's format.

use std::time::Duration;

use fastrand::Rng;

use super::calendar::Civil;

/// Typical load in watts at each full hour; between two hours it goes straight from one to the other.
const LOAD: [f64; 24] = [
    210.0, 190.0, 180.0, 180.0, 190.0, 230.0, 420.0, 780.0, 690.0, 430.0, 370.0, 380.0, //
    460.0, 420.0, 370.0, 390.0, 520.0, 860.0, 1180.0, 1150.0, 980.0, 820.0, 540.0, 320.0,
];
/// A kettle goes on about once in this many seconds.
const KETTLE_EVERY: f64 = 1500.0;
const KETTLE_WATTS: f64 = 2000.0;
const KETTLE_TIME: Duration = Duration::from_secs(180);
const NOMINAL_VOLTS: f64 = 231.0;

/// A number between -1 and 1, evenly spread.
pub(super) fn noise(rng: &mut Rng) -> f64 {
    rng.f64() * 2.0 - 1.0
}

/// A household at one moment.
pub(super) struct Household {
    rng: Rng,
    now: Duration,
    kettle_until: Duration,
    /// Power drawn, in watts; above zero.
    pub(super) watts: f64,
    /// Mains voltage, between 223 and 239.
    pub(super) volts: f64,
}

impl Household {
    /// As it is when the simulation starts.
    pub(super) fn new(seed: u64) -> Self {
        let rng = Rng::with_seed(seed);
        let mut household =
            Self { rng, now: Duration::ZERO, kettle_until: Duration::ZERO, watts: 0.0, volts: NOMINAL_VOLTS };
        household.advance(Duration::ZERO);
        household
    }

    /// Lets time pass until `now`. Returns the energy used since the last call, in watt-hours.
    pub(super) fn advance(&mut self, now: Duration) -> f64 {
        let step = now.saturating_sub(self.now).as_secs_f64();
        let used = self.watts * step / 3600.0;
        self.now = self.now.max(now);
        if self.rng.f64() < step / KETTLE_EVERY {
            self.kettle_until = self.now.saturating_add(KETTLE_TIME);
        }
        let kettle = if self.kettle_until > self.now { KETTLE_WATTS } else { 0.0 };
        self.watts = typical_load(self.now) * (1.0 + 0.08 * noise(&mut self.rng)) + kettle;
        // The pull back to nominal bounds the walk: 0.4 / 0.05 is 8 volts.
        self.volts += (NOMINAL_VOLTS - self.volts) * 0.05 + 0.4 * noise(&mut self.rng);
        used
    }

    /// The household's own randomness, for what else its meter shows.
    pub(super) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }
}

fn typical_load(now: Duration) -> f64 {
    let second = Civil::cet(now).second_of_day();
    let at = |hour: u64| usize::try_from(hour % 24).ok().and_then(|hour| LOAD.get(hour)).copied().unwrap_or_default();
    let hour = second / 3600;
    let past = (second % 3600) as f64 / 3600.0;
    at(hour) * (1.0 - past) + at(hour + 1) * past
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_plausible() {
        let mut household = Household::new(3);
        let mut used = 0.0;
        for minute in 0..24 * 60 {
            used += household.advance(Duration::from_secs(60 * minute));
            assert!((220.0..245.0).contains(&household.volts));
            assert!((100.0..4000.0).contains(&household.watts));
        }
        assert!((8_000.0..25_000.0).contains(&used), "{used} Wh in a day");
    }

    #[test]
    fn a_clock_that_stands_still_uses_nothing() {
        let mut household = Household::new(3);
        household.advance(Duration::from_secs(60));
        assert_eq!(household.advance(Duration::from_secs(60)), 0.0);
        assert_eq!(household.advance(Duration::from_secs(30)), 0.0);
    }
}

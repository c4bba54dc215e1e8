//! The air time of a radio that schedules by itself: what the region and the duty cycle allow, without a count or places.
//!
//! Pure. Nobody here knows to the second when such a radio sends, and over an hour that does not matter: a frame is taken
//! to begin at any time between now and the latest.

use std::time::{Duration, Instant};

use super::duty::{self, Past, Spell};
use super::{Load, Verdict, limits};
use crate::radio::lora::airtime::Modulation;
use crate::radio::lora::region::Plan;

/// A frame that may be sent, and what it costs.
#[derive(Debug, Clone, Copy)]
pub struct Emission {
    band: Option<usize>,
    spell: Spell,
}

/// See the module's head.
pub struct Meter {
    plan: Plan,
    /// Whether duty cycles are kept. Air time is counted all the same.
    keeps: bool,
    /// One for each sub-band: what was sent, and what may not have been sent yet.
    books: Vec<(Past, Vec<Spell>)>,
}

impl Meter {
    /// Nothing sent yet.
    pub fn new(plan: Plan, duty_cycle: bool) -> Self {
        let books = plan.sub_bands().iter().map(|_| Default::default()).collect();
        Self { plan, keeps: duty_cycle, books }
    }

    /// Judges a frame with a PHY payload of `length` bytes that begins within that time.
    ///
    /// # Errors
    /// Why it may not be sent.
    pub fn judge(
        &mut self,
        frequency: u32,
        power: i32,
        modulation: &Modulation,
        length: usize,
        within: Duration,
        now: Instant,
    ) -> Result<Emission, Verdict> {
        let air = limits::may_send(&self.plan, frequency, power, modulation, length)?;
        self.settle(now);
        let spell = Spell { from: now, until: now + within + air, air };
        let band = self.plan.sub_band_of(frequency, modulation.width());
        let book = band.and_then(|index| Some((self.plan.sub_bands().get(index)?, self.books.get(index)?)));
        if let Some((band, (past, booked))) = book.filter(|_| self.keeps) {
            duty::check(band, past, booked, &spell)?;
        }
        Ok(Emission { band, spell })
    }

    /// It is sent, or may be.
    pub fn sent(&mut self, emission: Emission) {
        if let Some((_, booked)) = emission.band.and_then(|band| self.books.get_mut(band)) {
            booked.push(emission.spell);
        }
    }

    /// The air time of each sub-band; none where the region has no duty cycle.
    pub fn load(&mut self, now: Instant) -> Vec<Load> {
        self.settle(now);
        let bands = self.plan.sub_bands().iter().zip(&self.books);
        bands.map(|(band, (past, booked))| Load { band: *band, used: duty::used(past, booked, now) }).collect()
    }

    fn settle(&mut self, now: Instant) {
        for (past, booked) in &mut self.books {
            booked.extract_if(.., |spell| spell.until <= now).for_each(|spell| past.add(spell));
            past.forget(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::TxStatus;
    use super::*;
    use crate::config::Region;
    use crate::radio::lora::airtime::Lora;

    const SECOND: Duration = Duration::from_secs(1);

    /// A frame of SF12 with 51 bytes: 2.47 s where 3.6 s an hour are allowed, and 36 where 36 are.
    fn ask(meter: &mut Meter, frequency: u32, now: Instant) -> Result<Emission, TxStatus> {
        let modulation = Modulation::Lora(Lora::lorawan(12, 125_000));
        meter.judge(frequency, 14, &modulation, 51, SECOND, now).map_err(|verdict| verdict.status)
    }

    #[test]
    fn what_was_sent_counts_for_an_hour_in_its_own_sub_band() {
        let now = Instant::now();
        let mut meter = Meter::new(Plan::new(Region::Eu868), true);
        let first = ask(&mut meter, 868_800_000, now).unwrap();
        assert!(ask(&mut meter, 868_800_000, now).is_ok(), "what was not sent costs nothing");
        meter.sent(first);
        assert_eq!(ask(&mut meter, 868_800_000, now).err(), Some(TxStatus::DutyCycleOverflow));
        assert!(ask(&mut meter, 868_100_000, now).is_ok());
        let load = meter.load(now + 10 * SECOND)[2];
        assert_eq!((load.band.permille, load.used.as_millis()), (1, 2465));
        assert_eq!(ask(&mut meter, 868_800_000, now + 3590 * SECOND).err(), Some(TxStatus::DutyCycleOverflow));
        assert!(ask(&mut meter, 868_800_000, now + 3610 * SECOND).is_ok());
    }

    #[test]
    fn what_the_region_forbids_is_refused_also_without_a_duty_cycle() {
        let now = Instant::now();
        let mut meter = Meter::new(Plan::new(Region::Eu868), false);
        for _ in 0..10 {
            let emission = ask(&mut meter, 868_800_000, now).unwrap();
            meter.sent(emission);
        }
        assert!(meter.load(now + SECOND)[2].used > 20 * SECOND, "it is counted");
        assert_eq!(ask(&mut meter, 868_650_000, now).err(), Some(TxStatus::TxFreq));
        let mut limited = Meter::new(Plan::new(Region::As923).with_dwell_time(true), true);
        assert_eq!(ask(&mut limited, 923_200_000, now).err(), Some(TxStatus::DwellTime));
        assert!(limited.load(now).is_empty());
    }
}

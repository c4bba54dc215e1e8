//! The gateways behind a radio, for whoever looks on: whether each is there, what it has heard, how much of the duty cycle
//! it has used.
//!
//! Never decides who may speak. A server tells what it tells others too, and of whom it forgets.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::gw::{DutyCycleBand, DutyCycleStats};
use crate::config::Eui;

/// One gateway.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behind {
    /// Whether it can be sent to.
    pub online: bool,
    /// When that changed last; none while nobody has ever said it.
    pub since: Option<Instant>,
    /// Frames of its that were passed on.
    pub frames: u64,
    /// When the last of them came.
    pub last_frame: Option<Instant>,
    /// Air time of each sub-band, as its last statistics told.
    pub duty_cycle: Vec<Use>,
}

/// Air time of a sub-band.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// Where it begins and ends, in Hz.
    pub band: (u32, u32),
    /// What was used of the last hour.
    pub used: Duration,
    /// What may be used of an hour.
    pub allowed: Duration,
}

/// All of one radio.
#[derive(Debug, Default)]
pub(in crate::radio) struct Gateways(Mutex<BTreeMap<Eui, Behind>>);

impl Gateways {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Eui, Behind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was said whether one is there.
    pub(in crate::radio) fn state(&self, eui: Eui, online: bool, now: Instant) {
        let mut all = self.lock();
        let gateway = all.entry(eui).or_default();
        if gateway.since.is_none() || gateway.online != online {
            (gateway.online, gateway.since) = (online, Some(now));
        }
    }

    /// A frame of one was passed on.
    pub(super) fn heard(&self, eui: Eui, now: Instant) {
        let mut all = self.lock();
        let gateway = all.entry(eui).or_default();
        gateway.frames += 1;
        gateway.last_frame = Some(now);
    }

    /// One has told how much of the duty cycle it has used.
    pub(super) fn duty_cycle(&self, eui: Eui, told: &DutyCycleStats) {
        let bands = told.bands.iter().filter_map(used).collect();
        self.lock().entry(eui).or_default().duty_cycle = bands;
    }

    /// One is known no more.
    pub(super) fn forget(&self, eui: Eui) {
        self.lock().remove(&eui);
    }

    /// All that are known.
    pub(super) fn all(&self) -> BTreeMap<Eui, Behind> {
        self.lock().clone()
    }
}

fn used(band: &DutyCycleBand) -> Option<Use> {
    let (used, allowed) = (band.load_tracked?.span()?, band.load_max?.span()?);
    Some(Use { band: (band.frequency_min, band.frequency_max), used, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_said_again_did_not_change_and_one_that_is_forgotten_is_gone() {
        let (gateways, now) = (Gateways::default(), Instant::now());
        let later = now + Duration::from_secs(60);
        gateways.heard(Eui(1), now);
        gateways.state(Eui(1), false, now);
        gateways.state(Eui(1), false, later);
        assert_eq!((gateways.all()[&Eui(1)].since, gateways.all()[&Eui(1)].frames), (Some(now), 1));
        gateways.state(Eui(1), true, later);
        assert_eq!((gateways.all()[&Eui(1)].since, gateways.all()[&Eui(1)].online), (Some(later), true));
        gateways.forget(Eui(1));
        assert!(gateways.all().is_empty());
    }

    #[test]
    fn air_time_is_that_of_bands_that_say_both() {
        let second = |seconds| Some(Duration::from_secs(seconds).into());
        let band =
            DutyCycleBand { frequency_min: 1, frequency_max: 2, load_max: second(36), ..DutyCycleBand::default() };
        let told = DutyCycleStats {
            bands: vec![band.clone(), DutyCycleBand { load_tracked: second(9), ..band }],
            ..DutyCycleStats::default()
        };
        let gateways = Gateways::default();
        gateways.duty_cycle(Eui(1), &told);
        let shown = Use { band: (1, 2), used: Duration::from_secs(9), allowed: Duration::from_secs(36) };
        assert_eq!(gateways.all()[&Eui(1)].duty_cycle, [shown]);
    }
}

//! How frames with a right checksum came in, over all gateways of a radio: for charts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Frequencies that are counted apart. More than a plan has come of radios that are set up wrong.
const CHANNELS_MAX: usize = 64;

/// The upper ends of all bars but the last, from weak to strong.
const RSSI_ENDS: [i32; 20] = {
    let mut ends = [0; 20];
    let mut at = 0;
    while at < ends.len() {
        ends[at] = -130 + 5 * at as i32;
        at += 1;
    }
    ends
};

/// The same for the ratio of signal to noise, in dB.
const SNR_ENDS: [i32; 16] = [-20, -18, -16, -14, -12, -10, -8, -6, -4, -2, 0, 2, 4, 6, 8, 10];

/// Counters; a look at them is a copy.
#[derive(Debug, Default)]
pub struct Signals(Mutex<SignalCounts>);

/// What was counted since the radio was started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SignalCounts {
    /// Sum of what was measured, in dBm.
    pub rssi_sum: f64,
    /// Frames of which that is known.
    pub rssi_count: u64,
    /// Sum of what was measured, in dB.
    pub snr_sum: f64,
    /// Frames of which that is known.
    pub snr_count: u64,
    /// Frames by spreading factor.
    pub factors: BTreeMap<u32, u64>,
    /// Frames by frequency in Hz; beyond 64 frequencies, under 0.
    pub channels: BTreeMap<u32, u64>,
    rssi: [u64; RSSI_ENDS.len() + 1],
    snr: [u64; SNR_ENDS.len() + 1],
}

/// Frames of which something lies in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InRange {
    /// Where it begins; itself included. `None` has no beginning.
    pub from: Option<i32>,
    /// Where it ends.
    pub to: Option<i32>,
    /// How many.
    pub count: u64,
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, SignalCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame came in. What no receiver can measure, but a gateway may say, counts as unknown.
    pub(super) fn heard(&self, frequency: u32, factor: Option<u32>, rssi: Option<f64>, snr: Option<f64>) {
        let mut counts = self.lock();
        if let Some(rssi) = rssi.filter(|rssi| (-200.0..=50.0).contains(rssi)) {
            counts.rssi_sum += rssi;
            counts.rssi_count += 1;
            counts.rssi[place(&RSSI_ENDS, rssi)] += 1;
        }
        if let Some(snr) = snr.filter(|snr| (-100.0..=100.0).contains(snr)) {
            counts.snr_sum += snr;
            counts.snr_count += 1;
            counts.snr[place(&SNR_ENDS, snr)] += 1;
        }
        if let Some(factor) = factor.filter(|factor| (5..=12).contains(factor)) {
            *counts.factors.entry(factor).or_default() += 1;
        }
        let known = counts.channels.len() < CHANNELS_MAX || counts.channels.contains_key(&frequency);
        *counts.channels.entry(if known { frequency } else { 0 }).or_default() += 1;
    }

    /// All counts now.
    pub fn counts(&self) -> SignalCounts {
        self.lock().clone()
    }
}

impl SignalCounts {
    /// Frames by strength in dBm, from weak to strong.
    pub fn by_rssi(&self) -> Vec<InRange> {
        ranges(&RSSI_ENDS, &self.rssi)
    }

    /// The same by the ratio of signal to noise in dB.
    pub fn by_snr(&self) -> Vec<InRange> {
        ranges(&SNR_ENDS, &self.snr)
    }
}

fn place(ends: &[i32], value: f64) -> usize {
    ends.partition_point(|end| f64::from(*end) <= value)
}

fn ranges(ends: &[i32], counts: &[u64]) -> Vec<InRange> {
    let end = |at: usize| ends.get(at).copied();
    let range =
        |(at, count): (usize, &u64)| InRange { from: at.checked_sub(1).and_then(end), to: end(at), count: *count };
    counts.iter().enumerate().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_counts_in_one_bar_of_each_kind_that_is_known_of_it() {
        let signals = Signals::default();
        signals.heard(868_100_000, Some(7), Some(-130.0), Some(-20.5));
        signals.heard(868_100_000, Some(12), Some(-35.0), Some(9.75));
        signals.heard(868_300_000, None, Some(f64::NAN), None);
        signals.heard(868_300_000, Some(99), Some(-1e300), Some(f64::INFINITY));
        let counts = signals.counts();
        assert_eq!(counts.channels, BTreeMap::from([(868_100_000, 2), (868_300_000, 2)]));
        assert_eq!(counts.factors, BTreeMap::from([(7, 1), (12, 1)]));
        assert_eq!((counts.rssi_count, counts.snr_count), (2, 2));
        let some = |all: Vec<InRange>| all.into_iter().filter(|range| range.count > 0).collect::<Vec<_>>();
        let one = |from, to| InRange { from, to, count: 1 };
        let strong = [one(Some(-130), Some(-125)), one(Some(-35), None)];
        assert_eq!(some(counts.by_rssi()), strong);
        assert_eq!(some(counts.by_snr()), [one(None, Some(-20)), one(Some(8), Some(10))]);
    }

    #[test]
    fn frequencies_are_bounded() {
        let signals = Signals::default();
        (1..=1000).for_each(|frequency| signals.heard(frequency, None, None, None));
        let channels = signals.counts().channels;
        assert_eq!((channels.len(), channels[&0]), (CHANNELS_MAX + 1, 1000 - CHANNELS_MAX as u64));
    }
}

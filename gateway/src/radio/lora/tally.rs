//! What one gateway heard and sent since its last statistics, by frequency and by modulation.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gw::{CrcStatus, DutyCycleBand, DutyCycleStats, Modulation, PerModulationCount, Regulation};
use super::schedule::{Load, TxStatus};

/// Frequencies and modulations that are counted apart. A gateway has 64 channels at most; what it says beyond that is
/// counted as a whole only.
const KINDS_MAX: usize = 128;

/// Counts of frames.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Heard with a right checksum, by frequency in Hz.
    pub(super) heard: BTreeMap<u32, u32>,
    /// Heard with a wrong checksum, by frequency in Hz: many on one channel hint at somebody who jams it.
    pub(super) spoilt: BTreeMap<u32, u32>,
    /// Heard with a right checksum.
    pub(super) heard_by: Vec<PerModulationCount>,
    /// Sent, by frequency in Hz.
    pub(super) sent: BTreeMap<u32, u32>,
    /// Sent.
    pub(super) sent_by: Vec<PerModulationCount>,
    /// Items of downlinks, by what became of them.
    pub(super) statuses: BTreeMap<String, u32>,
    /// Frames that became messages.
    pub(super) forwarded: u32,
    /// Frames that did not.
    pub(super) dropped: u32,
}

impl Tally {
    /// A frame was heard.
    pub(super) fn heard(&mut self, frequency: u32, modulation: Modulation, crc: CrcStatus) {
        if crc == CrcStatus::BadCrc {
            count(&mut self.spoilt, frequency);
            return;
        }
        count(&mut self.heard, frequency);
        count_by(&mut self.heard_by, modulation);
    }

    /// A frame was sent.
    pub(super) fn sent(&mut self, frequency: u32, modulation: Modulation) {
        count(&mut self.sent, frequency);
        count_by(&mut self.sent_by, modulation);
    }

    /// What ChirpStack has no field for, as metadata of statistics; with the suspicious channels, in Hz.
    pub(super) fn tell(&self, suspicious: impl Iterator<Item = u32>, metadata: &mut BTreeMap<String, String>) {
        let suspicious: Vec<_> = suspicious.map(|frequency| frequency.to_string()).collect();
        if !suspicious.is_empty() {
            metadata.insert("suspicious_channels".to_owned(), suspicious.join(" "));
        }
        metadata.insert("forwarded".to_owned(), self.forwarded.to_string());
        metadata.insert("dropped".to_owned(), self.dropped.to_string());
        let spoilt = self.spoilt.iter().map(|(frequency, count)| (format!("bad_crc_{frequency}"), count.to_string()));
        metadata.extend(spoilt);
    }

    /// That became of an item.
    pub(super) fn item(&mut self, status: TxStatus) {
        count(&mut self.statuses, status.as_str().to_owned());
    }
}

/// The air time used, as statistics tell it; `None` where there is no duty cycle. Only Europe has such a rule.
pub(super) fn duty_cycle(load: &[Load]) -> Option<DutyCycleStats> {
    let bands = load.iter().map(|Load { band, used }| DutyCycleBand {
        name: format!("{} to {} MHz, {} in 1000", f64::from(band.low) / 1e6, f64::from(band.high) / 1e6, band.permille),
        frequency_min: band.low,
        frequency_max: band.high,
        load_max: Some(band.allowance().into()),
        load_tracked: Some((*used).into()),
    });
    (!load.is_empty()).then(|| DutyCycleStats {
        regulation: Regulation::EtsiEn300220 as i32,
        window: Some(Duration::from_secs(3600).into()),
        bands: bands.collect(),
    })
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    let full = counts.len() >= KINDS_MAX;
    match counts.get_mut(&key) {
        Some(count) => *count = count.saturating_add(1),
        None if full => {}
        None => _ = counts.insert(key, 1),
    }
}

fn count_by(counts: &mut Vec<PerModulationCount>, modulation: Modulation) {
    let full = counts.len() >= KINDS_MAX;
    match counts.iter_mut().find(|counted| counted.modulation == Some(modulation)) {
        Some(counted) => counted.count = counted.count.saturating_add(1),
        None if full => {}
        None => counts.push(PerModulationCount { modulation: Some(modulation), count: 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_are_counted_apart_up_to_a_bound() {
        let mut tally = Tally::default();
        for frequency in 0..1000 {
            tally.heard(frequency % 500, Modulation::default(), CrcStatus::CrcOk);
            tally.heard(frequency, Modulation::default(), CrcStatus::BadCrc);
        }
        assert_eq!((tally.heard.len(), tally.heard[&7], tally.spoilt.len()), (KINDS_MAX, 2, KINDS_MAX));
        assert_eq!(tally.heard_by, [PerModulationCount { modulation: Some(Modulation::default()), count: 1000 }]);
    }
}

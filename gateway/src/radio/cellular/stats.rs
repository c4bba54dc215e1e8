//! What only a 4G or 5G modem counts, for `/metrics` and pages.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::about::Sim;
use super::past::Happened;
use super::values::{Key, Reading, Side, Technology};

/// Counters of one modem, and how it heard the network last.
#[derive(Debug, Default)]
pub struct CellularStats {
    /// Times it was reset, or fell silent, and was set up again.
    pub resets: AtomicU64,
    /// Readings that lack an answer, or have a line that could not be read.
    pub incomplete: AtomicU64,
    events: [AtomicU64; Happened::ALL.len()],
    sim: AtomicU8,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    service: bool,
    technology: Technology,
    signal: Vec<(Side, Key, f64)>,
}

impl CellularStats {
    pub(super) fn happened(&self, what: Happened) {
        if let Some(counter) = self.events.get(what as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn card(&self, sim: Sim) {
        self.sim.store(sim as u8, Ordering::Relaxed);
    }

    /// What is read is no longer how it is.
    pub(super) fn forget(&self) {
        self.set(Last::default());
    }

    pub(super) fn read(&self, reading: &Reading) {
        if !reading.is_whole() {
            self.incomplete.fetch_add(1, Ordering::Relaxed);
        }
        let of = |side, layer: &super::values::Layer| {
            let signal = layer.numbers.iter().filter(|(key, _)| matches!(key, Key::Rsrp | Key::Rsrq | Key::Sinr));
            signal.map(|(key, value)| (side, *key, *value)).collect::<Vec<_>>()
        };
        let signal = [of(Side::Lte, &reading.lte), of(Side::Nr, &reading.nr)].concat();
        self.set(Last { service: reading.has_service(), technology: reading.technology, signal });
    }

    fn set(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Whether the network served it last.
    pub fn has_service(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).service
    }

    /// How it was connected last: `lte`, `en-dc`, `nr-sa` and so on.
    pub fn technology(&self) -> &'static str {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).technology.as_str()
    }

    /// How it heard last: `lte` or `nr`; `rsrp` in dBm, `rsrq` and `sinr` in dB.
    pub fn signal(&self) -> Vec<(&'static str, &'static str, f64)> {
        let side = |side| if side == Side::Lte { "lte" } else { "nr" };
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.signal.iter().map(|(of, key, value)| (side(*of), key.name(), *value)).collect()
    }

    /// Events by their word.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Happened::ALL.iter().zip(&self.events).map(|(what, count)| (what.as_str(), count.load(Ordering::Relaxed)))
    }

    /// How its card is, by word.
    pub fn sim(&self) -> &'static str {
        self.sim_state().as_str()
    }

    /// What is wrong with its card and what to do.
    pub fn sim_trouble(&self) -> Option<&'static str> {
        self.sim_state().trouble()
    }

    fn sim_state(&self) -> Sim {
        let number = usize::from(self.sim.load(Ordering::Relaxed));
        Sim::ALL.get(number).copied().unwrap_or(Sim::Unknown)
    }
}

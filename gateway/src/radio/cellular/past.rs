//! What has changed from one reading to the next: another cell, another technology, no service and service again.
//!
//! How long a change took is the time from the last reading that shows what was before to the first that shows what came
//! after. It is never finer than the time between two readings.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::values::{Layer, Reading, Technology};

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Happened {
    CellChange,
    TechnologyChange,
    ServiceLost,
    ServiceBack,
}

impl Happened {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::CellChange, Self::TechnologyChange, Self::ServiceLost, Self::ServiceBack];

    /// The word for events and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CellChange => "cell-change",
            Self::TechnologyChange => "technology-change",
            Self::ServiceLost => "service-lost",
            Self::ServiceBack => "service-back",
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) what: Happened,
    pub(super) took: Duration,
    pub(super) from: (Technology, Map<String, Value>),
    pub(super) to: (Technology, Map<String, Value>),
}

/// The last reading with service, and whether there has been none since.
#[derive(Default)]
pub(super) struct Past {
    last: Option<Seen>,
    lost: bool,
}

struct Seen {
    at: Instant,
    technology: Technology,
    lte: Layer,
    nr: Layer,
    place: Map<String, Value>,
}

impl From<&Reading> for Seen {
    fn from(reading: &Reading) -> Self {
        Self {
            at: reading.at,
            technology: reading.technology,
            lte: reading.lte.clone(),
            nr: reading.nr.clone(),
            place: reading.sides(true),
        }
    }
}

impl Past {
    /// Compares a reading with what was before.
    pub(super) fn look(&mut self, reading: &Reading) -> Vec<Event> {
        let Some(last) = &self.last else {
            self.last = reading.has_service().then(|| reading.into());
            return Vec::new();
        };
        let mut happened = Vec::new();
        if !reading.has_service() {
            if !std::mem::replace(&mut self.lost, true) {
                happened.push(Happened::ServiceLost);
            }
        } else {
            if std::mem::take(&mut self.lost) {
                happened.push(Happened::ServiceBack);
            }
            // A reading that lacks an answer says nothing of what is missing in it.
            if reading.is_whole() && reading.technology != last.technology {
                happened.push(Happened::TechnologyChange);
            }
            if last.lte.is_elsewhere(&reading.lte) || last.nr.is_elsewhere(&reading.nr) {
                happened.push(Happened::CellChange);
            }
        }
        let took = reading.at.saturating_duration_since(last.at);
        let from = (last.technology, last.place.clone());
        let to = (reading.technology, reading.sides(true));
        if reading.has_service() && (reading.is_whole() || !happened.is_empty()) {
            self.last = Some(reading.into());
        }
        happened.into_iter().map(|what| Event { what, took, from: from.clone(), to: to.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::{Key, Registration};
    use super::*;

    struct Bench {
        past: Past,
        now: Instant,
    }

    impl Bench {
        /// What happens when this is read after so many seconds.
        fn after(&mut self, seconds: u64, technology: Technology, pci: Option<f64>) -> Vec<(Happened, u64)> {
            self.now += Duration::from_secs(seconds);
            let mut reading = Reading::new(self.now);
            reading.technology = technology;
            let served = technology != Technology::None;
            reading.registration = Some(if served { Registration::Home } else { Registration::Searching });
            reading.nr.numbers.extend(pci.map(|pci| (Key::Pci, pci)));
            self.read(&reading)
        }

        fn read(&mut self, reading: &Reading) -> Vec<(Happened, u64)> {
            self.past.look(reading).into_iter().map(|event| (event.what, event.took.as_secs())).collect()
        }
    }

    fn bench() -> Bench {
        Bench { past: Past::default(), now: Instant::now() }
    }

    #[test]
    fn each_change_is_told_once_with_the_time_it_took() {
        use Technology::{EnDc, None as Nothing, NrSa};
        let mut bench = bench();
        assert_eq!(bench.after(0, Nothing, None), [], "it is not lost: it was not there yet");
        assert_eq!(bench.after(1, NrSa, Some(1.0)), []);
        assert_eq!(bench.after(1, NrSa, Some(1.0)), []);
        assert_eq!(bench.after(2, NrSa, Some(2.0)), [(Happened::CellChange, 2)]);
        assert_eq!(bench.after(1, Nothing, None), [(Happened::ServiceLost, 1)]);
        assert_eq!(bench.after(5, Nothing, None), []);
        assert_eq!(bench.after(1, NrSa, Some(2.0)), [(Happened::ServiceBack, 7)], "in the same cell");
        let all = [(Happened::TechnologyChange, 1), (Happened::CellChange, 1)];
        assert_eq!(bench.after(1, EnDc, Some(3.0)), all);
        assert_eq!(bench.after(1, EnDc, None), [], "what is not said has not changed");
    }

    #[test]
    fn a_reading_that_lacks_an_answer_is_no_change() {
        let mut bench = bench();
        bench.after(0, Technology::EnDc, Some(1.0));
        let mut reading = Reading::new(bench.now + Duration::from_secs(1));
        (reading.technology, reading.registration) = (Technology::Lte, Some(Registration::Home));
        reading.errors.push("ERROR".to_owned());
        assert_eq!(bench.read(&reading), []);
        assert_eq!(bench.after(2, Technology::EnDc, Some(1.0)), []);
    }
}

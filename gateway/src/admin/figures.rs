//! What the counters were in the last minute, for rates; and how the machine is. Looked at every few seconds by one unit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Sources;
use super::machine::Machine;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(5);
/// Looks that are kept: a minute of them.
const KEPT: usize = 13;

/// Counters by their names: `received.radio`, `delivered`, `radio.NAME.in`.
type Counters = BTreeMap<String, u64>;

#[derive(Default)]
struct Seen {
    looks: VecDeque<(Instant, Counters)>,
    machine: Machine,
}

/// See the module's head.
pub(super) struct Figures {
    begun: Instant,
    seen: Mutex<Seen>,
}

impl Figures {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), seen: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the gateway has run.
    pub(super) fn uptime(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The machine, as it was a few seconds ago.
    pub(super) fn machine(&self) -> Machine {
        self.lock().machine.clone()
    }

    /// How fast a counter has gone up in the last minute, a second. `None` when it is too new to tell.
    pub(super) fn rate(&self, counter: &str) -> Option<f64> {
        let seen = self.lock();
        let mut with_it = seen.looks.iter().filter_map(|(at, counters)| Some((*at, *counters.get(counter)?)));
        let (from, before) = with_it.next()?;
        let (to, now) = with_it.next_back()?;
        // What began anew counts from there.
        Some(now.saturating_sub(before) as f64 / to.duration_since(from).as_secs_f64().max(1.0))
    }

    fn note(&self, at: Instant, counters: Counters, machine: Machine) {
        let mut seen = self.lock();
        if seen.looks.len() >= KEPT {
            seen.looks.pop_front();
        }
        seen.looks.push_back((at, counters));
        seen.machine = machine;
    }
}

/// Looks again and again until told to stop.
pub(super) async fn watch(sources: Arc<Sources>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let host = sources.host.clone();
        let machine = tokio::task::spawn_blocking(move || Machine::of(&host.facts())).await.unwrap_or_default();
        sources.page.figures.note(Instant::now(), counters(&sources), machine);
    }
}

fn counters(sources: &Sources) -> Counters {
    let mut counters = Counters::new();
    let ledger = sources.pipeline.ledger().snapshot();
    counters.extend(ledger.received.iter().map(|(door, count)| (format!("received.{door}"), *count)));
    counters.insert("delivered".into(), ledger.delivered);
    counters.insert("filtered".into(), ledger.filtered);
    counters.insert("dropped".into(), ledger.dropped.values().sum());
    let broker = sources.broker.stats();
    counters.insert("mqtt.out".into(), broker.publishes_sent.load(Ordering::Relaxed));
    counters.insert("mqtt.dropped".into(), broker.drops().map(|(_, count)| count).sum());
    for (name, stats) in sources.radios.stats() {
        counters.insert(format!("radio.{name}.in"), stats.frames_received.load(Ordering::Relaxed));
        counters.insert(format!("radio.{name}.out"), stats.frames_sent.load(Ordering::Relaxed));
    }
    for shown in sources.uplinks.shown() {
        let (name, stats) = (&shown.settings.name, &shown.stats);
        counters.insert(format!("uplink.{name}.in"), stats.received.load(Ordering::Relaxed));
        counters.insert(format!("uplink.{name}.out"), stats.delivered.load(Ordering::Relaxed));
        let Some(spool) = &shown.spool else { continue };
        // What the queue lets go leaves it too.
        let let_go = spool.dropped.oldest + spool.dropped.expired;
        counters.insert(format!("uplink.{name}.queued"), spool.appended);
        counters.insert(format!("uplink.{name}.left"), spool.acknowledged + let_go);
    }
    for shown in sources.plugins.shown() {
        if let Some(report) = shown.status.as_ref().map(|status| status.report()) {
            counters.insert(format!("plugin.{}.in", shown.name), report.messages);
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_minute_and_what_is_new_has_none() {
        let figures = Figures::new();
        let begun = Instant::now();
        assert_eq!(figures.rate("a"), None);
        for look in 0..20_u64 {
            let mut counters = Counters::from([("a".into(), look * 50)]);
            if look >= 19 {
                counters.insert("b".into(), 7);
            }
            figures.note(begun + PERIOD * look as u32, counters, Machine::default());
        }
        assert_eq!(figures.rate("a"), Some(10.0));
        assert_eq!(figures.rate("b"), None);
        assert_eq!(figures.lock().looks.len(), KEPT);
    }
}

//! What becomes of what a modem says, by whichever way it is asked: messages, counters, the card.

use std::time::Instant;

use super::Modem;
use super::about::Sim;
use super::pins::May;
use super::values::Reading;
use crate::config::Secret;
use crate::message::{Received, Topic, TopicError};
use crate::radio::RadioStats;
use crate::radio::serial::Reports;

/// The topics of one modem besides `state`.
pub(super) struct Topics {
    signal: Topic,
    /// Retained.
    cell: Topic,
    event: Topic,
}

impl Topics {
    pub(super) fn new(name: &str) -> Result<Self, TopicError> {
        let topic = |last: &str| Topic::new(&format!("cellular/{name}/{last}"));
        Ok(Self { signal: topic("signal")?, cell: topic("cell")?, event: topic("event")? })
    }
}

impl Modem {
    /// The PIN, if the card may be told it; else how the card is without.
    pub(super) async fn pin(&self) -> Result<Secret, Sim> {
        let (radio, pins) = (self.radio.name.as_str(), self.pins.clone());
        match tokio::task::spawn_blocking(move || pins.may()).await {
            Ok(Ok(May::Try(pin))) => Ok(pin),
            Ok(Ok(May::Tried)) => Err(Sim::PinRefused),
            Ok(Ok(May::NoPin)) => Err(Sim::PinNeeded),
            Ok(Err(error)) => {
                log::error!(radio = radio, error:% = error; "the PIN is not tried: that it was can't be noted on disk");
                Err(Sim::PinNeeded)
            }
            // The gateway is ending.
            Err(_) => Err(Sim::Unknown),
        }
    }

    /// The card is open, or has not heard the PIN: it may be told it the next time.
    pub(super) async fn forget_pin(&self) {
        let pins = self.pins.clone();
        // It can only break off when the gateway ends.
        let _ = tokio::task::spawn_blocking(move || pins.open()).await;
    }

    /// Its card is like this now.
    pub(super) async fn card(&mut self, sim: Sim, stats: &RadioStats) {
        self.identity.card(sim);
        if let Some(stats) = &stats.cellular {
            stats.card(sim);
        }
        if sim == Sim::Ready {
            self.forget_pin().await;
        }
        if let Some(trouble) = sim.trouble() {
            log::warn!(radio = self.radio.name.as_str(), state = sim.as_str(), error = trouble; "the SIM card is not open");
        }
    }

    /// It says this now.
    pub(super) async fn reading(&mut self, reading: &Reading, reports: &Reports, stats: &RadioStats) {
        let at = dated(reports.now(), reading.at);
        let stamp = reports.here_and_now(&at);
        let made = (&at, &stamp);
        if !reading.errors.is_empty() {
            RadioStats::add(&stats.polls_failed, 1);
        }
        if let Some(stats) = &stats.cellular {
            stats.read(reading);
        }
        let signal = self.records.signal(reading, made);
        reports.reading(&self.topics.signal, at, signal, false).await;
        for event in self.past.look(reading) {
            if let Some(stats) = &stats.cellular {
                stats.happened(event.what);
            }
            reports.reading(&self.topics.event, at, self.records.event(&event, made), false).await;
        }
        let (said, cell) = self.records.cell(reading, &self.identity, made);
        if said != self.cell {
            reports.reading(&self.topics.cell, at, cell, true).await;
            self.cell = said;
        }
    }
}

/// The time of something that was begun at `then`.
fn dated(now: Received, then: Instant) -> Received {
    let age = now.monotonic.saturating_duration_since(then);
    Received { wall: now.wall.checked_sub(age).unwrap_or(now.wall), monotonic: then, ..now }
}

//! A conversation over an open port.

use std::path::PathBuf;
use std::time::Instant;

use tokio_serial::SerialStream;
use tokio_util::sync::CancellationToken;

use super::Modem;
use super::about::Sim;
use super::pins::May;
use super::shape::ShapeError;
use super::stats::CellularStats;
use super::talk::{Said, Talk};
use super::values::Reading;
use super::veil::Veil;
use crate::config::Secret;
use crate::message::{Received, Topic, TopicError};
use crate::radio::RadioStats;
use crate::radio::serial::{Ended, Presence, Reports, Wire};
use crate::wait::sleep_until;

/// The longest line. Answers have some 150 bytes.
pub(super) const LINE_MAX: usize = 1024;

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

/// See the module's head.
pub(super) struct Session<'a> {
    wire: Wire,
    path: PathBuf,
    modem: &'a mut Modem,
    talk: Talk,
    reports: &'a Reports,
    stats: &'a RadioStats,
    presence: &'a mut Presence,
    /// The modem answers, or did.
    ready: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        (port, path): (SerialStream, PathBuf),
        modem: &'a mut Modem,
        reports: &'a Reports,
        stats: &'a RadioStats,
        presence: &'a mut Presence,
    ) -> Result<Self, ShapeError> {
        let veil = Veil::new(modem.key.clone());
        let talk = Talk::new(modem.radio.dialect, modem.radio.period, veil, Instant::now())?;
        let wire = Wire::new(port, LINE_MAX, modem.radio.write_timeout);
        Ok(Self { wire, path, modem, talk, reports, stats, presence, ready: false })
    }

    /// Talks until the port is lost, the modem plays its part no more, or `stop` is given.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Ended {
        let ended = self.serve(stop).await;
        self.wire.end(self.reports);
        if let Some(stats) = self.counts() {
            stats.forget();
        }
        ended
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Ended {
        loop {
            let times = [self.talk.deadline(), self.wire.write_by()];
            let timer = times.into_iter().flatten().min().map(tokio::time::Instant::from_std);
            let mut said = Vec::new();
            tokio::select! {
                () = stop.cancelled() => return Ended::Stopped,
                moved = self.wire.moved(self.stats, self.reports) => match moved {
                    Ok(lines) => lines.iter().for_each(|line| self.talk.line(line, Instant::now(), &mut said)),
                    Err(ended) => return ended,
                },
                () = sleep_until(timer) => {
                    if let Some(why) = self.wire.stuck() {
                        return self.gone(why);
                    }
                    self.talk.timer(Instant::now(), &mut said);
                }
            }
            if let Some(ended) = self.act_on(said).await {
                return ended;
            }
        }
    }

    async fn act_on(&mut self, mut said: Vec<Said>) -> Option<Ended> {
        while !said.is_empty() {
            let mut more = Vec::new();
            for said in said {
                match said {
                    Said::WantsPin => {
                        let pin = self.pin().await;
                        self.talk.pin(pin, Instant::now(), &mut more);
                    }
                    Said::Over(why) => return Some(self.gone(why)),
                    other => self.act(other).await,
                }
            }
            said = more;
        }
        None
    }

    async fn act(&mut self, said: Said) {
        let radio = self.modem.radio.name.as_str();
        match said {
            Said::Write { command, secret } => {
                let shown = if secret { "AT+CPIN=\"********\"" } else { command.trim_end() };
                log::debug!(radio = radio, command = shown; "modem is asked");
                self.wire.write(&command);
            }
            Said::Ready => self.is_ready().await,
            Said::Speaks(dialect) => {
                log::debug!(radio = radio, dialect = dialect; "the modem speaks");
                self.modem.identity.dialect = dialect;
            }
            Said::Learnt(about, text) => self.modem.identity.learn(about, text),
            Said::Card(sim) => self.card(sim).await,
            Said::Reading(reading) => self.reading(&reading).await,
            Said::Reset => {
                log::warn!(radio = radio; "the modem was reset or fell silent; it is set up again");
                if let Some(stats) = self.counts() {
                    RadioStats::add(&stats.resets, 1);
                }
            }
            Said::Declined { command, answer } => {
                log::debug!(radio = radio, command = command.as_str(), answer = answer.as_str();
                    "the modem declines a command; it goes on without");
            }
            Said::Aside(bytes) => log::debug!(radio = radio, bytes = bytes; "a line that nobody asked for"),
            Said::Dropped { reason, length } => self.reports.rejected(reason, length),
            Said::WantsPin | Said::Over(_) => {}
        }
    }

    fn gone(&self, why: String) -> Ended {
        if self.ready { Ended::Lost(why) } else { Ended::NotReady(why) }
    }

    fn counts(&self) -> Option<&'a CellularStats> {
        self.stats.cellular.as_ref()
    }

    async fn is_ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.presence.opened(self.path.clone(), self.reports).await;
            self.presence.settled(self.reports).await;
        }
    }

    /// The PIN, if the card may be told it; else how the card is without.
    async fn pin(&mut self) -> Result<Secret, Sim> {
        let (radio, pins) = (self.modem.radio.name.as_str(), self.modem.pins.clone());
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

    async fn card(&mut self, sim: Sim) {
        self.modem.identity.card(sim);
        if let Some(stats) = self.counts() {
            stats.card(sim);
        }
        if sim == Sim::Ready {
            let pins = self.modem.pins.clone();
            // It can only break off when the gateway ends.
            let _ = tokio::task::spawn_blocking(move || pins.open()).await;
        }
        if let Some(trouble) = sim.trouble() {
            log::warn!(radio = self.modem.radio.name.as_str(), state = sim.as_str(), error = trouble; "the SIM card is not open");
        }
    }

    async fn reading(&mut self, reading: &Reading) {
        let (at, topics) = (dated(self.reports.now(), reading.at), &self.modem.topics);
        if !reading.errors.is_empty() {
            RadioStats::add(&self.stats.polls_failed, 1);
        }
        if let Some(stats) = self.counts() {
            stats.read(reading);
        }
        let signal = self.modem.records.signal(reading, &at);
        self.reports.reading(&topics.signal, at, signal, false).await;
        for event in self.modem.past.look(reading) {
            if let Some(stats) = self.counts() {
                stats.happened(event.what);
            }
            self.reports.reading(&topics.event, at, self.modem.records.event(&event, &at), false).await;
        }
        let (said, cell) = self.modem.records.cell(reading, &self.modem.identity, &at);
        if said != self.modem.cell {
            self.reports.reading(&topics.cell, at, cell, true).await;
            self.modem.cell = said;
        }
    }
}

/// The time of something that was begun at `then`.
fn dated(now: Received, then: Instant) -> Received {
    let age = now.monotonic.saturating_duration_since(then);
    Received { wall: now.wall.checked_sub(age).unwrap_or(now.wall), monotonic: then, ..now }
}

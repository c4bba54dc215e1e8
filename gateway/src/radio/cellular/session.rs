//! A conversation over an open port.

use std::path::PathBuf;
use std::time::Instant;

use tokio_serial::SerialStream;
use tokio_util::sync::CancellationToken;

use super::Modem;
use super::manager::takes;
use super::shape::ShapeError;
use super::stats::CellularStats;
use super::talk::{Said, Talk};
use super::veil::Veil;
use crate::config::AtPort;
use crate::radio::RadioStats;
use crate::radio::serial::{Ended, Presence, Reports, Wire};
use crate::wait::sleep_until;

/// The longest line. Answers have some 150 bytes.
pub(super) const LINE_MAX: usize = 1024;

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
        at: &AtPort,
        (port, path): (SerialStream, PathBuf),
        modem: &'a mut Modem,
        reports: &'a Reports,
        stats: &'a RadioStats,
        presence: &'a mut Presence,
    ) -> Result<Self, ShapeError> {
        let veil = Veil::new(modem.key.clone());
        let talk = Talk::new((at.dialect, modem.radio.apn.as_deref()), modem.radio.period, veil, Instant::now())?;
        let wire = Wire::new(port, LINE_MAX, at.write_timeout);
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
        let mut taken = std::pin::pin!(takes(self.path.clone()));
        loop {
            let times = [self.talk.deadline(), self.wire.write_by()];
            let timer = times.into_iter().flatten().min().map(tokio::time::Instant::from_std);
            let mut said = Vec::new();
            tokio::select! {
                () = stop.cancelled() => return Ended::Stopped,
                // Neither hears its answers from now on, so this side gives way.
                why = &mut taken => return Ended::Lost(why),
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
                        let pin = self.modem.pin().await;
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
            Said::Card(sim) => self.modem.card(sim, self.stats).await,
            Said::Reading(reading) => self.modem.reading(&reading, self.reports, self.stats).await,
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
}

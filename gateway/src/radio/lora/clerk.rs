//! What every server of LoRa gateways does alike: what can't be used is counted and some of it logged, so is what became
//! of downlinks, and settings that a network server sends are noted by their version.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::commands::Command;
use super::done::Done;
use super::gw::{self, DownlinkTxAck, GatewayConfiguration};
use super::jamming::{Turn, Watch};
use super::tally::Tally;
use super::{LoraStats, Refusal};
use crate::config::Eui;
use crate::pipeline::{Door, Pipeline};
use crate::radio::{RadioStats, Refused};

/// Between two lines of the log that others can cause: a flood is not to fill the log.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// The longest version of settings that is kept, in bytes: ChirpStack's is a number.
const CONFIG_VERSION_MAX: usize = 64;

/// See the module's head.
pub(super) struct Clerk {
    /// The radio's name.
    pub(super) name: Arc<str>,
    pub(super) stats: Arc<RadioStats>,
    pipeline: Arc<Pipeline>,
    /// When something was logged last that others can cause.
    logged: Option<Instant>,
    /// The same of what was refused. That line is for debugging: one that nobody sees must keep no warning back.
    refused: Option<Instant>,
}

impl Clerk {
    pub(super) fn new(name: &str, pipeline: Arc<Pipeline>, stats: Arc<RadioStats>) -> Self {
        Self { name: name.into(), stats, pipeline, logged: None, refused: None }
    }

    pub(super) fn lora(&self) -> Option<&LoraStats> {
        self.stats.lora.as_ref()
    }

    /// A gateway that the settings do not name is known no more.
    pub(super) fn forget(&self, eui: Eui) {
        if let Some(lora) = self.lora() {
            lora.gateways.forget(eui);
        }
    }

    /// Whether a line that others can cause may be logged.
    pub(super) fn may_log(&mut self) -> bool {
        is_time(&mut self.logged)
    }

    /// Counts what went no further, and logs some of it with its source.
    pub(super) fn refuse(&mut self, refusal: Refusal, source: impl fmt::Display) {
        RadioStats::add(&self.stats.frames_rejected, 1);
        self.pipeline.ledger().refuse(Door::Radio, refusal.drop_reason());
        if let Some(lora) = self.lora() {
            lora.refused(refusal);
        }
        if is_time(&mut self.refused) {
            log::debug!(radio:% = self.name, reason = refusal.as_str(), source:% = source; "datagram, message or frame dropped");
        }
    }

    /// A command says nothing that can be done.
    pub(super) fn not_understood(&mut self, eui: Eui, error: &str) {
        self.stats.refused(Refused::NotEncodable);
        if self.may_log() {
            log::warn!(radio:% = self.name, gateway:% = eui, error = error; "command not understood");
        }
    }

    /// The settings that a command brings. Where a gateway has its channels from elsewhere, the version is told back and
    /// nothing else is done, as other bridges do.
    pub(super) fn settings(&mut self, command: &Command) -> Option<GatewayConfiguration> {
        let error = match gw::decode::<GatewayConfiguration>(&command.payload) {
            Ok(settings) if settings.version.len() <= CONFIG_VERSION_MAX => {
                log::debug!(radio:% = self.name, gateway:% = command.eui, version = settings.version.as_str();
                    "settings of a LoRa gateway noted");
                return Some(settings);
            }
            Ok(_) => "the version is too long".to_owned(),
            Err(error) => error,
        };
        self.not_understood(command.eui, &error);
        None
    }

    /// Tells of channels that have become suspicious or are so no more, in one line each whatever their number.
    pub(super) fn turned(&self, eui: Eui, watch: &Watch, turns: &[Turn]) {
        if turns.is_empty() {
            return;
        }
        if let Some(lora) = self.lora() {
            lora.suspect(eui, watch.suspicious().collect());
        }
        let of = |begins| {
            let turned = turns.iter().filter(move |turn| turn.begins == begins);
            let said = turned.map(|turn| format!("{} ({} bad, usually {:.1})", turn.frequency, turn.bad, turn.usual));
            said.collect::<Vec<_>>().join(", ")
        };
        let (begun, over) = (of(true), of(false));
        if !begun.is_empty() {
            log::warn!(radio:% = self.name, gateway:% = eui, channels = begun;
                "far more frames with a wrong checksum than usual; somebody may jam the channel");
        }
        if !over.is_empty() {
            log::info!(radio:% = self.name, gateway:% = eui, channels = over; "LoRa channels are suspicious no more");
        }
    }

    /// Counts how a frame with a right checksum came in: `rssi` in dBm, `snr` in dB.
    pub(super) fn heard(&self, frequency: u32, modulation: &gw::Modulation, rssi: f64, snr: f64) {
        let factor = modulation.lora.map(|lora| lora.spreading_factor);
        // Where it is no LoRa, a concentrator knows no ratio and says 0.
        self.stats.signals.heard(frequency, factor, Some(rssi), factor.map(|_| snr));
    }

    /// Counts and logs what became of a downlink. Says what is to be told of it.
    pub(super) fn done(&self, eui: Eui, tally: &mut Tally, done: &Done) -> DownlinkTxAck {
        for status in &done.statuses {
            tally.item(*status);
            if let Some(lora) = self.lora() {
                lora.item(*status);
            }
        }
        if let Some((frequency, modulation)) = done.sent {
            tally.sent(frequency, modulation);
        }
        log::debug!(radio:% = self.name, gateway:% = eui, downlink = done.downlink_id, sent = done.sent.is_some(),
            why = done.why.as_str(); "downlink done");
        done.message(eui.to_string())
    }
}

/// Whether the last line is long enough ago. If so, the next one is now.
fn is_time(last: &mut Option<Instant>) -> bool {
    let is_time = last.is_none_or(|last| last.elapsed() >= LOG_PAUSE);
    if is_time {
        *last = Some(Instant::now());
    }
    is_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_keeps_no_warning_back() {
        let (pipeline, _intake) = Pipeline::new(1);
        let mut clerk = Clerk::new("roof", pipeline, Arc::new(RadioStats::of_lora()));
        clerk.refuse(Refusal::Json, "somebody");
        assert!(clerk.may_log());
        assert!(!clerk.may_log(), "one a second");
    }

    #[test]
    fn suspicious_channels_are_shown_while_they_are() {
        let (pipeline, _intake) = Pipeline::new(1);
        let clerk = Clerk::new("roof", pipeline, Arc::new(RadioStats::of_lora()));
        let (mut now, eui) = (Instant::now(), Eui(7));
        let mut watch = Watch::new(now);
        for _ in 0..12 {
            now += Duration::from_secs(30);
            (0..20).for_each(|_| watch.heard(868_100_000, gw::CrcStatus::BadCrc));
            let turns = watch.look(now);
            clerk.turned(eui, &watch, &turns);
        }
        assert!(clerk.lora().unwrap().suspicious().is_empty(), "it is always so");
        for _ in 0..2 {
            now += Duration::from_secs(30);
            (0..20).for_each(|_| watch.heard(868_300_000, gw::CrcStatus::BadCrc));
            let turns = watch.look(now);
            clerk.turned(eui, &watch, &turns);
        }
        assert_eq!(clerk.lora().unwrap().suspicious(), [(eui, vec![868_300_000])].into());
        let turns = watch.stop();
        clerk.turned(eui, &watch, &turns);
        assert!(clerk.lora().unwrap().suspicious().is_empty());
    }
}

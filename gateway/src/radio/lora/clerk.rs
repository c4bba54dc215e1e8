//! What every server of LoRa gateways does alike: what can't be used is counted and some of it logged, the items of
//! downlinks are counted, and settings that a network server sends are noted by their version.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::commands::Command;
use super::gw::{self, GatewayConfiguration, TxAckStatus};
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
}

impl Clerk {
    pub(super) fn new(name: &str, pipeline: Arc<Pipeline>, stats: Arc<RadioStats>) -> Self {
        Self { name: name.into(), stats, pipeline, logged: None }
    }

    pub(super) fn lora(&self) -> Option<&LoraStats> {
        self.stats.lora.as_ref()
    }

    /// Whether a line that others can cause may be logged.
    pub(super) fn may_log(&mut self) -> bool {
        let may = self.logged.is_none_or(|logged| logged.elapsed() >= LOG_PAUSE);
        if may {
            self.logged = Some(Instant::now());
        }
        may
    }

    /// Counts what went no further, and logs some of it with its source.
    pub(super) fn refuse(&mut self, refusal: Refusal, source: impl fmt::Display) {
        RadioStats::add(&self.stats.frames_rejected, 1);
        self.pipeline.ledger().refuse(Door::Radio, refusal.drop_reason());
        if let Some(lora) = self.lora() {
            lora.refused(refusal);
        }
        if self.may_log() {
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

    /// The version of the settings that a command brings. A gateway has its channels from elsewhere, so the version is told
    /// back and nothing else is done, as other bridges do.
    pub(super) fn config_version(&mut self, command: &Command) -> Option<String> {
        let error = match gw::decode::<GatewayConfiguration>(&command.payload) {
            Ok(settings) if settings.version.len() <= CONFIG_VERSION_MAX => {
                log::debug!(radio:% = self.name, gateway:% = command.eui, version = settings.version.as_str();
                    "settings of a LoRa gateway noted");
                return Some(settings.version);
            }
            Ok(_) => "the version is too long".to_owned(),
            Err(error) => error,
        };
        self.not_understood(command.eui, &error);
        None
    }

    /// Counts what became of the items of a downlink.
    pub(super) fn count_items(&self, tally: &mut Tally, statuses: &[TxAckStatus]) {
        for status in statuses {
            tally.item(*status);
            if let Some(lora) = self.lora() {
                lora.item(*status);
            }
        }
    }
}

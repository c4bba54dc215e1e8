//! One modem's dialogue, as data: what it is told, what it answers, which lines are packets.
//!
//! A file in `dialogues/` is one modem; it is compiled in. Places in commands are listed at [`Values`], those in answers in
//! `pattern.rs`.

use serde::Deserialize;

use super::pattern::{Pattern, fill};
use crate::config::{ModemChannel, ModemModel, SyncWord};

/// What is wrong with a dialogue. The tests of this room read each, so nobody else sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::radio) enum DialogueError {
    /// Not the form that it should have.
    #[error("the modem's dialogue can't be read: {0}")]
    Form(String),
    /// A place that has no value.
    #[error("the modem's dialogue has an unknown place `{0}`")]
    Place(String),
}

/// See the module's head.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Dialogue {
    /// What it says after a reset.
    pub(super) restart: Vec<Pattern>,
    /// How long it is left alone then.
    pub(super) settle_ms: u64,
    /// What it says besides and means nothing.
    pub(super) ignore: Vec<Pattern>,
    /// Answers that say no.
    pub(super) errors: Vec<Pattern>,
    /// What it is told at the beginning, one after another.
    pub(super) setup: Vec<Exchange>,
    /// How it is made to receive.
    pub(super) receive: Receive,
    /// How it is made to stop, before it can send; without it, it need not be.
    pub(super) stop: Option<Exchange>,
    /// How it sends.
    pub(super) transmit: Transmit,
    /// How it shows that it still receives.
    pub(super) probe: Exchange,
}

/// A command and its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Exchange {
    /// The command, with places.
    pub(super) send: String,
    /// Answers that say yes.
    pub(super) expect: Vec<Pattern>,
    /// Whether it goes on after a no, and after no answer.
    #[serde(default)]
    pub(super) optional: bool,
}

/// Receiving.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Receive {
    send: String,
    expect: Vec<Pattern>,
    /// What a packet looks like: a line, or several of which the last has the payload.
    pub(super) lines: Vec<Pattern>,
    /// What it says when it receives no more.
    pub(super) ended: Vec<Pattern>,
    /// Whether one packet ends it.
    pub(super) once: bool,
}

/// Sending.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Transmit {
    send: String,
    expect: Vec<Pattern>,
    /// What it says when the frame has been on the air.
    pub(super) done: Vec<Pattern>,
    /// What it says when it has not.
    pub(super) failed: Vec<Pattern>,
}

impl Receive {
    pub(super) fn exchange(&self) -> Exchange {
        Exchange { send: self.send.clone(), expect: self.expect.clone(), optional: false }
    }
}

impl Transmit {
    pub(super) fn exchange(&self) -> Exchange {
        Exchange { send: self.send.clone(), expect: self.expect.clone(), optional: false }
    }
}

impl Dialogue {
    /// That of a model.
    pub(super) fn of(model: ModemModel) -> Result<Self, DialogueError> {
        let text = match model {
            ModemModel::Rak3172 => include_str!("dialogues/rak3172.toml"),
            ModemModel::LoraE5 => include_str!("dialogues/lora-e5.toml"),
            ModemModel::Rn2483 => include_str!("dialogues/rn2483.toml"),
        };
        toml::from_str(text).map_err(|error| DialogueError::Form(error.to_string()))
    }
}

/// What the places of commands hold: the channel, and the payload where there is one.
pub(super) struct Values<'a> {
    pub(super) channel: &'a ModemChannel,
    pub(super) payload: Option<&'a [u8]>,
}

impl Values<'_> {
    /// A command with its places filled in.
    pub(super) fn fill(&self, template: &str) -> Result<String, DialogueError> {
        fill(template, |name| self.value(name))
    }

    fn value(&self, name: &str) -> Option<String> {
        let channel = self.channel;
        let public = channel.network == SyncWord::Public;
        Some(match name {
            "frequency" => channel.frequency.to_string(),
            "mhz" => megahertz(channel.frequency),
            "sf" => channel.spreading_factor.to_string(),
            "khz" => (channel.bandwidth / 1000).to_string(),
            // 5 to 8, and the same from 0.
            "cr" => channel.coding_rate.denominator().to_string(),
            "cr-index" => (channel.coding_rate.denominator() - 5).to_string(),
            "preamble" => channel.preamble.to_string(),
            "power" => channel.power.to_string(),
            // The sync word as the SX127x has it, and as the SX126x.
            "sync" => if public { "34" } else { "12" }.to_owned(),
            "sync-long" => if public { "3444" } else { "1424" }.to_owned(),
            "on-if-public" => if public { "ON" } else { "OFF" }.to_owned(),
            "payload" => self.payload?.iter().map(|byte| format!("{byte:02X}")).collect(),
            _ => return None,
        })
    }
}

/// `868.1` of 868100000.
fn megahertz(hertz: u32) -> String {
    let (whole, rest) = (hertz / 1_000_000, hertz % 1_000_000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:06}").trim_end_matches('0').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::fuzzed::channel;
    use super::*;

    #[test]
    fn each_model_has_a_dialogue_whose_places_all_have_values() {
        for model in ModemModel::ALL {
            let dialogue = Dialogue::of(model).unwrap_or_else(|error| panic!("{model:?}: {error}"));
            let told = [dialogue.receive.exchange(), dialogue.transmit.exchange(), dialogue.probe.clone()];
            let (channel, payload) = (channel(), [0xAB]);
            let values = Values { channel: &channel, payload: Some(&payload) };
            for exchange in dialogue.setup.iter().chain(&dialogue.stop).chain(&told) {
                let command = values.fill(&exchange.send).unwrap_or_else(|error| panic!("{model:?}: {error}"));
                assert!(!command.is_empty() && !exchange.expect.is_empty(), "{model:?}: {exchange:?}");
            }
        }
    }

    #[test]
    fn commands_are_those_of_the_manuals() {
        let command = |model, index: usize| {
            let dialogue = Dialogue::of(model).unwrap();
            Values { channel: &channel(), payload: None }.fill(&dialogue.setup[index].send).unwrap()
        };
        assert_eq!(command(ModemModel::Rak3172, 2), "AT+P2P=868100000:7:125:0:8:14");
        assert_eq!(command(ModemModel::LoraE5, 1), "AT+TEST=RFCFG,868.1,SF7,125,8,8,14,ON,OFF,ON");
        assert_eq!(command(ModemModel::Rn2483, 3), "radio set freq 868100000");
        assert_eq!((megahertz(866_000_000), megahertz(869_525_000)), ("866".into(), "869.525".into()));
        let private = ModemChannel { network: SyncWord::Private, ..channel() };
        assert_eq!(Values { channel: &private, payload: None }.fill("{sync} {sync-long}").unwrap(), "12 1424");
    }
}

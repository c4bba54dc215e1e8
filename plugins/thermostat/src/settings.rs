//! What the operator can set.

use std::collections::{BTreeMap, BTreeSet};

use stile_filter::uplink::{Format, Source};
use stile_filter::{Deserialize, JsonSchema, Period};

use crate::model::Model;

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) struct Settings {
    /// The thermostats, each by a name that becomes a level of topics.
    pub(crate) thermostats: BTreeMap<String, Thermostat>,
    /// Where messages have what thermostats sent.
    #[serde(default)]
    pub(crate) source: Source,
    /// How commands go down; without it, thermostats are only read.
    pub(crate) downlink: Option<Downlink>,
    /// The first levels of the topics `NAME/set`, `NAME/state` and `NAME/up`.
    #[serde(default = "prefix")]
    pub(crate) prefix: String,
    /// The lowest temperature that may be set, in °C.
    #[serde(default = "lowest")]
    pub(crate) min: f64,
    /// The highest temperature that may be set, in °C.
    #[serde(default = "highest")]
    pub(crate) max: f64,
    /// How long to wait for a thermostat to confirm what it was set to.
    #[serde(default = "patience")]
    pub(crate) patience: Period,
    /// How far the temperature of a WT101 may be off before it moves the valve, in °C: its command has it in it.
    #[serde(default = "tolerance")]
    pub(crate) tolerance: f64,
}

/// One thermostat.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) struct Thermostat {
    /// Its EUI; for payloads without one, the level of the topic that is the device.
    pub(crate) device: String,
    /// What it is.
    pub(crate) model: Model,
}

/// How commands go down.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) struct Downlink {
    /// The topic, such as `application/ID/device/{device}/command/down`. `{device}` and `{name}` stand for those of
    /// the thermostat.
    pub(crate) topic: String,
    /// What the payload is.
    #[serde(default)]
    pub(crate) format: Format,
    /// Whether the network server is to send it until the thermostat has acknowledged it.
    #[serde(default)]
    pub(crate) confirmed: bool,
    /// The LoRaWAN port; that of the model where nothing is said.
    pub(crate) port: Option<u8>,
}

fn prefix() -> String {
    "thermostat".to_owned()
}

fn lowest() -> f64 {
    5.0
}

fn highest() -> f64 {
    30.0
}

fn patience() -> Period {
    Period(std::time::Duration::from_secs(3600))
}

fn tolerance() -> f64 {
    0.5
}

impl Downlink {
    /// The topic for one thermostat.
    pub(crate) fn topic(&self, name: &str, device: &str) -> String {
        self.topic.replace("{device}", device).replace("{name}", name)
    }
}

impl Settings {
    /// As they are used: EUIs in small letters.
    pub(crate) fn checked(mut self) -> Result<Self, String> {
        if self.thermostats.is_empty() {
            return Err("`thermostats` names none".to_owned());
        }
        // A difference with NaN is none either.
        if !(self.min <= self.max && self.min >= 0.0 && self.max <= 50.0) {
            return Err("`min` and `max` are not a range within 0 and 50".to_owned());
        }
        if !(0.1..=5.0).contains(&self.tolerance) {
            return Err("`tolerance` is not between 0.1 and 5".to_owned());
        }
        if self.prefix.is_empty() || self.prefix.contains(['+', '#', '\0']) {
            return Err("`prefix` is no beginning of a topic".to_owned());
        }
        if self.downlink.as_ref().is_some_and(|downlink| matches!(downlink.port, Some(0 | 224..))) {
            return Err("`port` is not between 1 and 223".to_owned());
        }
        let mut devices = BTreeSet::new();
        for (name, thermostat) in &mut self.thermostats {
            thermostat.device.make_ascii_lowercase();
            check(name, &thermostat.device, self.downlink.as_ref())?;
            if !devices.insert(thermostat.device.as_str()) {
                return Err(format!("the device `{}` is two of `thermostats`", thermostat.device));
            }
        }
        Ok(self)
    }
}

fn check(name: &str, device: &str, downlink: Option<&Downlink>) -> Result<(), String> {
    if name.is_empty() || name.contains(['/', '+', '#', '\0']) {
        return Err(format!("`{name}` in `thermostats` is no level of a topic"));
    }
    if device.is_empty() {
        return Err(format!("`device` of `{name}` is empty"));
    }
    let topic = downlink.map(|downlink| downlink.topic(name, device));
    match topic.filter(|topic| topic.is_empty() || topic.contains(['+', '#', '\0', '{', '}'])) {
        Some(topic) => {
            Err(format!("`{topic}` is no topic for commands to `{name}`; `{{device}}` and `{{name}}` are known"))
        }
        None => Ok(()),
    }
}

//! What the operator can set, and what a message is by that.

use std::collections::BTreeMap;
use std::time::Duration;

use stile_filter::uplink::Source;
use stile_filter::{Deserialize, JsonSchema, Message, Period};

use crate::kept::Sensor;
use crate::reading::Readings;
use crate::{climate, elsys, milesight, motion};

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) struct Settings {
    /// Which messages are of what: `{ topics = "application/1/device/+/event/up", kind = "elsys" }`. The first that
    /// fits counts.
    sensors: Vec<Sensors>,
    /// Which home a device is in, such as `{ a81758fffe03dac1 = "flat-12" }`.
    #[serde(default)]
    homes: BTreeMap<String, String>,
    /// Where the network server's event names the home of a device that is not in `homes`, as a JSON Pointer such as
    /// `/deviceInfo/tags/home`. A device of which neither says it is a home of its own.
    home_field: Option<String>,
    /// Motion is missing when a home's own baseline allows such a silence once in so many times.
    #[serde(default = "rarity")]
    rarity: f32,
    /// An hour of the day counts when it was heard on so many days, 1 to 28.
    #[serde(default = "learn_days")]
    learn_days: u8,
    /// A sensor is cold when it is below this, in degrees Celsius.
    #[serde(default = "cold_below")]
    cold_below: f64,
    /// For so long.
    #[serde(default = "cold_for")]
    cold_for: Period,
    /// A sensor is damp when the mean relative humidity at the wall is above this, in percent.
    #[serde(default = "damp_above")]
    damp_above: f64,
    /// The time constant of that mean.
    #[serde(default = "damp_over")]
    damp_over: Period,
    /// How much colder the wall is than the air, in degrees.
    #[serde(default = "wall_colder")]
    wall_colder: f64,
    /// A sensor of which nothing was heard for so long is told of.
    #[serde(default = "silent_after")]
    pub(crate) silent_after: Period,
    /// The first levels of the topics of alerts.
    #[serde(default = "topic")]
    pub(crate) topic: String,
}

/// Sensors of one kind.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
struct Sensors {
    /// A filter for the topics of their messages.
    topics: String,
    /// What they are.
    kind: Kind,
    /// Where a message has the bytes; in ChirpStack's events where nothing is said.
    #[serde(default)]
    source: Source,
    /// Where devices of several kinds share their topics: the name of the device profile of these, as ChirpStack's
    /// event says it.
    profile: Option<String>,
}

/// A kind of sensors.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(crate = "stile_filter::serde", rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
enum Kind {
    /// Elsys's ERS and all that speak like it.
    Elsys,
    /// Milesight's EM300-TH.
    Em300Th,
}

const fn hours(count: u64) -> Period {
    Period(Duration::from_secs(3600 * count))
}

fn rarity() -> f32 {
    10_000.0
}

fn learn_days() -> u8 {
    7
}

fn cold_below() -> f64 {
    16.0
}

fn cold_for() -> Period {
    hours(2)
}

fn damp_above() -> f64 {
    80.0
}

fn damp_over() -> Period {
    hours(24)
}

fn wall_colder() -> f64 {
    3.0
}

fn silent_after() -> Period {
    hours(6)
}

fn topic() -> String {
    "telecare".to_owned()
}

/// Whether a text can be a level of a topic and part of a key.
fn level(text: &str) -> bool {
    (1..=64).contains(&text.len()) && !text.contains(['/', '+', '#', '\0'])
}

fn minutes(Period(time): Period) -> u32 {
    u32::try_from(time.as_secs() / 60).unwrap_or(u32::MAX)
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        let refused = |what: &str| Err(what.to_owned());
        if self.sensors.is_empty() {
            return refused("`sensors` names no sensor");
        }
        if self.sensors.iter().any(|sensors| sensors.topics.is_empty()) {
            return refused("a sensor's `topics` is no filter of topics, such as application/1/device/+/event/up");
        }
        if let Some(home) = self.homes.values().find(|home| !level(home)) {
            return Err(format!("`{home}` in `homes` is no level of a topic with at most 64 letters"));
        }
        if let Some(field) = self.home_field.as_ref().filter(|field| !field.starts_with('/')) {
            return Err(format!("`home-field` is no JSON Pointer; write `/{field}`"));
        }
        if !self.topic.split('/').all(level) {
            return refused("`topic` is no topic name, such as telecare or care/homes");
        }
        if !(10.0..=1e9).contains(&self.rarity) {
            return refused("`rarity` is not between 10 and 1000000000");
        }
        if !(1..=28).contains(&self.learn_days) {
            return refused("`learn-days` is not between 1 and 28");
        }
        if !(-40.0..=40.0).contains(&self.cold_below) || !(0.0..=20.0).contains(&self.wall_colder) {
            return refused("`cold-below` is not between -40 and 40 degrees, or `wall-colder` not between 0 and 20");
        }
        if !(10.0..=100.0).contains(&self.damp_above) {
            return refused("`damp-above` is not between 10 and 100 percent");
        }
        if [self.cold_for, self.damp_over, self.silent_after].into_iter().any(|time| minutes(time) == 0) {
            return refused("`cold-for`, `damp-over` and `silent-after` are at least 1m");
        }
        Ok(())
    }

    pub(crate) fn motion(&self) -> motion::Rule {
        motion::Rule { rarity: self.rarity, learn: self.learn_days }
    }

    pub(crate) fn climate(&self) -> climate::Rule {
        climate::Rule {
            cold_below: self.cold_below,
            cold_for: minutes(self.cold_for),
            damp_above: self.damp_above,
            damp_over: minutes(self.damp_over),
            wall_colder: self.wall_colder,
        }
    }

    /// Whose message it is and what it says; none if it is of no sensor. The error says why it can't be read.
    pub(crate) fn read(&self, message: &Message) -> Result<Option<(Sensor, Readings)>, &'static str> {
        for sensors in self.sensors.iter().filter(|sensors| message.fits(&sensors.topics)) {
            let uplink = sensors.source.read(message)?;
            let profile = uplink.text("/deviceInfo/deviceProfileName");
            if sensors.profile.is_some() && sensors.profile.as_deref() != profile {
                continue;
            }
            let named = self.home_field.as_deref().and_then(|field| uplink.text(field));
            let home =
                self.homes.get(&uplink.device).map(String::as_str).or(named).unwrap_or(&uplink.device).to_owned();
            if !level(&home) || !level(&uplink.device) {
                return Err("its home or device is no level of a topic with at most 64 letters");
            }
            let readings = match sensors.kind {
                Kind::Elsys => elsys::read(&uplink.bytes),
                Kind::Em300Th => milesight::read(&uplink.bytes),
            };
            return Ok(Some((Sensor { home, device: uplink.device }, readings)));
        }
        Ok(None)
    }
}

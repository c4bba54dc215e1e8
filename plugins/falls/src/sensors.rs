//! Which messages are whose, and what they report.

use stile_filter::serde::Serialize;
use stile_filter::uplink::{Format, Source};
use stile_filter::{Deserialize, Host, JsonSchema, Level, Message};

use crate::frames::{MOST_BYTES, Tails};
use crate::{button, fda1, fda2};

/// Sensors of one kind.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) struct Sensor {
    /// A filter for the topics of their messages, such as `serial/+/up`.
    topics: String,
    /// What they are.
    kind: Kind,
    /// Where a message has the bytes. Where nothing is said: of `ws101` in ChirpStack's events, else the payload as it
    /// is.
    source: Option<Source>,
    /// Of `message`: where the press stands in a JSON payload, as a JSON Pointer. Without it each message is a press.
    field: Option<String>,
    /// Of `message`: what stands there when somebody presses.
    #[serde(default = "yes")]
    equals: String,
}

fn yes() -> String {
    "true".to_owned()
}

/// A kind of sensors.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(crate = "stile_filter::serde", rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
enum Kind {
    /// Seeed's radar MR60FDA1.
    Mr60fda1,
    /// Seeed's radar MR60FDA2.
    Mr60fda2,
    /// Milesight's LoRaWAN button WS101.
    Ws101,
    /// A message that says that somebody called for help.
    Message,
}

/// What a sensor reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// Somebody has fallen, or nobody lies there any more.
    Fall(bool),
    /// Whether somebody is there.
    Presence(bool),
    /// Somebody pressed the button.
    Press,
    /// Nothing that matters here.
    Alive,
}

/// A message that was read.
pub(crate) struct Heard {
    pub(crate) device: String,
    pub(crate) reports: Vec<Report>,
    /// Why some of it can't be read.
    pub(crate) refused: Option<&'static str>,
}

impl Sensor {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.topics.is_empty() {
            return Err("a sensor's `topics` is no filter of topics, such as serial/+/up".to_owned());
        }
        match &self.field {
            Some(_) if self.kind != Kind::Message => Err("`field` is for the kind `message` alone".to_owned()),
            Some(field) if !field.starts_with('/') => Err(format!("`field` is no JSON Pointer; write `/{field}`")),
            _ => Ok(()),
        }
    }

    pub(crate) fn wants(&self, message: &Message) -> bool {
        message.fits(&self.topics)
    }

    pub(crate) fn is_radar(&self) -> bool {
        matches!(self.kind, Kind::Mr60fda1 | Kind::Mr60fda2)
    }

    /// Reads a message. The error says why nothing of it can be read.
    pub(crate) fn read(&self, message: &Message, tails: &mut Tails) -> Result<Heard, &'static str> {
        let usual = if self.kind == Kind::Ws101 { Format::Chirpstack } else { Format::Bytes };
        let uplink = self.source.unwrap_or(Source::of(usual)).read(message)?;
        let (device, bytes) = (uplink.device, uplink.bytes);
        let one = |report| Heard { device: device.clone(), reports: vec![report], refused: None };
        let read = match self.kind {
            Kind::Ws101 => return Ok(one(button::ws101(&bytes))),
            Kind::Message => return button::message(&bytes, self.field.as_deref(), &self.equals).map(one),
            Kind::Mr60fda1 => fda1::read,
            Kind::Mr60fda2 => fda2::read,
        };
        if bytes.len() > MOST_BYTES {
            return Err("it is longer than a radar's message");
        }
        if self.kind == Kind::Mr60fda1
            && !tails.waits_for(&device)
            && let Some(report) = fda1::read_bare(&bytes)
        {
            return Ok(one(report));
        }
        let found = tails.scan(read, &device, message.received, &bytes);
        Ok(Heard { device, reports: found.reports, refused: found.refused })
    }
}

/// What is kept of a radar.
#[derive(Serialize, Deserialize, Default)]
#[serde(crate = "stile_filter::serde", default)]
pub(crate) struct Radar {
    /// It has reported a fall, and not yet that there is none any more.
    pub(crate) fallen: bool,
    /// What it reported last of somebody being there.
    pub(crate) present: Option<bool>,
    /// It was told that nothing is heard of it.
    pub(crate) silent: bool,
}

/// In front of a radar's name.
pub(crate) const RADARS: &str = "radar/";

impl Radar {
    pub(crate) fn of(device: &str, host: &Host) -> Self {
        let kept = host.kv().get(&format!("{RADARS}{device}"));
        kept.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// Not being able to is no reason to be quiet: what was not kept is at worst told twice.
    pub(crate) fn keep(&self, device: &str, host: &Host) {
        let json = serde_json::to_vec(self).unwrap_or_default();
        if let Err(error) = host.kv().set(&format!("{RADARS}{device}"), &json, None) {
            host.log(Level::Warn, format_args!("{device}: {error}"));
        }
    }
}

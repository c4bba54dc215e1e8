//! An incident: from the first report until somebody acknowledges it. What is kept of it, and what is told.

use serde_json::{Value, json};
use stile_filter::serde::Serialize;
use stile_filter::{Deserialize, Draft, Host, Level, Period, Qos, Time};

use crate::Settings;
use crate::sensors::Radar;

/// In front of a place that has an open incident.
const OPEN: &str = "open/";
/// In front of a place where one was acknowledged just now.
const QUIET: &str = "quiet/";

/// The most open incidents that are looked at in one tick; the next one goes on behind them.
const MOST: u32 = 200;

/// What began it.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(crate = "stile_filter::serde", rename_all = "kebab-case")]
pub(crate) enum Cause {
    Fall,
    Button,
}

impl Cause {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Fall => "fall",
            Self::Button => "button",
        }
    }
}

/// An open incident.
#[derive(Serialize, Deserialize)]
#[serde(crate = "stile_filter::serde")]
pub(crate) struct Incident {
    pub(crate) place: String,
    pub(crate) cause: Cause,
    /// The device that began it.
    sensor: String,
    /// When it began.
    #[serde(with = "micros")]
    pub(crate) at: Time,
    pub(crate) level: usize,
    /// When it was last told; 0 if it never could be.
    #[serde(with = "micros")]
    pub(crate) told: Time,
    /// What a radar there reported last.
    pub(crate) fallen: bool,
    /// Whether a button was pressed.
    pub(crate) pressed: bool,
}

mod micros {
    use stile_filter::Time;
    use stile_filter::serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        u64::deserialize(deserializer).map(Time)
    }
}

/// How many are open; 4,096 if there are more.
pub(crate) fn count(host: &Host) -> usize {
    host.kv().keys(OPEN, u32::MAX).len()
}

/// The next that are open, behind `after`, which moves on; none behind the last.
pub(crate) fn next(after: &mut Option<String>, host: &Host) -> Vec<Incident> {
    let keys = host.kv().keys_after(OPEN, after.as_deref().unwrap_or_default(), MOST);
    *after = if keys.len() < MOST as usize { None } else { keys.last().cloned() };
    keys.iter().filter_map(|key| Incident::at(key.strip_prefix(OPEN)?, host)).collect()
}

/// Whether one was acknowledged there just now.
pub(crate) fn is_quiet(place: &str, host: &Host) -> bool {
    host.kv().get(&format!("{QUIET}{place}")).is_some()
}

/// The topic on which a place's incident is told.
pub(crate) fn topic(settings: &Settings, place: &str) -> String {
    format!("{}/{place}/alert", settings.topic)
}

/// Publishes what stays there for whoever comes later. Says whether it was taken.
pub(crate) fn publish(topic: String, payload: &Value, host: &Host) -> bool {
    let draft = Draft {
        qos: Qos::AtLeastOnce,
        retain: true,
        content_type: Some("application/json".to_owned()),
        ..Draft::new(topic, payload.to_string())
    };
    let topic = draft.topic.clone();
    let published = host.publish(draft);
    if let Err(error) = &published {
        host.log(Level::Error, format_args!("{topic} is not told: {error}"));
    }
    published.is_ok()
}

impl Incident {
    pub(crate) fn new(place: &str, cause: Cause, device: &str, at: Time) -> Self {
        let (place, sensor) = (place.to_owned(), device.to_owned());
        let (fallen, pressed) = (cause == Cause::Fall, cause == Cause::Button);
        Self { place, cause, sensor, at, level: 0, told: Time(0), fallen, pressed }
    }

    /// The open incident of a place.
    pub(crate) fn at(place: &str, host: &Host) -> Option<Self> {
        let json = host.kv().get(&format!("{OPEN}{place}"))?;
        let incident = serde_json::from_slice(&json);
        if let Err(error) = &incident {
            host.log(Level::Error, format_args!("what was kept of {place} can't be read: {error}"));
        }
        incident.ok()
    }

    /// What it is known by.
    pub(crate) fn id(&self) -> String {
        self.at.0.to_string()
    }

    /// Whether it is to be told: its level has risen, the last time is long ago, or there was none.
    pub(crate) fn is_due(&self, level: usize, Period(remind): Period, now: Time) -> bool {
        // Of a clock that was set back nobody knows how long ago it is.
        let long_ago = now < self.told || now.since(self.told) >= remind;
        level > self.level || long_ago || self.told == Time(0)
    }

    /// Tells it, and keeps it as it was told. One that can't be kept is told nevertheless, and one that can't be told
    /// is kept, for the next tick to try again.
    pub(crate) fn tell(&mut self, settings: &Settings, now: Time, host: &Host) {
        if publish(topic(settings, &self.place), &self.json("open", host), host) {
            self.told = now;
        }
        let json = serde_json::to_vec(self).unwrap_or_default();
        if let Err(error) = host.kv().set(&format!("{OPEN}{}", self.place), &json, None) {
            host.log(Level::Error, format_args!("{} is told but not kept: {error}", self.place));
        }
    }

    /// Tells that it is over, and forgets it.
    pub(crate) fn end(&self, settings: &Settings, state: &str, by: Option<&str>, now: Time, host: &Host) {
        let mut payload = self.json(state, host);
        payload["ended"] = json!(now.to_string());
        if let Some(by) = by {
            payload["by"] = json!(by);
        }
        // Kept open where it can't be told: nobody would know.
        if publish(topic(settings, &self.place), &payload, host) {
            host.kv().delete(&format!("{OPEN}{}", self.place));
        }
    }

    /// Whether this device began it.
    pub(crate) fn is_of(&self, device: &str) -> bool {
        self.cause == Cause::Fall && self.sensor == device
    }

    fn json(&self, state: &str, host: &Host) -> Value {
        let mut payload = json!({
            "id": self.id(),
            "state": state,
            "level": self.level,
            "cause": self.cause.word(),
            "sensor": self.sensor,
            "at": self.at.to_string(),
            "fallen": self.fallen,
            "pressed": self.pressed,
        });
        if let Some(present) = Radar::of(&self.sensor, host).present {
            payload["present"] = json!(present);
        }
        payload
    }
}

/// From now on, for a while, a radar that still reports the same fall begins no other incident there.
pub(crate) fn quiet(settings: &Settings, place: &str, host: &Host) {
    let Period(rearm) = settings.rearm;
    if let Err(error) = host.kv().set(&format!("{QUIET}{place}"), b"", Some(rearm)) {
        host.log(Level::Warn, format_args!("{place}: {error}"));
    }
}

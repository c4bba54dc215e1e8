//! Compares readings with those before. What was before is kept by the gateway under the topic and the reading's
//! name, so that a failure of the filter hides nothing.

use std::time::Duration;

use serde_json::json;
use stile_filter::{Host, Level, Message, Time};

use crate::alert::Alert;
use crate::reading::{Kind, Meter, Reading};
use crate::settings::Settings;

/// What nobody has heard of for so long is forgotten.
const KEPT: Duration = Duration::from_secs(400 * 86_400);
/// How often what stays the same is written again.
const FRESH: Duration = Duration::from_secs(86_400);
/// The most readings of one meter that are forgotten when another takes its place.
const MOST_KEPT: u32 = 1024;

/// What was used since.
#[derive(Debug, PartialEq)]
pub(crate) enum Delta {
    /// This much in so many seconds.
    Since { used: f64, seconds: f64 },
    /// It begins here.
    First,
    /// It is not yet time to say.
    Later,
}

/// What is kept of a counter: its last reading, and the one that what was used is counted from.
#[derive(Clone, Copy)]
struct Counter {
    value: f64,
    at: Time,
    from: f64,
    since: Time,
}

/// One meter of one message.
pub(crate) struct Watch<'a> {
    settings: &'a Settings,
    meter: &'a Meter,
    message: &'a Message,
    host: &'a Host,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(settings: &'a Settings, meter: &'a Meter, message: &'a Message, host: &'a Host) -> Self {
        Self { settings, meter, message, host }
    }

    /// Whether it is the same meter as before. With another one, everything begins anew.
    pub(crate) fn identity(&self) {
        let Some(id) = &self.meter.id else { return };
        if let Some(before) = self.remembered("meter", id) {
            self.alert("meter-changed", "meter", None, (json!(before), json!(id)), None);
            self.forget();
            self.remembered("meter", id);
        }
    }

    /// Looks at a reading. Of a counter it says what was used.
    pub(crate) fn reading(&self, reading: &Reading) -> Option<Delta> {
        match reading.kind {
            Kind::Gauge => None,
            Kind::Watched => {
                self.watched(reading);
                None
            }
            Kind::Counter => Some(self.counter(reading)),
        }
    }

    fn watched(&self, reading: &Reading) {
        let before = self.remembered(&reading.name, &reading.value.to_string());
        if let Some(before) = before.and_then(|before| before.parse::<f64>().ok()) {
            self.alert("changed", &reading.name, reading.unit, (json!(before), json!(reading.value)), None);
        }
    }

    /// Remembers what should not change. Gives what it was before, if that was something else.
    fn remembered(&self, name: &str, value: &str) -> Option<String> {
        let key = self.key(name);
        let text = self.text(&key);
        let before = text.as_deref().and_then(|text| text.rsplit_once(' '));
        let at = before.and_then(|(_, at)| at.parse().ok()).map_or(Time(0), Time);
        let same = before.is_some_and(|(before, _)| before == value);
        // What stays the same is written again now and then, so that it is not forgotten.
        if !same || self.message.since(at) >= FRESH {
            self.keep(&key, &format!("{value} {}", self.message.received.0));
        }
        before.filter(|_| !same).map(|(before, _)| before.to_owned())
    }

    fn counter(&self, reading: &Reading) -> Delta {
        let key = self.key(&reading.name);
        let (value, at) = (reading.value, self.message.received);
        let begun = Counter { value, at, from: value, since: at };
        let before = self.text(&key).and_then(|text| Counter::read(&text));
        let (now, delta) = match before {
            None => (begun, Delta::First),
            Some(before) if value < before.value => {
                self.alert("backwards", &reading.name, reading.unit, (json!(before.value), json!(value)), None);
                (begun, Delta::First)
            }
            // The clock was set back: what it says of the time in between is worth nothing.
            Some(before) if at < before.at || at < before.since => (begun, Delta::First),
            Some(before) => {
                self.jump(reading, before);
                match self.is_due(before.since) {
                    true => {
                        let seconds = at.since(before.since).as_secs_f64();
                        (begun, Delta::Since { used: rounded(value - before.from), seconds })
                    }
                    false => (Counter { value, at, ..before }, Delta::Later),
                }
            }
        };
        self.keep(&key, &now.to_string());
        delta
    }

    /// More than can have been.
    fn jump(&self, reading: &Reading, before: Counter) {
        let hours = |seconds: f64| (self.message.since(before.at).as_secs_f64() + seconds) / 3600.0;
        // Counters go in steps: those of pipes may say once an hour what has flown in it.
        let most = match reading.unit {
            Some("Wh") => self.settings.max_power.map(|power| power * hours(60.0)),
            Some("J") => self.settings.max_power.map(|power| power * 3600.0 * hours(3600.0)),
            Some("m3") => self.settings.max_flow.map(|flow| flow * hours(3600.0)),
            _ => None,
        };
        if let Some(most) = most.filter(|most| reading.value - before.value > *most) {
            let both = (json!(before.value), json!(reading.value));
            self.alert("jump", &reading.name, reading.unit, both, Some(before.value + most));
        }
    }

    /// Whether an interval has ended since. They begin at whole multiples of their length since 1970, so that those
    /// of all meters agree.
    fn is_due(&self, since: Time) -> bool {
        let Some(length) = self.settings.interval else { return true };
        let length = u64::try_from(length.0.as_micros()).unwrap_or(u64::MAX).max(1);
        self.message.received.0 / length > since.0 / length
    }

    fn alert(
        &self,
        what: &'static str,
        reading: &str,
        unit: Option<&'static str>,
        (before, now): (serde_json::Value, serde_json::Value),
        most: Option<f64>,
    ) {
        let alert = Alert { what, reading, unit, before, now, most };
        alert.tell(&self.settings.suffix, self.meter, self.message, self.host);
    }

    /// Names have no spaces, so that no two of these are the same.
    fn key(&self, name: &str) -> String {
        format!("{} {}", self.message.topic, self.meter.name(name))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.host.kv().get(key).and_then(|value| String::from_utf8(value).ok())
    }

    fn keep(&self, key: &str, text: &str) {
        if let Err(error) = self.host.kv().set(key, text.as_bytes(), Some(KEPT)) {
            // Each message would be the first one: nothing would be told of what is not there.
            self.host.count("not_kept", 1);
            self.host.log(Level::Warn, format_args!("{key}: {error}"));
        }
    }

    /// All that is kept of this meter, and nothing of others on the same line.
    fn forget(&self) {
        let prefix = self.key("");
        for key in self.host.kv().keys(&prefix, MOST_KEPT) {
            if !key[prefix.len()..].contains('/') {
                self.host.kv().delete(&key);
            }
        }
    }
}

/// To a millionth: what decimal fractions lose in binary is nobody's business.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

impl Counter {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (value, at) = (words.next()?.parse().ok()?, Time(words.next()?.parse().ok()?));
        Some(Self { value, at, from: words.next()?.parse().ok()?, since: Time(words.next()?.parse().ok()?) })
    }
}

impl std::fmt::Display for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.value, self.at.0, self.from, self.since.0)
    }
}

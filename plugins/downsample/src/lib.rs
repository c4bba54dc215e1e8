//! Keeps back what tells nothing new: readings that have not changed by enough, that come too often, or all of them in
//! exchange for what a window of time comes to.
//!
//! `change.rs` decides by change, `window.rs` gathers; `readings.rs` finds the numbers in a payload, `topics.rs` remembers
//! something for each topic. What is remembered may be lost with the instance: then a message too many goes on.

mod change;
mod readings;
mod topics;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use stile_filter::{Deserialize, Draft, Error, Filter, Host, JsonSchema, Message, Period, Time, Verdict};

use change::Change;
use window::Windows;

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {
    /// The readings, each by its place in the payload (a JSON Pointer such as `/object/temperature`; empty where the
    /// payload is the number itself), and the least change that counts.
    fields: BTreeMap<String, f64>,
    /// After a message of a topic has gone on, no other for so long.
    least_interval: Option<Period>,
    /// After a message of a topic has gone on, one goes on after so long though nothing has changed.
    most_interval: Option<Period>,
    /// In the place of messages: the mean, the least and the greatest value of each window of this length.
    window: Option<Period>,
    /// The last level of the topic on which windows go on, behind that of their messages.
    #[serde(default = "stats")]
    suffix: String,
}

fn stats() -> String {
    "stats".to_owned()
}

/// The filter in one of its two forms.
enum Downsample {
    Change(Change),
    Windows(Windows),
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        let refused = |what: &str| Err(what.to_owned());
        if self.fields.is_empty() {
            return refused("`fields` names no reading, such as { \"/temperature\" = 0.5 }");
        }
        for (field, least) in &self.fields {
            if !field.is_empty() && !field.starts_with('/') {
                return Err(format!("`{field}` in `fields` is no JSON Pointer; write `/{field}`"));
            }
            if !least.is_finite() || *least < 0.0 {
                return Err(format!("the least change of `{field}` is negative"));
            }
        }
        if self.suffix.is_empty() || self.suffix.contains(['+', '#', '\0']) {
            return refused("`suffix` is no level of a topic");
        }
        let intervals = [self.least_interval, self.most_interval];
        match self.window {
            Some(Period(Duration::ZERO)) => refused("`window` has no length"),
            Some(_) if intervals != [None, None] => {
                refused("`window` does not go with `least-interval` or `most-interval`")
            }
            _ => Ok(()),
        }
    }
}

impl Filter for Downsample {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["lora/+/up", "serial/+/up"];
    const TICK: Option<Duration> = Some(Duration::from_secs(1));

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        settings.check().map_err(Error::Invalid)?;
        Ok(match settings.window {
            Some(Period(length)) => Self::Windows(Windows::new(settings.fields, length, settings.suffix)),
            None => Self::Change(Change::new(settings.fields, settings.least_interval, settings.most_interval)),
        })
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        match self {
            Self::Change(change) => change.judge(message, host),
            Self::Windows(windows) => windows.gather(message, host),
        }
    }

    fn tick(&mut self, now: Time, _: &Host) -> Result<Vec<Draft>, Error> {
        Ok(match self {
            Self::Change(_) => Vec::new(),
            Self::Windows(windows) => windows.close(now),
        })
    }
}

stile_filter::export!(Downsample, timed);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Downsample>(env!("CARGO_MANIFEST_DIR"));
    }
}

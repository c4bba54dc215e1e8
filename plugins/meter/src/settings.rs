//! What the operator can set.

use std::time::Duration;

use stile_filter::uplink::{self, Source};
use stile_filter::{Deserialize, JsonSchema, Period, senml};

use crate::formats::Format;

/// What the operator can set.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, default, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) struct Settings {
    /// Where the telegram is: the payload as it is where nothing is said.
    #[serde(default = "as_it_is")]
    pub(crate) source: Source,
    /// What telegrams are written in.
    pub(crate) format: Format,
    /// The first register of Modbus answers that come as they are, without JSON: 0 for an SDM meter's voltage.
    pub(crate) first_register: Option<u16>,
    /// What stands in front of each name; the message's topic and a `/` where nothing is said.
    pub(crate) base_name: String,
    /// What was used is told once in each interval of this length; with each message where nothing is said.
    pub(crate) interval: Option<Period>,
    /// Messages with counters go on only when it is time to tell what was used.
    pub(crate) only_deltas: bool,
    /// The most power that the connection can carry, in watts: more used than that is an alert.
    pub(crate) max_power: Option<f64>,
    /// The most that can flow through a pipe, in cubic metres an hour: more used than that is an alert.
    pub(crate) max_flow: Option<f64>,
    /// The last level of the topic on which alerts go, behind that of the message.
    #[serde(default = "suffix")]
    pub(crate) suffix: String,
}

fn as_it_is() -> Source {
    Source::of(uplink::Format::Bytes)
}

fn suffix() -> String {
    "alert".to_owned()
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        let refused = |what: &str| Err(what.to_owned());
        if self.base_name != senml::name(&self.base_name) {
            return refused("`base-name` has letters, digits and -:./_ alone, a letter or digit first");
        }
        if self.interval == Some(Period(Duration::ZERO)) {
            return refused("`interval` has no length");
        }
        if self.only_deltas && self.interval.is_none() {
            return refused("`only-deltas` needs an `interval`");
        }
        for (name, most) in [("max-power", self.max_power), ("max-flow", self.max_flow)] {
            if most.is_some_and(|most| !most.is_finite() || most <= 0.0) {
                return Err(format!("`{name}` is not above 0"));
            }
        }
        if self.suffix.is_empty() || self.suffix.contains(['+', '#', '\0']) {
            return refused("`suffix` is no level of a topic");
        }
        Ok(())
    }
}

//! What the operator can set.

use std::collections::BTreeMap;
use std::time::Duration;

use stile_filter::uplink::Source;
use stile_filter::{Deserialize, JsonSchema, Period};

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) struct Settings {
    /// Where a message has what the sensor sent.
    #[serde(default)]
    pub(crate) source: Source,
    /// For other sensors than Bosch's TPS110: where the event (or, with `bytes`, the payload) says `true` for a bay that
    /// is taken and `false` for a free one, as a JSON Pointer such as `/object/occupied`.
    #[serde(default)]
    pub(crate) occupied: String,
    /// The streets and the devices of their bays.
    #[serde(default)]
    pub(crate) streets: BTreeMap<String, Vec<String>>,
    /// For devices that `streets` does not have: where the event names the street, as a JSON Pointer.
    #[serde(default)]
    pub(crate) street_field: String,
    /// For devices without any of these: the level of the topic that is the street, from 0.
    #[serde(default)]
    pub(crate) street_level: Option<usize>,
    /// A change that goes back within this time is not told.
    #[serde(default = "debounce")]
    pub(crate) debounce: Period,
    /// A bay of which nothing was heard for this time is told as unknown.
    #[serde(default = "stale_after")]
    pub(crate) stale_after: Period,
    /// A bay of which nothing was heard for this time counts no longer.
    #[serde(default = "forget_after")]
    pub(crate) forget_after: Period,
    /// The first level of the topics that bays and streets are told on.
    #[serde(default = "topic")]
    pub(crate) topic: String,
    /// Whether what is told is kept for later subscribers.
    #[serde(default = "retain")]
    pub(crate) retain: bool,
}

fn debounce() -> Period {
    Period(Duration::from_secs(30))
}

fn stale_after() -> Period {
    Period(Duration::from_secs(25 * 3600))
}

fn forget_after() -> Period {
    Period(Duration::from_secs(30 * 86_400))
}

fn topic() -> String {
    "parking".to_owned()
}

fn retain() -> bool {
    true
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        for (setting, place) in [("occupied", &self.occupied), ("street-field", &self.street_field)] {
            if !place.is_empty() && !place.starts_with('/') {
                return Err(format!("`{setting}` is no JSON Pointer; write `/{place}`"));
            }
        }
        if self.topic.is_empty() || self.topic.contains(['+', '#', '\0']) {
            return Err("`topic` is no topic".to_owned());
        }
        if self.stale_after <= self.debounce {
            return Err("`stale-after` is not longer than `debounce`: no change would be told".to_owned());
        }
        if self.forget_after < self.stale_after {
            return Err("`forget-after` is shorter than `stale-after`".to_owned());
        }
        Ok(())
    }

    /// The street of each device, which are in small letters as EUIs are.
    pub(crate) fn homes(&self) -> Result<BTreeMap<String, String>, String> {
        let mut homes = BTreeMap::new();
        for (street, devices) in &self.streets {
            for device in devices {
                if let Some(other) = homes.insert(device.to_ascii_lowercase(), street.clone()) {
                    return Err(format!("`{device}` is in two streets, `{other}` and `{street}`"));
                }
            }
        }
        Ok(homes)
    }
}

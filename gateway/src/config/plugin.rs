//! Typed settings of one plugin: `[[plugin]]` in the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::text::filters;
use crate::message::TopicFilter;

/// A filter on the messages' way. Plugins are asked in the order of the settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plugin {
    /// 1 to 64 of `a-z A-Z 0-9 - _`, unique among plugins. What the plugin remembers belongs to this name.
    pub name: String,
    /// The component; absolute.
    pub file: PathBuf,
    /// Whether messages go through it.
    pub enabled: bool,
    /// The messages it judges. None: those that its manifest says.
    #[serde(with = "filters", skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicFilter>,
    /// What becomes of a message that it fails at.
    pub on_failure: OnFailure,
    /// What it may use besides what every plugin may; each at most once.
    pub grants: Vec<Grant>,
    /// What it may publish: topics of the messages that it makes, and of those that it moves.
    #[serde(with = "filters")]
    pub publish: Vec<TopicFilter>,
    /// Time between its ticks. `None`: what its manifest says.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub tick: Option<Duration>,
    /// What it may cost.
    pub limits: Limits,
    /// `[plugin.settings]`: what the plugin itself is told; always a JSON object.
    #[serde(skip_serializing_if = "no_settings")]
    pub settings: serde_json::Value,
    /// `[plugin.data]`: files that it may read, by the name it asks for; absolute.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, PathBuf>,
}

impl Plugin {
    /// One with the defaults of all that is not named here.
    pub fn new(name: &str, file: impl Into<PathBuf>, topic: &str) -> Self {
        let filters = |text| TopicFilter::new(text).into_iter().collect::<Vec<_>>();
        Self {
            name: name.into(),
            file: file.into(),
            enabled: true,
            topics: filters(topic),
            on_failure: OnFailure::default(),
            grants: Vec::new(),
            publish: filters("#"),
            tick: None,
            limits: Limits::default(),
            settings: serde_json::Value::Object(serde_json::Map::new()),
            data: BTreeMap::new(),
        }
    }
}

fn no_settings(settings: &serde_json::Value) -> bool {
    settings.as_object().is_none_or(serde_json::Map::is_empty)
}

/// What becomes of a message that a plugin fails at, or refuses to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It goes on as it came.
    #[default]
    Pass,
    /// It ends here, counted.
    Drop,
    /// It is held until the plugin can judge it.
    Hold,
}

/// An interface that the operator grants. `log`, `metrics`, `clock` and `context` every plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// Remembering things.
    Kv,
    /// Publishing messages besides those that it judges.
    Emit,
    /// Random numbers.
    Random,
    /// The files of `[plugin.data]`.
    Data,
}

impl Grant {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Kv, Self::Emit, Self::Random, Self::Data];

    /// As it is written in the settings, which is the interface's name too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Emit => "emit",
            Self::Random => "random",
            Self::Data => "data",
        }
    }
}

/// `[plugin.limits]`: what a plugin may cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    /// Bytes of memory; 65536 to 1 GiB.
    pub memory: usize,
    /// CPU time of one call; 1 ms to 1 min.
    #[serde(with = "duration")]
    pub cpu: Duration,
    /// Fuel of one call, about one for each instruction; 1000 to 10^15. `None`: it is not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Messages that one call may make; 1 to 10000.
    pub drafts: usize,
    /// Bytes of what it remembers; 0 to 64 MiB.
    pub kv_bytes: usize,
    /// Bytes of the messages that are held for it; 0 to 64 MiB.
    pub held_bytes: usize,
    /// So many failures within `within` end it until it is tried again; 1 to 1000.
    pub failures: usize,
    /// 1 s to 24 h.
    #[serde(with = "duration")]
    pub within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            cpu: Duration::from_millis(50),
            fuel: None,
            drafts: 1000,
            kv_bytes: 1 << 20,
            held_bytes: 1 << 20,
            failures: 5,
            within: Duration::from_secs(60),
        }
    }
}

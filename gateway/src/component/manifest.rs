//! The manifest: what an author says of a plugin before it runs. JSON in the section `stile:manifest`; `plugins/sdk`
//! writes it (`src/manifest.rs`).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Schema, Shape, plain};
use crate::message::TopicFilter;

/// The longest manifest, in bytes. Those of the filters here have 3 kB.
const MAX_BYTES: usize = 256 * 1024;

/// The form that is read.
const FORM: u64 = 1;

/// The most topics, and the most grants.
const LIST_MAX: usize = 100;

/// What every plugin may use: nobody has to grant it.
const FREE: [&str; 5] = ["types", "context", "log", "metrics", "clock"];

/// How far apart ticks may be, as in the settings.
const TICK: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(7 * 24 * 3600);

/// What an author says of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its name; an operator may call it otherwise.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// The topics that it is meant for.
    pub topics: Vec<TopicFilter>,
    /// The interfaces that it needs the operator's leave for, such as `kv`.
    pub grants: Vec<String>,
    /// The time between its ticks that its author chose.
    pub tick: Option<Duration>,
    /// What its settings have to be.
    pub settings: Schema,
}

/// As it is written. What is not known is left alone, so that a later form may say more.
#[derive(Deserialize)]
struct Written {
    manifest: u64,
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    tick: Option<String>,
    #[serde(default = "anything")]
    settings: Value,
}

fn anything() -> Value {
    Value::Bool(true)
}

impl Manifest {
    /// The manifest of a component; `None` where it has none.
    ///
    /// # Errors
    /// What is wrong with it, in words that go behind the component's name.
    pub fn of(shape: &Shape<'_>) -> Result<Option<Self>, String> {
        match shape.manifests.as_slice() {
            [] => Ok(None),
            [bytes] => Self::read(bytes).map(Some).map_err(|why| format!("its manifest is not good: {why}")),
            several => Err(format!("it has {} manifests, and nobody knows which one counts", several.len())),
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("it has {} bytes, and at most {MAX_BYTES} are read", bytes.len()));
        }
        // The reader of JSON stops at 128 levels by itself.
        let written: Written = serde_json::from_slice(bytes).map_err(|error| plain(&error.to_string()))?;
        if written.manifest != FORM {
            return Err(format!("it is of form {}, and this version of Stile reads form {FORM}", written.manifest));
        }
        if written.topics.len() > LIST_MAX || written.grants.len() > LIST_MAX {
            return Err(format!("it has more than {LIST_MAX} topics or grants"));
        }
        let topic =
            |text: &String| TopicFilter::new(text).map_err(|error| format!("its topic `{}` {error}", plain(text)));
        Ok(Self {
            name: plain(&written.name),
            version: plain(&written.version),
            description: plain(&written.description),
            topics: written.topics.iter().map(topic).collect::<Result<_, _>>()?,
            grants: written
                .grants
                .iter()
                .filter(|grant| !FREE.contains(&grant.as_str()))
                .map(|grant| plain(grant))
                .collect(),
            tick: written.tick.as_deref().map(tick).transpose()?,
            settings: Schema::new(written.settings),
        })
    }
}

fn tick(text: &str) -> Result<Duration, String> {
    let period = humantime::parse_duration(text).ok().filter(|period| TICK.contains(period));
    period.ok_or_else(|| format!("its tick `{}` is no time from 100ms to 7days", plain(text)))
}

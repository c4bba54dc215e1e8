//! A case as a file. Reads it; never plays it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Time;
use crate::message::Qos;

/// One file: a filter's settings, and what happens to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in a sentence.
    pub about: String,
    /// What the operator would write under `[plugin.settings]`.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// Second 0 of `at`: midnight before the first of January 2026 where nothing is said.
    #[serde(default = "example", deserialize_with = "time")]
    pub start: Time,
    /// Where the settings must be refused: part of what is said.
    pub invalid: Option<String>,
    /// Data files, as text.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// In the order in which they happen.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// Something that happens, and what is to come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When, in seconds from the start.
    pub at: f64,
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// What becomes of it.
    #[serde(flatten)]
    pub expected: Expected,
    /// What is published besides.
    #[serde(default)]
    pub emits: Vec<Shown>,
}

/// What happens.
#[derive(Debug, Deserialize)]
pub enum What {
    /// A message comes.
    #[serde(rename = "in")]
    In(Box<Shown>),
    /// The filter's period has gone by.
    #[serde(rename = "tick")]
    Tick(bool),
    /// The gateway throws the instance away and makes a new one.
    #[serde(rename = "restart")]
    Restart(bool),
}

/// What becomes of it.
#[derive(Debug, Deserialize)]
pub enum Expected {
    /// It goes on as it is.
    #[serde(rename = "pass")]
    Pass(bool),
    /// It ends, for this reason.
    #[serde(rename = "drop")]
    Drop(String),
    /// The filter can't judge it; part of what it says.
    #[serde(rename = "reject")]
    Reject(String),
    /// These go on instead of it; of a tick: what it gives.
    #[serde(rename = "out")]
    Out(Vec<Shown>),
}

/// A message in a case. Of `json`, `text` and `hex` one is the payload; an empty one where none is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shown {
    /// The topic; of what goes on: that of the message that came, where none is there.
    #[serde(default)]
    pub topic: String,
    /// The payload as JSON: written without spaces, compared by value.
    pub json: Option<Value>,
    /// The payload as text.
    pub text: Option<String>,
    /// The payload in hexadecimal digits; spaces do not matter.
    pub hex: Option<String>,
    /// 0, 1 or 2.
    #[serde(default)]
    pub qos: u8,
    /// Whether it is to be kept.
    #[serde(default)]
    pub retain: bool,
    /// MIME type.
    pub content_type: Option<String>,
    /// Where an answer is awaited.
    pub response_topic: Option<String>,
    /// What the answer will be known by, as text.
    pub correlation: Option<String>,
    /// Of what goes on: seconds for which it is worth delivering.
    pub expiry: Option<u32>,
    /// User properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Of a message that comes: the radio, client or filter that it came from.
    #[serde(default)]
    pub from: String,
}

fn example() -> Time {
    Time::EXAMPLE
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    Time::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time like 2026-01-01T00:00:00Z")))
}

impl Case {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    /// Reads its text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let case: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if case.invalid.is_some() != case.steps.is_empty() {
            return Err("a case has either steps or `invalid`".to_owned());
        }
        if case.steps.iter().any(|step| !(0.0..1e9).contains(&step.at)) {
            return Err("`at` is a number of seconds from the start".to_owned());
        }
        if case.steps.windows(2).any(|steps| steps[1].at < steps[0].at) {
            return Err("the steps are not in the order of their times".to_owned());
        }
        Ok(case)
    }

    /// When a step happens.
    pub fn time(&self, step: &Step) -> Time {
        self.start.after(std::time::Duration::from_secs_f64(step.at))
    }
}

impl Shown {
    /// The payload's bytes.
    pub fn payload(&self) -> Result<Vec<u8>, String> {
        match (&self.json, &self.text, &self.hex) {
            (None, None, None) => Ok(Vec::new()),
            (Some(json), None, None) => Ok(json.to_string().into_bytes()),
            (None, Some(text), None) => Ok(text.clone().into_bytes()),
            (None, None, Some(hex)) => bytes(hex).ok_or_else(|| format!("`{hex}` is not hexadecimal")),
            _ => Err("of `json`, `text` and `hex` a message has one".to_owned()),
        }
    }

    /// The quality of service.
    pub fn qos(&self) -> Result<Qos, String> {
        match self.qos {
            0 => Ok(Qos::AtMostOnce),
            1 => Ok(Qos::AtLeastOnce),
            2 => Ok(Qos::ExactlyOnce),
            other => Err(format!("there is no QoS {other}")),
        }
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<_> = hex.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    pairs.collect()
}

//! A result as an object: flat, but for what several rooms write alike (`timing`, `position`), and without keys that have no value.

use serde_json::{Map, Value, json};

use super::figures::Delays;
use crate::config::Probe;
use crate::message::Received;

/// Who wanted a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    Schedule,
    Demand,
}

/// What a measurement has found, without what all have.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// Why it did not come to what was to be measured.
    pub(super) error: Option<String>,
    /// Bytes with the headers of UDP or TCP and IP, as far as they can be known.
    pub(super) data_bytes: u64,
    pub(super) fields: Map<String, Value>,
}

impl Finding {
    pub(super) fn failed(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.fields.insert(key.to_owned(), value.into());
    }

    /// Seconds as milliseconds, to a tenth of a microsecond.
    pub(super) fn millis(&mut self, key: &str, seconds: f64) {
        self.set(key, (seconds * 1e7).round() / 1e4);
    }

    /// What delays come to, under keys that begin with `name`.
    pub(super) fn delays(&mut self, name: &str, delays: &Delays) {
        let Some(all) = delays.summary() else { return };
        let parts = [
            ("min", all.min),
            ("mean", all.mean),
            ("p50", all.p50),
            ("p90", all.p90),
            ("p99", all.p99),
            ("max", all.max),
        ];
        for (part, seconds) in parts {
            self.millis(&format!("{name}_ms_{part}"), seconds);
        }
    }
}

/// When a run began, and what belongs into each record of that time: where the gateway was, and by how much its clock was off.
pub(super) type Begun<'a> = (&'a Received, &'a Map<String, Value>);

/// The message's body.
pub(super) fn body(
    probe: &Probe,
    sequence: u64,
    trigger: Trigger,
    (begun, stamp): Begun<'_>,
    finding: &Finding,
) -> Value {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("probe", json!(probe.name));
    set("kind", json!(probe.kind.as_str()));
    set("sequence", json!(sequence));
    set("time", json!(begun.rfc3339()));
    set("clock", json!(begun.clock.as_str()));
    let demanded = trigger == Trigger::Demand;
    set("trigger", json!(if demanded { "demand" } else { "schedule" }));
    set("ok", json!(finding.error.is_none()));
    finding.error.as_ref().map(|error| set("error", json!(error)));
    set("target", json!(probe.kind.target()));
    probe.way.interface.as_ref().map(|interface| set("interface", json!(interface)));
    set("duration_ms", json!(begun.monotonic.elapsed().as_micros() as f64 / 1e3));
    set("data_bytes", json!(finding.data_bytes));
    body.extend(finding.fields.clone());
    body.extend(stamp.clone());
    Value::Object(body)
}

//! Writes SenML packs (RFC 8428) in JSON: sensor readings with their names, units and time.

use serde::Serialize;

use crate::Time;

/// What a reading is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Value {
    /// A number. One that JSON does not know, such as NaN, becomes `null`, which receivers pass over.
    #[serde(rename = "v")]
    Number(f64),
    /// Yes or no.
    #[serde(rename = "vb")]
    Flag(bool),
    /// A text.
    #[serde(rename = "vs")]
    Text(String),
}

/// One reading.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Record {
    #[serde(rename = "bn", skip_serializing_if = "Option::is_none")]
    base_name: Option<String>,
    #[serde(rename = "bt", skip_serializing_if = "Option::is_none")]
    base_time: Option<f64>,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    #[serde(flatten)]
    value: Value,
}

/// A pack under way: `Pack::new("urn:dev:mac:0024befffe804ff1:", time).number("temperature", "Cel", 21.5).json()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pack {
    base_name: String,
    time: Time,
    records: Vec<Record>,
}

impl Pack {
    /// An empty one. `base_name` stands in front of each name: letters, digits and `-:./_`, a letter or digit first.
    #[must_use]
    pub fn new(base_name: &str, time: Time) -> Self {
        Self { base_name: base_name.to_owned(), time, records: Vec::new() }
    }

    /// Adds a number. Units are those of the SenML registry: `Cel`, `%RH`, `V`, `lat`.
    #[must_use]
    pub fn number(self, name: &str, unit: &'static str, value: f64) -> Self {
        self.record(name, Some(unit), Value::Number(value))
    }

    /// Adds yes or no.
    #[must_use]
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.record(name, None, Value::Flag(value))
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.record(name, None, Value::Text(value.to_owned()))
    }

    /// Adds a reading.
    #[must_use]
    pub fn record(mut self, name: &str, unit: Option<&'static str>, value: Value) -> Self {
        // The first record carries what holds for all.
        let first = self.records.is_empty();
        let (base_name, base_time) = (first.then(|| self.base_name.clone()), first.then(|| self.time.seconds()));
        self.records.push(Record { base_name, base_time, name: name.to_owned(), unit, value });
        self
    }

    /// Whether it has no reading yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The pack as JSON, `application/senml+json`.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.records).unwrap_or_default()
    }
}

/// A name made fit for SenML: what may not stand there becomes `_`, and a sign at the beginning goes.
#[must_use]
pub fn name(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "-:./_".contains(c) { c } else { '_' };
    text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).chars().map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn a_pack_is_as_in_rfc_8428() {
        let time = Time(1_320_067_464_000_000);
        let pack = Pack::new("urn:dev:ow:10e2073a01080063:", time)
            .number("voltage", "V", 120.1)
            .flag("on", true)
            .text("x", "y");
        let wanted = json!([
            { "bn": "urn:dev:ow:10e2073a01080063:", "bt": 1_320_067_464.0, "n": "voltage", "u": "V", "v": 120.1 },
            { "n": "on", "vb": true },
            { "n": "x", "vs": "y" },
        ]);
        assert_eq!(serde_json::from_slice::<Json>(&pack.json()).unwrap(), wanted);
    }

    #[test]
    fn names_are_made_fit() {
        assert_eq!(name("lora/roof 1/up"), "lora/roof_1/up");
        assert_eq!(name("/_ä-a"), "a");
    }
}

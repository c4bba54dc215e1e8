//! Measurements as named values, and how they are written for other programs.
//!
//! Pure: a message in, values out, and texts made of these. A message is a JSON object, a SenML pack or a line of
//! InfluxDB's protocol; `fields.rs` makes of each the same flat values, named by their place (`nr_rsrp`). `influx.rs`,
//! `senml.rs`, `columns.rs` (CSV) and `geojson.rs` are the forms; `writer.rs` is a file of one of them, message by message.

mod columns;
mod fields;
mod geojson;
mod influx;
mod senml;
#[cfg(test)]
mod tests;
mod writer;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

pub use self::columns::COLUMNS;
pub use self::writer::{Format, Writer};

use crate::message::Message;

/// The most values that one message has here; what is beyond is left out.
const FIELDS_MAX: usize = 512;

/// Longer names are left out: a name is its path, so a long key would be there as often as it has values.
const NAME_MAX: usize = 256;
/// What only whoever reads the records again has a use for: the lines that were read.
const LEFT_OUT: &str = "raw";

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// A number: finite.
    Number(f64),
    /// A text.
    Text(String),
    /// Whether it is so.
    Bool(bool),
}

/// What one message says.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// When it was received.
    pub at: SystemTime,
    /// Its topic.
    pub topic: String,
    /// Named by their place, `nr_rsrp`; each name once, in their order.
    pub fields: Vec<(String, Field)>,
}

impl Measurement {
    /// What a message says; `None` where that can't be told.
    pub fn of(message: &Message) -> Option<Self> {
        let text = std::str::from_utf8(&message.payload).ok()?;
        let fields = fields::of_text(text)?;
        Some(Self { at: message.received.wall, topic: message.topic.as_str().to_owned(), fields })
    }

    /// The same of an object that is not a message yet.
    pub fn of_object(at: SystemTime, topic: &str, object: &Map<String, Value>) -> Self {
        Self { at, topic: topic.to_owned(), fields: fields::of_object(object) }
    }

    /// What kind it is of, by its topic: `cellular_signal`, `probe_result`; and whose: the second level.
    pub fn kind(&self) -> (String, Option<&str>) {
        let mut levels = self.topic.split('/');
        let first = levels.next().unwrap_or_default();
        let whose = levels.next();
        let kind = std::iter::once(first).chain(levels).collect::<Vec<_>>().join("_");
        (kind, whose)
    }

    /// What its second level names: a `modem` or a `probe`, of which it is known what they say; else a `name`.
    fn whose(&self) -> &'static str {
        match self.topic.split('/').next() {
            Some("cellular") => "modem",
            Some("probe") => "probe",
            _ => "name",
        }
    }

    /// The value of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, field)| field)
    }

    /// The number of this name.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.field(name)? {
            Field::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.field(name)? {
            Field::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where it was: latitude and longitude in degrees (WGS 84), where both are known.
    pub fn position(&self) -> Option<(f64, f64)> {
        let (lat, lon) = (self.number("position_lat")?, self.number("position_lon")?);
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then_some((lat, lon))
    }

    /// The cell that it says something of, by its identity: that of NR, else that of LTE.
    pub fn cell(&self) -> Option<f64> {
        ["nr_cell", "lte_cell", "to_nr_cell", "to_lte_cell"].iter().find_map(|name| self.number(name))
    }

    /// Nanoseconds since 1970, UTC; 0 for a clock that stands before that.
    pub fn nanos(&self) -> u128 {
        self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
    }

    /// RFC 3339 in UTC with microseconds.
    pub fn rfc3339(&self) -> String {
        humantime::format_rfc3339_micros(self.at).to_string()
    }
}

/// As a SenML pack (RFC 8428, section 4), of what is not a message yet: `name` is what its names begin with.
pub fn senml(name: &str, at: SystemTime, object: &Map<String, Value>) -> Value {
    Value::Array(senml::pack(name, at, object))
}

/// As a line of InfluxDB's line protocol without its end; `None` where there is nothing to be said. `gateway` is the
/// gateway's id, `cell` the cell that is known from elsewhere.
pub fn influx(measurement: &Measurement, gateway: &str, cell: Option<f64>) -> Option<String> {
    influx::line(measurement, gateway, cell)
}

//! A file of one of the forms, message by message: bounded in memory, however long it becomes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{COLUMNS, Measurement, columns, geojson, influx, senml};
use crate::message::Message;

/// Modems of which the cell is remembered: their names come from outside.
const MODEMS_MAX: usize = 64;

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180.
    #[default]
    Csv,
    /// InfluxDB's line protocol.
    Influx,
    /// One object a line, as `stile tap --json` prints them.
    Json,
    /// One SenML pack.
    Senml,
    /// A collection of points.
    Geojson,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Csv, Self::Influx, Self::Json, Self::Senml, Self::Geojson];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Influx => "influx",
            Self::Json => "json",
            Self::Senml => "senml",
            Self::Geojson => "geojson",
        }
    }

    /// How a file's name ends.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Influx => "lp",
            Self::Json => "ndjson",
            Self::Senml => "senml",
            Self::Geojson => "geojson",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Influx => "text/plain; charset=utf-8",
            Self::Json => "application/x-ndjson",
            Self::Senml => "application/senml+json",
            Self::Geojson => "application/geo+json",
        }
    }
}

/// Writes a file.
pub struct Writer {
    format: Format,
    gateway: String,
    columns: Vec<String>,
    /// By modem: the cell that it was in last, for lines that do not say it.
    cells: BTreeMap<String, f64>,
    written: u64,
    /// Messages that can't be said in this form.
    skipped: u64,
}

impl Writer {
    /// Of the gateway with this id. `columns` are those of CSV; without any, [`COLUMNS`].
    pub fn new(format: Format, gateway: &str, columns: Vec<String>) -> Self {
        let usual = || COLUMNS.iter().map(|name| (*name).to_owned()).collect();
        let columns = if columns.is_empty() { usual() } else { columns };
        Self { format, gateway: gateway.to_owned(), columns, cells: BTreeMap::new(), written: 0, skipped: 0 }
    }

    /// What a file begins with.
    pub fn begin(&self) -> String {
        match self.format {
            Format::Csv => columns::header(&self.columns),
            Format::Influx | Format::Json => String::new(),
            Format::Senml => "[".to_owned(),
            Format::Geojson => "{\"type\":\"FeatureCollection\",\"features\":[".to_owned(),
        }
    }

    /// One message.
    pub fn write(&mut self, message: &Message, out: &mut String) {
        let before = out.len();
        if self.format == Format::Json {
            out.push_str(&message.to_json().to_string());
            out.push('\n');
        } else if let Some(measurement) = Measurement::of(message) {
            self.put(message, &measurement, out);
        }
        *if out.len() > before { &mut self.written } else { &mut self.skipped } += 1;
    }

    fn put(&mut self, message: &Message, measurement: &Measurement, out: &mut String) {
        match self.format {
            Format::Csv => out.push_str(&columns::row(measurement, &self.columns)),
            Format::Influx => {
                let cell = self.cell(measurement);
                if let Some(line) = influx::line(measurement, &self.gateway, cell) {
                    out.push_str(&line);
                    out.push('\n');
                }
            }
            Format::Senml => {
                let name = message.topic.as_str().rsplit_once('/').map_or("", |(before, _)| before);
                let pack = match serde_json::from_slice(&message.payload) {
                    Ok(serde_json::Value::Object(object)) => senml::pack(&format!("{name}/"), measurement.at, &object),
                    Ok(serde_json::Value::Array(pack)) if senml::stands_alone(&pack) => pack,
                    _ => senml::pack(&format!("{name}/"), measurement.at, &senml::named(measurement)),
                };
                self.item(out, pack.iter().map(ToString::to_string).collect());
            }
            Format::Geojson => self.item(out, geojson::feature(measurement).iter().map(ToString::to_string).collect()),
            Format::Json => {}
        }
    }

    /// Items of a list, behind those that are there.
    fn item(&self, out: &mut String, items: Vec<String>) {
        for (at, item) in items.into_iter().enumerate() {
            out.push_str(if self.written == 0 && at == 0 { "\n" } else { ",\n" });
            out.push_str(&item);
        }
    }

    /// The cell that a modem is in, as far as this file has said.
    fn cell(&mut self, measurement: &Measurement) -> Option<f64> {
        let modem = measurement.kind().1.filter(|_| measurement.whose() == "modem")?.to_owned();
        if let Some(cell) = measurement.cell()
            && (self.cells.len() < MODEMS_MAX || self.cells.contains_key(&modem))
        {
            self.cells.insert(modem.clone(), cell);
        }
        if measurement.text("technology") == Some("none") {
            self.cells.remove(&modem);
        }
        self.cells.get(&modem).copied()
    }

    /// What it ends with.
    pub fn end(&self) -> String {
        match self.format {
            Format::Csv | Format::Influx | Format::Json => String::new(),
            Format::Senml => "\n]\n".to_owned(),
            // A member of our own (RFC 7946, 6.1), so that nobody takes what has no place for lost.
            Format::Geojson => format!("\n],\"without_position\":{}}}\n", self.skipped),
        }
    }
}

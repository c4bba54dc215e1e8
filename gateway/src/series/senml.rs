//! SenML (RFC 8428): packs of records, one a value, named by its place: `nr/rsrp`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::columns::json_of;
use super::fields::put;
use super::{FIELDS_MAX, Field, LEFT_OUT, Measurement, NAME_MAX};

/// SenML counts power in dBW (RFC 8428, 12.1), modems count it in dBm.
const DBM_OF_DBW: f64 = 30.0;

/// A pack of an object: time and name are in the base fields of its first record.
pub(super) fn pack(name: &str, at: SystemTime, object: &Map<String, Value>) -> Vec<Value> {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut pack = Vec::new();
    for (name, value) in object.iter().filter(|(name, _)| !matches!(name.as_str(), "time" | "radio")) {
        flatten(name, value, &mut pack);
    }
    if let Some(Value::Object(first)) = pack.first_mut() {
        let rest = std::mem::take(first);
        first.insert("bn".to_owned(), json!(name));
        first.insert("bt".to_owned(), json!(since.as_secs_f64()));
        first.extend(rest);
    }
    pack
}

/// Whether it says the same behind another pack: base values hold on (RFC 8428, 4.1).
pub(super) fn stands_alone(pack: &[Value]) -> bool {
    let begins = |key: &str| pack.first().is_some_and(|record| !record[key].is_null());
    let lasts = |record: &Value| ["bu", "bv", "bs", "bver"].iter().any(|key| !record[*key].is_null());
    begins("bn") && begins("bt") && pack.iter().all(|record| record.is_object() && !lasts(record))
}

fn flatten(name: &str, value: &Value, pack: &mut Vec<Value>) {
    if name.len() > NAME_MAX || pack.len() >= FIELDS_MAX {
        return;
    }
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&format!("{name}/{key}"), value, pack)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| flatten(&format!("{name}/{index}"), value, pack));
        }
        Value::String(text) => pack.push(json!({ "n": name, "vs": text })),
        Value::Number(count) => pack.push(measured(name, count.as_f64().unwrap_or_default())),
        Value::Bool(value) => pack.push(json!({ "n": name, "vb": value })),
        Value::Null => {}
    }
}

/// A number with the unit that SenML's registry has for it (RFC 8428, 12.1; RFC 8798, 3).
fn measured(name: &str, value: f64) -> Value {
    let (unit, value) = match name.rsplit('/').next().unwrap_or_default() {
        "rsrp" | "rssi" | "tx_power" => ("dBW", value - DBM_OF_DBW),
        "rsrq" | "sinr" => ("dB", value),
        "bandwidth" => ("Hz", value * 1e6),
        "lat" => ("lat", value),
        "lon" => ("lon", value),
        "alt_m" | "error_m" => ("m", value),
        "took_seconds" | "age_s" | "offset_s" | "error_s" => ("s", value),
        _ => return json!({ "n": name, "v": number(value) }),
    };
    json!({ "n": name, "u": unit, "v": number(value) })
}

/// Whole numbers without a decimal point; as many decimals as a position or a clock needs.
fn number(value: f64) -> Value {
    let rounded = (value * 1e9).round() / 1e9;
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 { json!(rounded as i64) } else { json!(rounded) }
}

/// What was no object, by names that a pack of one would have.
pub(super) fn named(measurement: &Measurement) -> Map<String, Value> {
    let name = |flat: &str| {
        let of = ["lte", "nr", "position", "timing"].into_iter().find(|of| flat.starts_with(&format!("{of}_")));
        of.map_or_else(|| flat.to_owned(), |of| format!("{of}/{}", &flat[of.len() + 1..]))
    };
    measurement.fields.iter().map(|(flat, field)| (name(flat), json_of(field))).collect()
}

/// What a pack says, in the units that modems have.
pub(super) fn fields(pack: &[Value]) -> Vec<(String, Field)> {
    let mut fields = Vec::new();
    for record in pack {
        let Some(name) = record["n"].as_str() else { continue };
        let field = if let Some(value) = record["v"].as_f64().filter(|value| value.is_finite()) {
            Field::Number(match record["u"].as_str() {
                Some("dBW") => tidy(value + DBM_OF_DBW),
                Some("Hz") if name.ends_with("bandwidth") => value / 1e6,
                _ => value,
            })
        } else if let Some(text) = record["vs"].as_str() {
            Field::Text(text.to_owned())
        } else if let Some(value) = record["vb"].as_bool() {
            Field::Bool(value)
        } else {
            continue;
        };
        if name.split('/').next() != Some(LEFT_OUT) {
            put(&mut fields, name.replace('/', "_"), field);
        }
    }
    fields
}

/// Without what adding leaves behind the last decimal.
fn tidy(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

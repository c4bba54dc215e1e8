//! Settings that only a plugin understands: whatever TOML can say, as JSON.

use serde_json::{Map, Number, Value as Json};

use crate::config::notes::{Notes, Spot};
use crate::config::problem::plain;
use crate::config::tree::{Kind, Node, Table, Value};

/// What an environment variable may mean where nothing is known of the type.
const ANY: [Kind; 5] = [Kind::Integer, Kind::Float, Kind::Boolean, Kind::List, Kind::Table];

/// The table as an object. What JSON can't say is noted and left out.
pub(super) fn object(table: Table, notes: &Notes) -> Json {
    let entries = table.into_iter().filter_map(|(key, entry)| Some((key, json(entry.node, notes)?)));
    Json::Object(entries.collect::<Map<_, _>>())
}

fn json(node: Node, notes: &Notes) -> Option<Json> {
    let Node { spot, value } = node.resolve(&ANY);
    match value {
        Value::Text(text) | Value::Given(text) | Value::Time(text) => Some(Json::String(text)),
        Value::Boolean(value) => Some(Json::Bool(value)),
        Value::Integer(number) => whole(number, &spot, notes),
        Value::Float(number) => fraction(number, &spot, notes),
        Value::List(items) => Some(Json::Array(items.into_iter().filter_map(|item| json(item, notes)).collect())),
        Value::Table(table) => Some(object(table, notes)),
    }
}

fn whole(number: i128, spot: &Spot, notes: &Notes) -> Option<Json> {
    let value = i64::try_from(number).ok().map(Json::from);
    if value.is_none() {
        notes.error(spot, "this whole number is out of range", "write one that has at most 64 bits");
    }
    value
}

fn fraction(number: f64, spot: &Spot, notes: &Notes) -> Option<Json> {
    let value = Number::from_f64(number).map(Json::Number);
    if value.is_none() {
        let what = format!("plugins get their settings as JSON, which has no {}", plain(&number.to_string()));
        notes.error(spot, what, "write a finite number, or a text in quotes");
    }
    value
}

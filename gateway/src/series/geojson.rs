//! GeoJSON (RFC 7946): a collection of points, one a message that says where it was.

use serde_json::{Map, Value, json};

use super::Measurement;
use super::columns::json_of;

/// One point; `None` for what says no position.
pub(super) fn feature(measurement: &Measurement) -> Option<Value> {
    let (lat, lon) = measurement.position()?;
    let mut place = vec![json!(lon), json!(lat)];
    place.extend(measurement.number("position_alt_m").map(|metres| json!(metres)));
    let mut said = Map::new();
    said.insert("time".to_owned(), json!(measurement.rfc3339()));
    said.insert("topic".to_owned(), json!(measurement.topic));
    let is_place = |name: &str| matches!(name, "position_lat" | "position_lon" | "position_alt_m");
    let mut other = Map::new();
    for (name, field) in measurement.fields.iter().filter(|(name, _)| !is_place(name)) {
        // The message's own are said already.
        let is_taken = matches!(name.as_str(), "time" | "topic" | "other");
        if is_taken { &mut other } else { &mut said }.insert(name.clone(), json_of(field));
    }
    if !other.is_empty() {
        said.insert("other".to_owned(), Value::Object(other));
    }
    Some(json!({ "type": "Feature", "geometry": { "type": "Point", "coordinates": place }, "properties": said }))
}

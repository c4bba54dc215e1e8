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
    let fields = measurement.fields.iter().filter(|(name, _)| !is_place(name));
    said.extend(fields.map(|(name, field)| (name.clone(), json_of(field))));
    Some(json!({ "type": "Feature", "geometry": { "type": "Point", "coordinates": place }, "properties": said }))
}

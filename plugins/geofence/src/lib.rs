//! Says when something enters or leaves an area: a circle or a polygon on the map.
//!
//! Each topic is one thing that moves. Where it was is kept by the gateway, so that a restart is no entry. `area.rs` is the
//! geometry.

mod area;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stile_filter::{Deserialize, Draft, Error, Filter, Grant, Host, JsonSchema, Level, Message, Qos, Verdict};

use area::{Area, Point};

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {
    /// The areas by name: `{ center = [52.5, 13.4], radius = 200 }` in metres, or `{ corners = [[52.5, 13.4], ...] }`,
    /// each point as latitude and longitude in degrees.
    areas: BTreeMap<String, Area>,
    /// Where the latitude stands in the payload, as a JSON Pointer.
    #[serde(default = "latitude")]
    latitude: String,
    /// Where the longitude stands.
    #[serde(default = "longitude")]
    longitude: String,
    /// How far beyond the edge something must be to have left, in metres: positions waver.
    #[serde(default = "margin")]
    margin: f64,
    /// The last level of the topic on which it is said, behind that of the position.
    #[serde(default = "suffix")]
    suffix: String,
}

fn latitude() -> String {
    "/lat".to_owned()
}

fn longitude() -> String {
    "/lon".to_owned()
}

fn margin() -> f64 {
    20.0
}

fn suffix() -> String {
    "geofence".to_owned()
}

struct Geofence(Settings);

impl Filter for Geofence {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["lora/+/up", "serial/+/up"];
    const GRANTS: &'static [Grant] = &[Grant::Kv, Grant::Emit];

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        settings.check().map_err(Error::Invalid)?;
        Ok(Self(settings))
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        let Ok(payload) = serde_json::from_slice::<Value>(&message.payload) else {
            return Verdict::Reject("the payload is no JSON".into());
        };
        let degrees = |place: &str| payload.pointer(place).and_then(Value::as_f64);
        let (Some(latitude), Some(longitude)) = (degrees(&self.0.latitude), degrees(&self.0.longitude)) else {
            // A receiver without a fix says so by leaving the position out.
            return Verdict::Pass;
        };
        let Some(point) = Point::new(latitude, longitude) else {
            return Verdict::Reject("the position is none on Earth".into());
        };
        for (name, area) in &self.0.areas {
            self.moved(message, name, area, point, host);
        }
        Verdict::Pass
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.areas.is_empty() {
            return Err("`areas` names no area".to_owned());
        }
        for (name, area) in &self.areas {
            area.check().map_err(|what| format!("the area `{name}`: {what}"))?;
        }
        for place in [&self.latitude, &self.longitude] {
            if !place.starts_with('/') {
                return Err(format!("`{place}` is no JSON Pointer; write `/{place}`"));
            }
        }
        if !(0.0..=100_000.0).contains(&self.margin) {
            return Err("`margin` is not between 0 and 100000 metres".to_owned());
        }
        if self.suffix.is_empty() || self.suffix.contains(['+', '#', '\0']) {
            return Err("`suffix` is no level of a topic".to_owned());
        }
        Ok(())
    }
}

impl Geofence {
    /// Where something is in respect of one area, and whether that is news.
    fn moved(&self, message: &Message, name: &str, area: &Area, point: Point, host: &Host) {
        let key = format!("{name}/{}", message.topic);
        let before = host.kv().get(&key).map(|value| value == b"in");
        let beyond = area.beyond(point);
        let inside = if before == Some(true) { beyond <= self.0.margin } else { beyond <= 0.0 };
        if before == Some(inside) {
            return;
        }
        if let Err(error) = host.kv().set(&key, if inside { b"in" } else { b"out" }, None) {
            host.log(Level::Warn, format_args!("{key}: {error}"));
            // Without knowing where it was, each message would be news.
            return;
        }
        // The first time that it is seen outside is none.
        if inside || before.is_some() {
            self.tell(message, name, inside, host);
        }
    }

    fn tell(&self, message: &Message, name: &str, inside: bool, host: &Host) {
        let event = if inside { "entered" } else { "left" };
        let payload = json!({ "event": event, "area": name, "at": message.received.to_string() });
        let draft = Draft {
            qos: Qos::AtLeastOnce,
            content_type: Some("application/json".to_owned()),
            ..Draft::new(format!("{}/{}", message.topic, self.0.suffix), payload.to_string())
        };
        if let Err(error) = host.publish(draft) {
            host.log(Level::Warn, format_args!("{event} {name} is not told: {error}"));
        }
    }
}

stile_filter::export!(Geofence);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Geofence>(env!("CARGO_MANIFEST_DIR"));
    }
}

//! Lets through readings that changed, and raises an alert where one passes a limit.
//!
//! The same filter stands in `js/`, `python/` and `c/`, in other languages: with the same manifest and the same cases.

use serde_json::{Value, json};
use stile_filter::{Deserialize, Draft, Error, Filter, Grant, Host, JsonSchema, Message, Patch, Property, Verdict};

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields)]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {
    /// Where the reading stands in the payload: a JSON Pointer such as `/object/temperature`; empty where the payload is
    /// the number itself.
    #[serde(default)]
    field: String,
    /// A reading above this raises an alert, once until one is not above it.
    limit: f64,
    /// The last level of the topic on which alerts go on, behind that of their messages.
    #[serde(default = "alert")]
    alerts: String,
}

fn alert() -> String {
    "alert".to_owned()
}

struct Threshold(Settings);

impl Filter for Threshold {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["lora/+/up", "serial/+/up"];
    const GRANTS: &'static [Grant] = &[Grant::Kv];

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        let refused = |what: String| Err(Error::Invalid(what));
        let Settings { field, alerts, .. } = &settings;
        if !field.is_empty() && !field.starts_with('/') {
            return refused(format!("`field` is no JSON Pointer; write `/{field}`"));
        }
        if alerts.is_empty() || alerts.contains(['+', '#', '\0']) {
            return refused("`alerts` is no level of a topic".to_owned());
        }
        Ok(Self(settings))
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        let Ok(payload) = serde_json::from_slice::<Value>(&message.payload) else {
            return Verdict::Reject("the payload is no JSON".into());
        };
        let Some(reading) = payload.pointer(&self.0.field).and_then(Value::as_f64) else { return Verdict::Pass };
        let before = last(&message.topic, host);
        if before == Some(reading) {
            return Verdict::Drop("unchanged".into());
        }
        // What can't be kept lets a message too many go on, and none too few.
        let _ = host.kv().set(&message.topic, reading.to_string().as_bytes(), None);
        let trend = match before {
            None => "first",
            Some(before) if reading > before => "rising",
            Some(_) => "falling",
        };
        let trend = Property { name: "trend".to_owned(), value: trend.to_owned() };
        if reading > self.0.limit && before.is_none_or(|before| before <= self.0.limit) {
            let mut changed = Draft::like(message);
            changed.properties.retain(|property| property.name != trend.name);
            changed.properties.push(trend);
            Verdict::Replace(vec![changed, self.alert(message, reading)])
        } else {
            Verdict::Modify(Patch { set: vec![trend], ..Patch::default() })
        }
    }
}

impl Threshold {
    fn alert(&self, message: &Message, reading: f64) -> Draft {
        let Settings { limit, alerts, .. } = &self.0;
        let payload = json!({ "reading": reading, "limit": limit }).to_string();
        let content_type = Some("application/json".to_owned());
        Draft { content_type, qos: message.qos, ..Draft::new(format!("{}/{alerts}", message.topic), payload) }
    }
}

/// The reading of this topic that went on last.
fn last(topic: &str, host: &Host) -> Option<f64> {
    std::str::from_utf8(&host.kv().get(topic)?).ok()?.parse().ok()
}

stile_filter::export!(Threshold);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Threshold>(env!("CARGO_MANIFEST_DIR"));
    }
}

//! What is told: a retained message for each home or sensor and kind of alert, when it begins and when it is over. It
//! is made of what is kept alone, so that it can be told again.

use serde_json::{Value, json};
use stile_filter::{Draft, Host, Level, Qos, Time};

use crate::climate::Climate;
use crate::kept::Sensor;
use crate::motion::Motion;
use crate::settings::Settings;

/// A kind of alert of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Cold,
    Damp,
    Silent,
}

/// A minute since 1970.
pub(crate) fn time(minute: u32) -> Time {
    Time(u64::from(minute) * 60_000_000)
}

/// Tells whether motion is missing in a home.
pub(crate) fn missing(settings: &Settings, home: &str, motion: &Motion, host: &Host) {
    let mut payload = begun("missing", motion.missing, home);
    payload["last-motion"] = json!(time(motion.last).to_string());
    publish(format!("{}/{home}/missing", settings.topic), &payload, motion.missing, host);
}

/// Tells how it is with one kind of alert of a sensor.
pub(crate) fn of_sensor(settings: &Settings, kind: Kind, sensor: &Sensor, climate: &Climate, host: &Host) {
    let Sensor { home, device } = sensor;
    let (word, open) = match kind {
        Kind::Cold => ("cold", climate.cold),
        Kind::Damp => ("damp", climate.damp),
        Kind::Silent => ("silent", climate.silent),
    };
    let mut payload = begun(word, open, home);
    payload["sensor"] = json!(device);
    match kind {
        Kind::Cold => {
            payload["temperature"] = json!(f64::from(climate.temperature) / 10.0);
            if open {
                payload["since"] = json!(time(climate.cold_since).to_string());
            }
        }
        Kind::Damp => payload["wall-humidity"] = json!(climate.wall.round()),
        Kind::Silent => payload["last-heard"] = json!(time(climate.last).to_string()),
    }
    publish(format!("{}/{home}/{word}/{device}", settings.topic), &payload, open, host);
}

fn begun(word: &str, open: bool, home: &str) -> Value {
    json!({ "alert": word, "state": if open { "open" } else { "over" }, "home": home })
}

fn publish(topic: String, payload: &Value, open: bool, host: &Host) {
    host.count(if open { "alerts_opened" } else { "alerts_over" }, 1);
    let draft = Draft {
        qos: Qos::AtLeastOnce,
        retain: true,
        content_type: Some("application/json".to_owned()),
        ..Draft::new(topic, payload.to_string())
    };
    let topic = draft.topic.clone();
    if let Err(error) = host.publish(draft) {
        host.log(Level::Error, format_args!("{topic} is not told: {error}"));
    }
}

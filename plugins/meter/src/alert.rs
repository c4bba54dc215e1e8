//! Tells that something is not as it should be.

use serde_json::{Map, Value, json};
use stile_filter::{Draft, Host, Level, Message, Qos};

use crate::reading::Meter;

/// Something to tell of a reading.
pub(crate) struct Alert<'a> {
    /// `backwards`, `jump`, `changed` or `meter-changed`.
    pub(crate) what: &'static str,
    /// The name of the reading.
    pub(crate) reading: &'a str,
    pub(crate) unit: Option<&'static str>,
    pub(crate) before: Value,
    pub(crate) now: Value,
    /// Of a jump: the most that there could have been.
    pub(crate) most: Option<f64>,
}

impl Alert<'_> {
    /// Publishes it beside the message. Where that is refused, the log and the metric `alerts_lost` say so.
    pub(crate) fn tell(self, suffix: &str, meter: &Meter, message: &Message, host: &Host) {
        let told = [
            ("alert", Some(json!(self.what))),
            ("reading", Some(json!(meter.name(self.reading)))),
            ("meter", meter.id.as_ref().map(|id| json!(id))),
            ("unit", self.unit.map(|unit| json!(unit))),
            ("before", Some(self.before)),
            ("now", Some(self.now)),
            ("most", self.most.map(|most| json!(most))),
            ("at", Some(json!(message.received.to_string()))),
        ];
        let payload: Map<_, _> = told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let draft = Draft {
            qos: Qos::AtLeastOnce,
            content_type: Some("application/json".to_owned()),
            ..Draft::new(format!("{}/{suffix}", message.topic), Value::Object(payload).to_string())
        };
        host.count("alerts", 1);
        if let Err(error) = host.publish(draft) {
            host.count("alerts_lost", 1);
            host.log(Level::Warn, format_args!("{} of {} is not told: {error}", self.what, meter.name(self.reading)));
        }
    }
}

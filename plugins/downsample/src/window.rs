//! Gathers the readings of a window of time, and makes one message of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stile_filter::{Draft, Host, Message, Qos, Time, Verdict};

use crate::readings::{Readings, read};
use crate::topics::Topics;

/// What the readings of a field come to.
struct Sum {
    count: u32,
    total: f64,
    least: f64,
    greatest: f64,
}

/// One window of a topic.
struct Window {
    /// Windows begin at whole multiples of their length since 1970, so that those of all topics agree.
    from: Time,
    until: Time,
    qos: Qos,
    messages: u64,
    sums: BTreeMap<String, Sum>,
}

/// The windows of all topics.
pub(crate) struct Windows {
    fields: BTreeMap<String, f64>,
    length: Duration,
    suffix: String,
    open: Topics<Window>,
}

impl Windows {
    pub(crate) fn new(fields: BTreeMap<String, f64>, length: Duration, suffix: String) -> Self {
        Self { fields, length, suffix, open: Topics::new() }
    }

    /// Adds a message to the window of its time. Gives the one before, if that closes it.
    pub(crate) fn gather(&mut self, message: &Message, host: &Host) -> Verdict {
        let readings = match read(message, &self.fields) {
            Ok(readings) if readings.is_empty() => return Verdict::Pass,
            Ok(readings) => readings,
            Err(why) => return Verdict::Reject(why.into()),
        };
        let (topic, now) = (message.topic.as_str(), message.received);
        let mut closed = Vec::new();
        match self.open.get(topic, now) {
            Some(window) if window.from <= now && now < window.until => window.add(message.qos, &readings),
            open => {
                let before = open.map(|window| window.draft(topic, &self.suffix));
                closed.extend(before);
                let mut window = Window::at(now, self.length);
                window.add(message.qos, &readings);
                let forgotten = self.open.put(topic, now, window, host);
                closed.extend(forgotten.map(|(topic, window)| window.draft(&topic, &self.suffix)));
            }
        }
        if closed.is_empty() { Verdict::Drop("gathered".into()) } else { Verdict::Replace(closed) }
    }

    /// Closes the windows whose time is over.
    pub(crate) fn close(&mut self, now: Time) -> Vec<Draft> {
        let done = self.open.take(|window| window.until <= now);
        done.iter().map(|(topic, window)| window.draft(topic, &self.suffix)).collect()
    }
}

impl Window {
    fn at(now: Time, length: Duration) -> Self {
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        let from = Time(now.0 - now.0 % micros);
        Self { from, until: from.after(length), qos: Qos::AtMostOnce, messages: 0, sums: BTreeMap::new() }
    }

    fn add(&mut self, qos: Qos, readings: &Readings) {
        self.messages += 1;
        // The best that any of its messages had.
        self.qos = self.qos.max(qos);
        for (field, value) in readings {
            match self.sums.get_mut(field) {
                Some(sum) => sum.add(*value),
                None => {
                    self.sums.insert(field.clone(), Sum { count: 1, total: *value, least: *value, greatest: *value });
                }
            }
        }
    }

    fn draft(&self, topic: &str, suffix: &str) -> Draft {
        let sums = self.sums.iter().map(|(field, sum)| (field.clone(), sum.json()));
        let payload = json!({
            "from": self.from.to_string(),
            "until": self.until.to_string(),
            "messages": self.messages,
            "readings": Value::Object(sums.collect::<Map<_, _>>()),
        });
        let content_type = Some("application/json".to_owned());
        Draft { qos: self.qos, content_type, ..Draft::new(format!("{topic}/{suffix}"), payload.to_string()) }
    }
}

impl Sum {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.total += value;
        (self.least, self.greatest) = (self.least.min(value), self.greatest.max(value));
    }

    fn json(&self) -> Value {
        json!({ "mean": self.total / f64::from(self.count), "min": self.least, "max": self.greatest })
    }
}

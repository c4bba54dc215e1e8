//! Lets a message through when its readings have changed by enough.

use std::collections::BTreeMap;

use stile_filter::{Host, Message, Period, Time, Verdict};

use crate::readings::{Readings, read};
use crate::topics::Topics;

/// The message of a topic that went on last.
struct Last {
    received: Time,
    readings: Readings,
}

/// Decides by change.
pub(crate) struct Change {
    fields: BTreeMap<String, f64>,
    least: Option<Period>,
    most: Option<Period>,
    last: Topics<Last>,
}

impl Change {
    pub(crate) fn new(fields: BTreeMap<String, f64>, least: Option<Period>, most: Option<Period>) -> Self {
        Self { fields, least, most, last: Topics::new() }
    }

    pub(crate) fn judge(&mut self, message: &Message, host: &Host) -> Verdict {
        let readings = match read(message, &self.fields) {
            Ok(readings) if readings.is_empty() => return Verdict::Pass,
            Ok(readings) => readings,
            Err(why) => return Verdict::Reject(why.into()),
        };
        if let Some(last) = self.last.get(&message.topic, message.received)
            && let Some(reason) = nothing_new(&self.fields, (self.least, self.most), last, message.received, &readings)
        {
            return Verdict::Drop(reason.into());
        }
        let last = Last { received: message.received, readings };
        self.last.put(&message.topic, message.received, last, host);
        Verdict::Pass
    }
}

/// Why a message tells nothing new, if so.
fn nothing_new(
    fields: &BTreeMap<String, f64>,
    (least, most): (Option<Period>, Option<Period>),
    last: &Last,
    received: Time,
    readings: &Readings,
) -> Option<&'static str> {
    // The clock was set back: what it says of the time in between is worth nothing.
    if received < last.received {
        return None;
    }
    let since = received.since(last.received);
    if least.is_some_and(|Period(least)| since < least) {
        return Some("too soon");
    }
    if most.is_some_and(|Period(most)| since >= most) {
        return None;
    }
    let changed = fields.iter().any(|(field, least)| match (last.readings.get(field), readings.get(field)) {
        (Some(before), Some(now)) => before != now && reaches((now - before).abs(), *least),
        (before, now) => before.is_some() != now.is_some(),
    });
    (!changed).then_some("unchanged")
}

/// Whether a difference is at least `least`, but for what decimal fractions lose in binary: 20.3 - 20.2 counts as 0.1.
fn reaches(difference: f64, least: f64) -> bool {
    difference >= least * (1.0 - 1e-9)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn message(topic: &str, value: &str, seconds: u64) -> Message {
        let mut message = Message::new(topic, value);
        message.received = Time::EXAMPLE.after(Duration::from_secs(seconds));
        message
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nobody() {
        let host = Host::in_memory(&[]);
        let mut change = Change::new(BTreeMap::from([(String::new(), 1.0)]), Period::parse("10m"), None);
        assert_eq!(change.judge(&message("a", "1", 3600), &host), Verdict::Pass);
        assert_eq!(change.judge(&message("a", "9", 3601), &host), Verdict::Drop("too soon".into()));
        assert_eq!(change.judge(&message("a", "1", 0), &host), Verdict::Pass);
        assert_eq!(change.judge(&message("a", "1", 1), &host), Verdict::Drop("too soon".into()));
    }
}

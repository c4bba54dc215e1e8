//! Plays a case against whatever can be asked, and says what differs first.

use serde_json::Value;

use super::file::{Case, Expected, Shown, Step, What};
use crate::message::Message;
use crate::{Draft, Error, Patch, Property, Time, Verdict};

/// A filter that can be asked: natively, or as a component.
pub trait Subject {
    /// Makes an instance with the case's settings, in the place of any that is there.
    fn configure(&mut self) -> Result<(), Error>;

    /// One message, as a batch of one, at its `received`.
    fn process(&mut self, message: &Message) -> Result<Verdict, Error>;

    /// The period has gone by.
    fn tick(&mut self, now: Time) -> Result<Vec<Draft>, Error>;

    /// What was published since the last call.
    fn published(&mut self) -> Vec<Draft>;
}

/// Plays a case; the error says what was not as it should be.
pub fn check(case: &Case, subject: &mut dyn Subject) -> Result<(), String> {
    match (&case.invalid, subject.configure()) {
        (None, Ok(())) => {}
        (None, Err(error)) => return Err(format!("the settings are refused: {error}")),
        (Some(part), Err(Error::Invalid(text))) if text.contains(part) => return Ok(()),
        (Some(part), Err(error)) => return Err(format!("refused with {error:?}, not with Invalid and `{part}`")),
        (Some(part), Ok(())) => return Err(format!("the settings are taken, not refused with `{part}`")),
    }
    for (number, step) in (1..).zip(&case.steps) {
        play(case, step, subject).map_err(|what| format!("step {number}, at {} s: {what}", step.at))?;
    }
    Ok(())
}

fn play(case: &Case, step: &Step, subject: &mut dyn Subject) -> Result<(), String> {
    let now = case.time(step);
    let (came, verdict) = match &step.what {
        What::In(shown) => {
            let message = shown.message(now)?;
            let verdict = subject.process(&message).map_err(|error| format!("the call failed: {error:?}"))?;
            (Some(message), verdict)
        }
        What::Tick(_) => {
            let drafts = subject.tick(now).map_err(|error| format!("the tick failed: {error:?}"))?;
            (None, Verdict::Replace(drafts))
        }
        What::Restart(_) => {
            subject.configure().map_err(|error| format!("the settings are refused: {error}"))?;
            (None, Verdict::Replace(Vec::new()))
        }
    };
    judge(&step.expected, &verdict, came.as_ref())?;
    compare("published", &step.emits, &subject.published(), came.as_ref())
}

impl Shown {
    /// The message that a step shows, as a filter sees it.
    pub fn message(&self, received: Time) -> Result<Message, String> {
        let details = crate::message::Details {
            id: "00000000-0000-0000-0000-000000000000".to_owned(),
            origin_name: self.from.clone(),
            content_type: self.content_type.clone(),
            response_topic: self.response_topic.clone(),
            correlation: self.correlation.clone().map(String::into_bytes),
            user_properties: properties(self),
        };
        let mut message = Message::new(&self.topic, self.payload()?).with(details);
        (message.qos, message.retain, message.received) = (self.qos()?, self.retain, received);
        Ok(message)
    }
}

fn properties(shown: &Shown) -> Vec<Property> {
    let both = shown.properties.iter();
    both.map(|(name, value)| Property { name: name.clone(), value: value.clone() }).collect()
}

fn judge(expected: &Expected, verdict: &Verdict, came: Option<&Message>) -> Result<(), String> {
    match (expected, verdict, came) {
        (Expected::Pass(true), Verdict::Pass, _) => Ok(()),
        (Expected::Drop(wanted), Verdict::Drop(why), _) if wanted == why => Ok(()),
        (Expected::Reject(part), Verdict::Reject(why), _) if why.contains(part.as_str()) => Ok(()),
        (Expected::Out(wanted), Verdict::Replace(drafts), _) => compare("out", wanted, drafts, came),
        (Expected::Out(wanted), Verdict::Modify(patch), Some(came)) => {
            compare("out", wanted, &[changed(came, patch)], Some(came))
        }
        _ => Err(format!("{}, not {expected:?}", told(verdict))),
    }
}

/// A message as it goes on when it is changed.
fn changed(came: &Message, patch: &Patch) -> Draft {
    let mut properties = came.user_properties();
    properties.retain(|had| !patch.unset.contains(&had.name) && patch.set.iter().all(|set| set.name != had.name));
    properties.extend(patch.set.iter().cloned());
    Draft {
        topic: patch.topic.clone().unwrap_or_else(|| came.topic.clone()),
        payload: patch.payload.clone().unwrap_or_else(|| came.payload.clone()),
        qos: patch.qos.unwrap_or(came.qos),
        retain: patch.retain.unwrap_or(came.retain),
        content_type: text(&patch.content_type, came.content_type()),
        response_topic: text(&patch.response_topic, came.response_topic()),
        correlation: patch.correlation.clone().or_else(|| came.correlation()).filter(|bytes| !bytes.is_empty()),
        expiry: patch.expiry.filter(|expiry| !expiry.is_zero()),
        properties,
    }
}

/// What is set in the place of what was there; an empty text takes it away.
fn text(set: &Option<String>, had: Option<String>) -> Option<String> {
    set.clone().or(had).filter(|text| !text.is_empty())
}

/// What came out against what should have.
fn compare(what: &str, wanted: &[Shown], drafts: &[Draft], came: Option<&Message>) -> Result<(), String> {
    if wanted.len() != drafts.len() {
        let shown: Vec<_> = drafts.iter().map(told_draft).collect();
        return Err(format!("{what}: {} messages, not {}: {}", drafts.len(), wanted.len(), shown.join(", ")));
    }
    for (wanted, draft) in wanted.iter().zip(drafts) {
        let topic = match (wanted.topic.as_str(), came) {
            ("", Some(came)) => &came.topic,
            (topic, _) => topic,
        };
        let mut had = draft.properties.clone();
        had.sort_by(|a, b| a.name.cmp(&b.name));
        let same = topic == draft.topic
            && same_payload(wanted, &draft.payload)?
            && (wanted.qos()?, wanted.retain) == (draft.qos, draft.retain)
            && wanted.content_type == draft.content_type
            && wanted.response_topic == draft.response_topic
            && wanted.correlation.as_ref().map(String::as_bytes) == draft.correlation.as_deref()
            && wanted.expiry.map(u64::from) == draft.expiry.map(|expiry| expiry.as_secs())
            && properties(wanted) == had;
        if !same {
            return Err(format!("{what}: {}, not {wanted:?}", told_draft(draft)));
        }
    }
    Ok(())
}

fn same_payload(wanted: &Shown, payload: &[u8]) -> Result<bool, String> {
    Ok(match &wanted.json {
        Some(json) => serde_json::from_slice::<Value>(payload).is_ok_and(|found| same_value(json, &found)),
        None => wanted.payload()? == payload,
    })
}

/// Numbers by what they are worth, to twelve digits: 21 is 21.0, and the last bits are nobody's business.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs().max(b.abs());
            a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| near(a, b))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same_value(a, b)))
        }
        _ => a == b,
    }
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Replace(drafts) => format!("out: [{}]", drafts.iter().map(told_draft).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}

fn told_draft(draft: &Draft) -> String {
    let payload = String::from_utf8_lossy(&draft.payload);
    let Draft { topic, qos, retain, content_type, response_topic, correlation, expiry, properties, .. } = draft;
    let correlation = correlation.as_deref().map(String::from_utf8_lossy);
    let more = format!("{content_type:?}, {response_topic:?}, {correlation:?}, {expiry:?}, {properties:?}");
    format!("{topic} {payload} ({qos:?}, retain {retain}, {more})")
}

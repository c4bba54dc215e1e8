//! A case, as authors write them and `stile plugin test` plays them, made of messages that have come and of what the plugin
//! makes of them now.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stile_filter::cases::{Shown, Subject};
use stile_filter::{Draft, Qos, Time, Verdict};

use super::played::Played;
use super::trial::{Ready, TOLD_MAX_BYTES};
use crate::config::MASK;
use crate::message::{Message, Origin};
use crate::plugin_host::{Terms, Workbench};

/// All data files of a case together, in bytes.
const DATA_MAX_BYTES: u64 = 256 * 1024;

/// Makes the file's text. Secrets among the settings are masked in it. Each message is judged alone, and no time goes by that
/// the plugin hears of: a case says that by steps of its own.
pub(super) fn make(ready: &Ready<'_>, messages: Vec<Message>, about: &str, most: Duration) -> Result<String, String> {
    let mut messages = messages;
    messages.sort_by_key(|message| message.received.unix_micros());
    let start = Time(messages.first().map_or(0, |message| message.received.unix_micros()));
    let data = data(ready)?;
    let terms = Terms::of(&ready.settings)?;
    let mut subject = Played::new(Workbench::listening(ready.loaded.clone(), terms, start.0));
    subject.configure().map_err(|error| format!("it does not start: {error}"))?;
    let (mut steps, mut told) = (Vec::new(), 0);
    for (number, message) in (1..).zip(&messages) {
        let step = step(message, start, &mut subject).map_err(|why| format!("message {number}: {why}"))?;
        let step = format!("    {step}");
        told += step.len();
        if told > TOLD_MAX_BYTES {
            return Err("the plugin makes too much of so many messages; choose fewer, or shorter ones".to_owned());
        }
        steps.push(step);
        if subject.times.iter().sum::<Duration>() > most {
            return Err(format!("the plugin takes too long for so many messages; choose {number} at most"));
        }
    }
    let about = if about.trim().is_empty() { "Messages that came, and what became of them." } else { about.trim() };
    let head = [("about", json!(about)), ("settings", settings(ready)), ("data", Value::Object(data))];
    let head = head.iter().filter(|(_, value)| value.as_object().is_none_or(|object| !object.is_empty()));
    let head = head.map(|(name, value)| format!("  \"{name}\": {value},\n")).collect::<String>();
    let start = messages.first().map_or_else(String::new, |message| message.received.rfc3339());
    Ok(format!("{{\n{head}  \"start\": \"{start}\",\n  \"steps\": [\n{}\n  ]\n}}\n", steps.join(",\n")))
}

fn settings(ready: &Ready<'_>) -> Value {
    match &ready.listed.about.manifest {
        Some(manifest) => manifest.settings.masked(&ready.settings.settings, MASK),
        None => Value::Object(Map::new()),
    }
}

/// The files that the plugin may read, as text.
fn data(ready: &Ready<'_>) -> Result<Map<String, Value>, String> {
    let mut left = DATA_MAX_BYTES;
    let mut texts = Map::new();
    for (name, path) in &ready.settings.data {
        let text = text(path, left).map_err(|why| format!("its data file {}: {why}", path.display()))?;
        left = left.saturating_sub(text.len() as u64);
        texts.insert(name.clone(), text.into());
    }
    Ok(texts)
}

fn text(path: &Path, most: u64) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_string(&mut text));
    read.map_err(|error| error.to_string())?;
    let what = format!("a case has at most {DATA_MAX_BYTES} bytes of data");
    if text.len() as u64 > most { Err(what) } else { Ok(text) }
}

/// One message, and what the plugin makes of it.
fn step(message: &Message, start: Time, subject: &mut Played) -> Result<Value, String> {
    let shown = shown(message);
    let received = Time(message.received.unix_micros());
    let verdict = subject.process(&shown.message(received)?);
    let verdict = verdict.map_err(|error| format!("the plugin fails at it, which no case can expect: {error}"))?;
    let published = subject.published();
    let mut step = Map::new();
    step.insert("at".into(), json!(received.0.saturating_sub(start.0) as f64 / 1e6));
    step.insert("in".into(), written(&shown));
    match verdict {
        Verdict::Drop(why) => step.insert("drop".into(), json!(why)),
        Verdict::Reject(why) => step.insert("reject".into(), json!(why)),
        Verdict::Replace(drafts) => step.insert("out".into(), all(&drafts)?),
        // A patch comes as what goes on in the end.
        Verdict::Pass | Verdict::Modify(_) => step.insert("pass".into(), json!(true)),
    };
    if !published.is_empty() {
        step.insert("emits".into(), all(&published)?);
    }
    Ok(Value::Object(step))
}

/// A message as a case has it. It has no properties: nobody who looks on is told them.
fn shown(message: &Message) -> Shown {
    let from = match &message.origin {
        Origin::Radio(name) | Origin::Client(name) | Origin::Plugin(name) | Origin::Uplink(name) => name.to_string(),
        Origin::Gateway => String::new(),
    };
    Shown {
        topic: message.topic.as_str().to_owned(),
        qos: message.qos as u8,
        retain: message.retain,
        from,
        ..with_payload(&message.payload)
    }
}

/// JSON where that says the same bytes, else text, else digits.
fn with_payload(payload: &[u8]) -> Shown {
    let same =
        |json: &Value| matches!(json, Value::Object(_) | Value::Array(_)) && json.to_string().as_bytes() == payload;
    let json = serde_json::from_slice(payload).ok().filter(same);
    let text = std::str::from_utf8(payload).ok().map(str::to_owned).filter(|text| json.is_none() && !text.is_empty());
    let hex = (json.is_none() && std::str::from_utf8(payload).is_err()).then(|| crate::component::hex(payload));
    Shown { json, text, hex, ..Shown::default() }
}

fn all(drafts: &[Draft]) -> Result<Value, String> {
    drafts.iter().map(|draft| of_draft(draft).map(|shown| written(&shown))).collect()
}

fn of_draft(draft: &Draft) -> Result<Shown, String> {
    let properties = draft.properties.iter().map(|property| (property.name.clone(), property.value.clone()));
    let properties: std::collections::BTreeMap<_, _> = properties.collect();
    if properties.len() < draft.properties.len() {
        return Err("it makes a message with two properties of one name, which no case can expect".to_owned());
    }
    let correlation = draft.correlation.clone().map(String::from_utf8).transpose();
    Ok(Shown {
        topic: draft.topic.clone(),
        qos: match draft.qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => 1,
            Qos::ExactlyOnce => 2,
        },
        retain: draft.retain,
        content_type: draft.content_type.clone(),
        response_topic: draft.response_topic.clone(),
        correlation: correlation.map_err(|_| "it makes a message whose correlation is no text".to_owned())?,
        expiry: draft.expiry.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
        properties,
        ..with_payload(&draft.payload)
    })
}

/// What is as usual is left out.
fn written(shown: &Shown) -> Value {
    let Shown {
        topic,
        json,
        text,
        hex,
        qos,
        retain,
        content_type,
        response_topic,
        correlation,
        expiry,
        properties,
        from,
    } = shown;
    let fields = [
        ("topic", Some(json!(topic))),
        ("json", json.clone()),
        ("text", text.as_ref().map(|text| json!(text))),
        ("hex", hex.as_ref().map(|hex| json!(hex))),
        ("qos", (*qos > 0).then(|| json!(qos))),
        ("retain", retain.then(|| json!(true))),
        ("content-type", content_type.as_ref().map(|text| json!(text))),
        ("response-topic", response_topic.as_ref().map(|text| json!(text))),
        ("correlation", correlation.as_ref().map(|text| json!(text))),
        ("expiry", expiry.map(|seconds| json!(seconds))),
        ("properties", (!properties.is_empty()).then(|| json!(properties))),
        ("from", (!from.is_empty()).then(|| json!(from))),
    ];
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

//! What a message would become for each uplink, and why.

use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Explain, say, visible};
use crate::cli::text::columns;
use crate::codec;
use crate::config::{Settings, Share, Uplink};
use crate::message::{Clock, Message, MessageId, OWN_PROPERTIES, Origin, Properties, QoS, Topic};
use crate::pseudonym::Key;
use crate::sharing::{Explained, Fate, Known, Policy, known, words};
use crate::uplink::{is_for_hub, outward};

/// The longest payload that is read, in bytes: more than policies look at.
const PAYLOAD_MAX: u64 = 16 << 20;

/// Would be sent to none.
const SENT_TO_NONE: u8 = 3;

/// What one uplink makes of the message.
struct Answer<'a> {
    uplink: &'a Uplink,
    /// The message there, its topic there and its quality of service; or why it does not leave.
    outcome: Result<(Message, Topic, QoS), String>,
    /// The rule of `share` that decides, from 1.
    rule: Option<usize>,
    fates: Vec<Fate>,
    /// What is to be said of pseudonyms.
    pseudonyms: Option<String>,
}

/// Says it for the uplinks that are meant.
pub(super) fn run(wanted: &Explain, settings: &Settings) -> Result<ExitCode, String> {
    let message = message(wanted)?;
    let asked = |uplink: &&Uplink| wanted.uplink.as_ref().is_none_or(|name| *name == uplink.name);
    let uplinks: Vec<_> = settings.uplink.iter().filter(asked).collect();
    if uplinks.is_empty() {
        let names: Vec<_> = settings.uplink.iter().map(|uplink| uplink.name.as_str()).collect();
        let known =
            if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
        return Err(match &wanted.uplink {
            Some(name) => format!("the settings have no uplink {name}; {known}"),
            None => "the settings have no uplink, so nothing leaves".to_owned(),
        });
    }
    let answers: Vec<_> = uplinks.into_iter().map(|uplink| answer(uplink, settings, &message)).collect();
    if wanted.json {
        let all: Vec<_> = answers.iter().map(|answer| object(answer, &message)).collect();
        say(&format!("{:#}", json!({ "topic": message.topic.as_str(), "uplinks": all })));
    } else {
        let texts: Vec<_> = answers.iter().map(|answer| text(answer, &message)).collect();
        say(&texts.join("\n\n"));
    }
    let sent = answers.iter().any(|answer| answer.outcome.is_ok());
    Ok(if sent { ExitCode::SUCCESS } else { ExitCode::from(SENT_TO_NONE) })
}

fn message(wanted: &Explain) -> Result<Message, String> {
    let topic = Topic::new(&wanted.topic).map_err(|error| format!("`{}` is no topic: it {error}", wanted.topic))?;
    let mut payload = Vec::new();
    let read = if wanted.file.as_os_str() == "-" {
        io::stdin().take(PAYLOAD_MAX + 1).read_to_end(&mut payload)
    } else {
        File::open(&wanted.file).and_then(|file| file.take(PAYLOAD_MAX + 1).read_to_end(&mut payload))
    };
    let name = wanted.file.display();
    read.map_err(|error| format!("can't read {name}: {error}"))?;
    if payload.len() as u64 > PAYLOAD_MAX {
        return Err(format!("{name} is longer than 16 MiB, and no policy would look at it"));
    }
    let id = MessageId { run: 1, sequence: 1 };
    let mut message = Message::new(id, Clock::default().now(), Origin::Client("explain".into()), topic, payload);
    let mut properties = Properties::default();
    for given in &wanted.property {
        let (name, value) = given.split_once('=').ok_or(format!("--property {given} has no `=`"))?;
        let value = value.to_owned();
        match name {
            "content-type" => properties.content_type = Some(value),
            "response-topic" => properties.response_topic = Some(value),
            "correlation-data" => properties.correlation = Some(Bytes::from(value)),
            _ => properties.user.push((name.to_owned(), value)),
        }
    }
    message.properties = (!properties.is_empty()).then(|| Arc::new(properties));
    Ok(message)
}

fn answer<'a>(uplink: &'a Uplink, settings: &Settings, message: &Message) -> Answer<'a> {
    let mut answer = Answer { uplink, outcome: Err(String::new()), rule: None, fates: Vec::new(), pseudonyms: None };
    let sends = |message: &Message| outward(uplink, &settings.gateway.id, message);
    if let Err(why) = sends(message) {
        answer.outcome = Err(why);
        return answer;
    }
    let for_hub = is_for_hub(uplink, message.topic.as_str());
    let shaped = match Policy::of(&uplink.share).filter(|_| !for_hub) {
        None => Ok(message.clone()),
        Some(policy) => {
            let key = key(uplink, settings, &mut answer);
            let Explained { rule, outcome, fates } = policy.explain(message, &key);
            (answer.rule, answer.fates) = (rule.map(|rule| rule + 1), fates);
            let changes = rule.and_then(|rule| uplink.share.get(rule)).is_some_and(Share::has_pseudonyms);
            answer.pseudonyms = answer.pseudonyms.filter(|_| changes);
            outcome.map_err(|why| why.words().to_owned())
        }
    };
    answer.outcome = shaped.and_then(|shaped| sends(&shaped).map(|(topic, qos)| (shaped, topic, qos)));
    answer
}

fn key(uplink: &Uplink, settings: &Settings, answer: &mut Answer<'_>) -> Key {
    let example = |why: &str| Some(format!("examples, since {why}"));
    let daily = if uplink.pseudonyms_change.is_never() { "" } else { ", until they change" };
    let (key, says) = match known(&settings.gateway.data_dir, &uplink.name) {
        Known::Real(key) => (key, Some(format!("the real ones{daily}"))),
        Known::None => (Key::example(), example("the gateway has made no secret yet")),
        Known::Unreadable(error) => (Key::example(), example(&error.to_string())),
    };
    answer.pseudonyms = says;
    key
}

/// Properties that would go along; of the gateway's own only the names, since each message has its own values.
fn properties(message: &Message) -> Vec<(String, Option<String>)> {
    let all = codec::properties_of(message);
    let known = [
        ("content-type", all.content_type.map(|text| text.to_string())),
        ("response-topic", all.response_topic.map(|text| text.to_string())),
        ("correlation-data", all.correlation_data.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Some(value?))));
    let user = all.user.iter().map(|(name, value)| {
        let own = OWN_PROPERTIES.contains(&name.to_string().as_str());
        (name.to_string(), (!own).then(|| value.to_string()))
    });
    known.chain(user).collect()
}

fn object(answer: &Answer<'_>, before: &Message) -> Value {
    let fates =
        answer.fates.iter().map(|fate| json!({ "field": fate.field, "became": fate.became.as_str(), "why": fate.why }));
    let mut object = json!({
        "uplink": answer.uplink.name,
        "url": answer.uplink.url,
        "sent": answer.outcome.is_ok(),
        "rule": answer.rule,
        "pseudonyms": answer.pseudonyms,
        "fields": fates.collect::<Vec<_>>(),
    });
    match &answer.outcome {
        Err(why) => object["why"] = why.as_str().into(),
        Ok((message, topic, qos)) => {
            let (encoding, payload) = message.readable_payload();
            let (there, kept) = (properties(message), properties(before));
            object["topic"] = topic.as_str().into();
            object["qos"] = (*qos as u8).into();
            object["encoding"] = encoding.into();
            object["payload"] = payload.into();
            object["properties"] = there.iter().map(|(name, value)| json!([name, value])).collect();
            object["properties_left_out"] = gone(&kept, &there).collect();
        }
    }
    object
}

/// The names of properties that do not go along.
fn gone<'p>(
    before: &'p [(String, Option<String>)],
    there: &'p [(String, Option<String>)],
) -> impl Iterator<Item = &'p str> {
    let names = before.iter().map(|(name, _)| name.as_str());
    names.filter(|name| !there.iter().any(|(other, _)| other == name))
}

fn text(answer: &Answer<'_>, before: &Message) -> String {
    let uplink = answer.uplink;
    let mut lines = vec![match &answer.outcome {
        Ok(_) => format!("{}: would be sent to {}", uplink.name, uplink.url),
        Err(why) => format!("{}: would not be sent to {}: {why}", uplink.name, uplink.url),
    }];
    if uplink.share.is_empty() && answer.outcome.is_ok() {
        lines.push("  it has no [[uplink.share]], so all that it sends goes as it is".to_owned());
    }
    let rule = answer.rule.map(|rule| format!("rule {rule} "));
    let rule = rule.and_then(|rule| words(uplink).into_iter().find(|line| line.starts_with(&rule)));
    lines.extend(rule.map(|rule| format!("  {}", visible(&rule))));
    let rows = answer.fates.iter().map(|fate| {
        let field = if fate.field.is_empty() { "the payload".to_owned() } else { visible(&fate.field) };
        [format!("  {field}"), fate.became.as_str().to_owned(), visible(&fate.why)]
    });
    lines.extend(columns(&rows.collect::<Vec<_>>(), 3));
    if let Ok((message, topic, qos)) = &answer.outcome {
        lines.push(format!("  topic there: {}, QoS {}", visible(topic.as_str()), *qos as u8));
        lines.push(format!("  payload: {}", payload(message)));
        let (there, kept) = (properties(message), properties(before));
        let shown = there.iter().map(|(name, value)| match value {
            Some(value) => format!("{}={}", visible(name), visible(value)),
            None => name.clone(),
        });
        lines.push(format!("  properties: {}", listed(shown)));
        lines.push(format!("  properties left out: {}", listed(gone(&kept, &there).map(visible))));
    }
    lines.extend(answer.pseudonyms.iter().map(|says| format!("  pseudonyms are {}", visible(says))));
    lines.join("\n")
}

fn listed(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<_> = texts.collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

fn payload(message: &Message) -> String {
    match message.readable_payload() {
        ("text", text) => visible(&text),
        (_, _) => format!("{} bytes that are no text", message.payload.len()),
    }
}

//! Messages that a gateway has seen, as `stile tap --json` prints them, played through a plugin.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};

use super::played::received;
use crate::message::{ClockQuality, Message, MessageIds, Origin, QoS, Topic, TopicFilter};
use crate::plugin_host::{Failure, Judgement, Workbench};

/// The most ticks between two messages: a clock that jumps by years must not keep anybody waiting.
const TICKS: u32 = 100_000;

/// A line of a capture.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Message(Box<Seen>),
    /// The watcher was too slow for so many.
    Missed {
        missed: u64,
    },
}

/// A message as `stile tap --json` shows it; a payload and a topic by hand will do.
#[derive(Debug, Deserialize)]
struct Seen {
    topic: String,
    payload: String,
    #[serde(default = "text")]
    encoding: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    clock: String,
    #[serde(default)]
    origin: Option<String>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
}

fn text() -> String {
    "text".to_owned()
}

/// Messages in the order in which they were seen.
#[derive(Debug)]
pub struct Capture {
    /// All of them.
    pub messages: Vec<Message>,
    /// How many the capture itself lacks.
    pub missed: u64,
}

/// Whether a text is a capture, by its first line: one that is a message.
pub fn is_one(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.is_some_and(|line| serde_json::from_str::<Line>(line).is_ok())
}

/// Reads one. `last`: the time of its first message where that has none, in microseconds since 1970.
///
/// # Errors
/// Which line can't be read, and why.
pub fn read(text: &str, mut last: u64) -> Result<Capture, String> {
    let (mut messages, mut missed, ids) = (Vec::new(), 0, MessageIds::new(0));
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: String| format!("line {number}: {what}");
        match serde_json::from_str(line).map_err(|error| wrong(error.to_string()))? {
            Line::Missed { missed: more } => missed += more,
            Line::Message(seen) => {
                let message = seen.message(&ids, last).map_err(wrong)?;
                last = message.received.unix_micros();
                messages.push(message);
            }
        }
    }
    Ok(Capture { messages, missed })
}

impl Seen {
    /// `last`: the time of the one before, which one without a time shares.
    fn message(self, ids: &MessageIds, last: u64) -> Result<Message, String> {
        let topic = Topic::new(&self.topic).map_err(|error| format!("the topic {:?} {error}", self.topic))?;
        let payload = Message::read_payload(&self.encoding, self.payload);
        let payload = payload.ok_or_else(|| format!("the payload is not written as {:?}", self.encoding))?;
        let origin = match &self.origin {
            Some(text) => Origin::parse(text).ok_or_else(|| format!("there is no origin {text:?}"))?,
            None => Origin::Client("".into()),
        };
        let time = self.time.as_deref().map(humantime::parse_rfc3339).transpose();
        let time = time.map_err(|error| format!("`time`: {error}"))?.map_or(last, micros);
        let clock = match self.clock.as_str() {
            "synchronised" => ClockQuality::Synchronised,
            "unsynchronised" => ClockQuality::Unsynchronised,
            _ => ClockQuality::Unknown,
        };
        let mut message = Message::new(ids.next(), received(time, clock), origin, topic, payload);
        message.qos = QoS::from_u8(self.qos).ok_or_else(|| format!("there is no QoS {}", self.qos))?;
        message.retain = self.retain;
        Ok(message)
    }
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Something that happened, and what came of it.
#[derive(Debug)]
pub struct Event<'a> {
    /// `None`: a tick.
    pub message: Option<&'a Message>,
    /// When, in microseconds since 1970.
    pub at: u64,
    /// What the plugin said of it; what a tick gives is in the place of it.
    pub outcome: Result<Judgement, Failure>,
    /// What it published besides.
    pub emitted: Vec<Message>,
}

/// Plays messages through a plugin, each alone, with ticks between them as time goes by. `heard` is told of each that the
/// plugin is meant for, and of each tick, and may end it.
pub fn play(
    messages: &[Message],
    topics: &[TopicFilter],
    period: Option<Duration>,
    bench: &mut Workbench,
    mut heard: impl FnMut(&Event<'_>, &Workbench) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let period = period.map(|period| u64::try_from(period.as_micros()).unwrap_or(u64::MAX).max(1));
    let mut next_tick = None;
    for message in messages {
        let at = message.received.unix_micros();
        if let Some(period) = period {
            let due = next_tick.get_or_insert_with(|| at.saturating_add(period));
            let mut ticks = 0;
            while *due <= at && ticks < TICKS {
                bench.set_now(*due);
                let made = bench.tick().map(Judgement::Replace);
                let event = Event { message: None, at: *due, outcome: made, emitted: bench.take_emitted() };
                heard(&event, bench)?;
                *due = due.saturating_add(period);
                ticks += 1;
            }
            *due = (*due).max(at.saturating_add(1));
        }
        if topics.iter().any(|filter| filter.matches(message.topic.as_str())) {
            bench.set_now(at);
            let said = bench.judge(std::slice::from_ref(message));
            let outcome = said.map(|mut said| said.pop().unwrap_or(Judgement::Pass));
            heard(&Event { message: Some(message), at, outcome, emitted: bench.take_emitted() }, bench)?;
        }
    }
    ControlFlow::Continue(())
}

impl Event<'_> {
    /// A tick that made nothing is not worth a line.
    pub fn is_quiet(&self) -> bool {
        let nothing = matches!(&self.outcome, Ok(Judgement::Replace(made)) if made.is_empty());
        self.message.is_none() && nothing && self.emitted.is_empty()
    }

    /// The one word for it.
    pub fn word(&self) -> &'static str {
        match (&self.outcome, self.message) {
            (Err(_), _) => "failed",
            (Ok(_), None) => "tick",
            (Ok(Judgement::Pass), _) => "passed",
            (Ok(Judgement::Drop(_)), _) => "dropped",
            (Ok(Judgement::Modify(_)), _) => "modified",
            (Ok(Judgement::Replace(_)), _) => "replaced",
            (Ok(Judgement::Reject(_)), _) => "rejected",
        }
    }

    /// Why, where something is said.
    pub fn why(&self) -> Option<String> {
        match &self.outcome {
            Err(failure) => Some(format!("{}: {}", failure.kind, failure.text)),
            Ok(Judgement::Drop(why) | Judgement::Reject(why)) => Some(why.clone()),
            Ok(_) => None,
        }
    }

    /// What goes on in its place.
    pub fn out(&self) -> &[Message] {
        match &self.outcome {
            Ok(Judgement::Modify(changed)) => std::slice::from_ref(changed),
            Ok(Judgement::Replace(others)) => others,
            _ => &[],
        }
    }

    /// All of it for scripts.
    pub fn json(&self) -> Value {
        let all = |messages: &[Message]| messages.iter().map(told).collect::<Vec<_>>();
        json!({
            "time": received(self.at, ClockQuality::Unknown).rfc3339(),
            "in": self.message.map(told),
            "result": self.word(),
            "why": self.why(),
            "out": all(self.out()),
            "emits": all(&self.emitted),
        })
    }
}

fn told(message: &Message) -> Value {
    let (encoding, payload) = message.readable_payload();
    json!({
        "topic": message.topic.as_str(), "qos": message.qos as u8, "retain": message.retain,
        "encoding": encoding, "payload": payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tap_are_read_and_what_is_none_says_its_line() {
        let line = r#"{"id":"x-1","time":"2026-11-21T20:26:35.000001Z","clock":"synchronised","origin":"radio:meter",
            "topic":"serial/meter/up","qos":1,"retain":false,"encoding":"base64","payload":"AP8="}"#
            .replace('\n', "");
        let text = format!("{line}\n{{\"missed\":3}}\n\n{{\"topic\":\"a\",\"payload\":\"x\"}}\n");
        assert!(is_one(&text) && !is_one("{\n  \"about\": \"x\" }") && !is_one(""));
        let capture = read(&text, 0).unwrap();
        assert_eq!((capture.missed, capture.messages.len()), (3, 2));
        let [first, second] = &capture.messages[..] else { unreachable!() };
        assert_eq!(
            (&first.payload[..], first.qos, first.received.clock),
            (&[0, 255][..], QoS::AtLeastOnce, ClockQuality::Synchronised)
        );
        assert_eq!(
            (first.received.rfc3339().as_str(), first.origin.clone()),
            ("2026-11-21T20:26:35.000001Z", Origin::Radio("meter".into()))
        );
        assert_eq!((&second.payload[..], second.received.wall), (&b"x"[..], first.received.wall));
        for (wrong, what) in [
            (r#"{"topic":"a/#","payload":""}"#, "topic"),
            (r#"{"topic":"a","payload":"ä","encoding":"base64"}"#, "base64"),
            (r#"{"topic":"a","payload":"","origin":"moon"}"#, "moon"),
            (r#"{"topic":"a","payload":"","qos":3}"#, "QoS 3"),
            (r#"{"topic":"a","payload":"","time":"noon"}"#, "time"),
            ("{", "line 2"),
        ] {
            let said = read(&format!("{line}\n{wrong}"), 0).err().unwrap();
            assert!(said.starts_with("line 2: ") && said.contains(what), "{said}");
        }
    }
}

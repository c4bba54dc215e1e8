//! What a thermostat was asked for, and what it says it is set to. Both are kept by the gateway, and told on the topic
//! `NAME/state`.

use std::time::Duration;

use serde_json::{Map, Value, json};
use stile_filter::{Draft, Host, Level, Message, Qos, Time};

/// How long what is kept of a thermostat outlives its last word.
const KEPT: Duration = Duration::from_secs(400 * 86_400);
/// Closer than the finest step of a thermostat: the same.
const SAME: f64 = 0.05;

/// One thermostat's.
pub(crate) struct State<'a> {
    prefix: &'a str,
    name: &'a str,
    message: &'a Message,
    host: &'a Host,
}

impl<'a> State<'a> {
    pub(crate) fn new(prefix: &'a str, name: &'a str, message: &'a Message, host: &'a Host) -> Self {
        Self { prefix, name, message, host }
    }

    /// It is asked to be set. Gives what is to be told.
    pub(crate) fn asked(&self, asked: f64) -> Draft {
        self.keep("asked", &format!("{asked} {}", self.message.received.0));
        self.draft("asked", Some(asked), None)
    }

    /// What was asked for can't be.
    pub(crate) fn refused(&self, asked: Option<f64>, why: &str) {
        // Not kept for later subscribers: nothing has changed.
        self.tell(Draft { retain: false, ..self.draft("refused", asked, Some(why)) });
    }

    /// It says what it is set to.
    pub(crate) fn reported(&self, target: f64, patience: Duration) {
        let before = self.target();
        let changed = before != Some(target);
        if changed {
            self.keep("target", &target.to_string());
        }
        match self.pending() {
            // The command may still wait for this very message: class A devices are told after they have spoken.
            Some((asked, at)) if (asked - target).abs() >= SAME && self.message.since(at) < patience => {}
            Some((asked, _)) => {
                self.host.kv().delete(&self.key("asked"));
                let state = if (asked - target).abs() < SAME { "confirmed" } else { "overdue" };
                self.tell(self.draft(state, Some(asked), None));
            }
            None if changed => self.tell(self.draft("reported", None, None)),
            None => {}
        }
    }

    fn pending(&self) -> Option<(f64, Time)> {
        let text = self.text("asked")?;
        let (asked, at) = text.split_once(' ')?;
        Some((asked.parse().ok()?, Time(at.parse().ok()?)))
    }

    fn target(&self) -> Option<f64> {
        self.text("target")?.parse().ok()
    }

    fn draft(&self, state: &str, asked: Option<f64>, why: Option<&str>) -> Draft {
        let told = [
            ("state", Some(json!(state))),
            ("asked", asked.map(|asked| json!(asked))),
            ("target", self.target().map(|target| json!(target))),
            ("why", why.map(|why| json!(why))),
            ("at", Some(json!(self.message.received.to_string()))),
        ];
        let payload: Map<_, _> = told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Draft {
            qos: Qos::AtLeastOnce,
            retain: true,
            content_type: Some("application/json".to_owned()),
            ..Draft::new(format!("{}/{}/state", self.prefix, self.name), Value::Object(payload).to_string())
        }
    }

    fn tell(&self, draft: Draft) {
        if let Err(error) = self.host.publish(draft) {
            self.host.count("states_lost", 1);
            self.host.log(Level::Warn, format_args!("the state of {} is not told: {error}", self.name));
        }
    }

    fn key(&self, what: &str) -> String {
        format!("{}/{what}", self.name)
    }

    fn text(&self, what: &str) -> Option<String> {
        self.host.kv().get(&self.key(what)).and_then(|value| String::from_utf8(value).ok())
    }

    fn keep(&self, what: &str, text: &str) {
        if let Err(error) = self.host.kv().set(&self.key(what), text.as_bytes(), Some(KEPT)) {
            self.host.count("not_kept", 1);
            self.host.log(Level::Warn, format_args!("{}: {error}", self.key(what)));
        }
    }
}

//! The case runner, tried with a small filter: it must see each kind of difference.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use stile_filter::cases::{Case, Subject, check};
use stile_filter::{Draft, Error, Grant, Host, Message, Patch, Qos, Time, Verdict};

/// Does what the topic says.
struct Obedient {
    host: Host,
    configured: u32,
}

impl Subject for Obedient {
    fn configure(&mut self) -> Result<(), Error> {
        self.configured += 1;
        Ok(())
    }

    fn process(&mut self, message: &Message) -> Result<Verdict, Error> {
        self.host.set_now(message.received);
        Ok(match message.topic.as_str() {
            "pass" => Verdict::Pass,
            "drop" => Verdict::Drop("unchanged".into()),
            "reject" => Verdict::Reject("no number in it".into()),
            "modify" => Verdict::Modify(Patch::payload("{\"a\":21.0,\"b\":[1]}")),
            "replace" => {
                Verdict::Replace(vec![Draft::new("x", "1"), Draft { qos: Qos::ExactlyOnce, ..Draft::new("y", "2") }])
            }
            "emit" => {
                self.host.publish(Draft::new("besides", message.received.to_string())).unwrap();
                Verdict::Pass
            }
            _ => return Err(Error::Broken("no such word".into())),
        })
    }

    fn tick(&mut self, now: Time) -> Result<Vec<Draft>, Error> {
        Ok(vec![Draft::new("tick", now.to_string())])
    }

    fn published(&mut self) -> Vec<Draft> {
        self.host.published()
    }
}

fn played(steps: &str) -> Result<(), String> {
    let case = Case::parse(&format!(r#"{{"about": "an example", "steps": [{steps}]}}"#))?;
    check(&case, &mut Obedient { host: Host::in_memory(&[Grant::Emit]), configured: 0 })
}

#[test]
fn what_is_as_the_case_says_is_good() {
    let good = [
        r#"{"at": 0, "in": {"topic": "pass", "text": "1"}, "pass": true}"#,
        r#"{"at": 0, "in": {"topic": "drop"}, "drop": "unchanged"}"#,
        r#"{"at": 0, "in": {"topic": "reject"}, "reject": "number"}"#,
        r#"{"at": 0, "in": {"topic": "modify", "qos": 1}, "out": [{"json": {"b": [1.0], "a": 21}, "qos": 1}]}"#,
        r#"{"at": 0, "in": {"topic": "replace"}, "out": [{"topic": "x", "hex": "31"}, {"topic": "y", "text": "2", "qos": 2}]}"#,
        r#"{"at": 1.5, "in": {"topic": "emit"}, "pass": true, "emits": [{"topic": "besides", "text": "2026-01-01T00:00:01.500Z"}]}"#,
        r#"{"at": 60, "tick": true, "out": [{"topic": "tick", "text": "2026-01-01T00:01:00.000Z"}]}"#,
        r#"{"at": 60, "restart": true, "out": []}"#,
    ];
    for step in good {
        assert_eq!(played(step), Ok(()), "{step}");
    }
}

#[test]
fn each_difference_is_found() {
    let wrong = [
        r#"{"at": 0, "in": {"topic": "pass"}, "drop": "unchanged"}"#,
        r#"{"at": 0, "in": {"topic": "pass"}, "pass": false}"#,
        r#"{"at": 0, "in": {"topic": "drop"}, "drop": "unch"}"#,
        r#"{"at": 0, "in": {"topic": "reject"}, "reject": "text"}"#,
        r#"{"at": 0, "in": {"topic": "modify"}, "out": [{"json": {"a": 22, "b": [1]}}]}"#,
        r#"{"at": 0, "in": {"topic": "modify"}, "out": [{"json": {"a": 21}}]}"#,
        r#"{"at": 0, "in": {"topic": "modify"}, "out": [{"topic": "other", "json": {"a": 21, "b": [1]}}]}"#,
        r#"{"at": 0, "in": {"topic": "modify"}, "out": [{"json": {"a": 21, "b": [1]}, "retain": true}]}"#,
        r#"{"at": 0, "in": {"topic": "modify"}, "out": [{"json": {"a": 21, "b": [1]}, "content-type": "text/plain"}]}"#,
        r#"{"at": 0, "in": {"topic": "modify"}, "out": [{"json": {"a": 21, "b": [1]}, "properties": {"a": "b"}}]}"#,
        r#"{"at": 0, "in": {"topic": "replace"}, "out": [{"topic": "x", "text": "1"}]}"#,
        r#"{"at": 0, "in": {"topic": "replace"}, "out": [{"topic": "x", "text": "1"}, {"topic": "y", "text": "2"}]}"#,
        r#"{"at": 0, "in": {"topic": "emit"}, "pass": true}"#,
        r#"{"at": 0, "in": {"topic": "nonsense"}, "pass": true}"#,
        r#"{"at": 60, "tick": true, "out": []}"#,
    ];
    for step in wrong {
        assert!(played(step).is_err(), "{step}");
    }
}

#[test]
fn a_case_that_is_no_case_is_refused() {
    let wrong = [
        r#"{"at": 0, "in": {"topic": "pass"}, "pass": true, "pas": true}"#,
        r#"{"at": 0, "in": {"topic": "pass", "payload": "1"}, "pass": true}"#,
        r#"{"at": 0, "in": {"topic": "pass"}}"#,
        r#"{"at": 0, "pass": true}"#,
        r#"{"at": -1, "in": {"topic": "pass"}, "pass": true}"#,
        r#"{"at": 2, "in": {"topic": "pass"}, "pass": true}, {"at": 1, "in": {"topic": "pass"}, "pass": true}"#,
        r#"{"at": 0, "in": {"topic": "pass", "hex": "3"}, "pass": true}"#,
        r#"{"at": 0, "in": {"topic": "pass", "hex": "3g"}, "pass": true}"#,
        r#"{"at": 0, "in": {"topic": "pass", "hex": "33", "text": "3"}, "pass": true}"#,
        r#"{"at": 0, "in": {"topic": "pass", "qos": 3}, "pass": true}"#,
        "",
    ];
    for step in wrong {
        assert!(played(step).is_err(), "{step}");
    }
    assert!(Case::parse(r#"{"about": "", "start": "yesterday", "invalid": "x"}"#).is_err());
}

#[test]
fn settings_that_must_be_refused_and_are_not_are_a_difference() {
    let case = Case::parse(r#"{"about": "an example", "invalid": "period"}"#).unwrap();
    let mut subject = Obedient { host: Host::in_memory(&[]), configured: 0 };
    assert!(check(&case, &mut subject).unwrap_err().contains("not refused"));
    assert_eq!(subject.configured, 1);
}

#[test]
fn the_gateway_in_memory_keeps_and_forgets() {
    let host = Host::in_memory(&[Grant::Kv]);
    let kv = host.kv();
    kv.set("b", b"1", Some(Duration::from_secs(10))).unwrap();
    kv.set("a", b"x", None).unwrap();
    assert_eq!((kv.increment("b", 2), kv.increment("n", -1)), (Ok(3), Ok(-1)));
    assert!(kv.increment("a", 1).is_err());
    assert_eq!(kv.keys("", 2), ["a", "b"]);
    host.set_now(Time::EXAMPLE.after(Duration::from_secs(10)));
    assert_eq!((kv.get("b"), kv.keys("", 9)), (None, vec!["a".to_owned(), "n".to_owned()]));
    assert!(kv.delete("a") && !kv.delete("a"));
}

#[test]
#[should_panic(expected = "`random` was not granted")]
fn what_was_not_granted_ends_a_test() {
    Host::in_memory(&[Grant::Kv]).random(1);
}

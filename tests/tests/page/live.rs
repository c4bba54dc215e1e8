//! Live messages as server-sent events.

use std::io::{BufRead, BufReader};
use std::time::Instant;

use serde_json::Value;
use stile_tests::{Neighbour, PATIENCE, Stile, Visitor, mosquitto_pub};

/// Reads events until one of this name has come, and gives its data.
pub(crate) fn event(stream: &mut impl BufRead, name: &str) -> Value {
    let begun = Instant::now();
    let mut found = false;
    let mut line = String::new();
    while begun.elapsed() < PATIENCE {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream has ended");
        if let Some(data) = line.strip_prefix("data: ").filter(|_| found) {
            return serde_json::from_str(data).unwrap();
        }
        found = line.strip_prefix("event: ").map_or(found, |event| event.trim() == name);
    }
    panic!("no event {name}");
}

fn publish(stile: &Stile, topic: &str, text: &str) {
    assert!(mosquitto_pub(stile.mqtt, "mqttv5", &["-t", topic, "-m", text]).status.success());
}

#[test]
fn a_viewer_sees_what_his_filter_wants_and_is_cut_off_with_his_session() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let bad = anna.get("/api/v1/live?filter=a%23");
    assert_eq!((bad.status, bad.header("content-type")), (422, "application/problem+json"));
    let mut stream = BufReader::new(anna.send("GET", "/api/v1/live?filter=a/%23", &[], ""));
    let mut line = String::new();
    while line.trim() != "" || !line.ends_with('\n') {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    for (topic, text) in [("a/b", "one"), ("other", "two"), ("a/c", "three")] {
        publish(&stile, topic, text);
    }
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(event(&mut stream, "messages").as_array().unwrap().clone());
    }
    assert_eq!((&seen[0]["payload"], &seen[1]["topic"]), (&"one".into(), &"a/c".into()), "{seen:?}");
    let csrf = anna.get("/").csrf();
    anna.post("/sign-out", &[("csrf", &csrf)]);
    publish(&stile, "a/d", "four");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stream, &mut rest).unwrap();
    assert!(!rest.contains("four"), "{rest}");
}

#[test]
fn a_viewer_of_the_way_sees_a_message_come_and_reach_the_outputs() {
    let stile = Stile::start("");
    let anna = Visitor::first(&stile);
    let mut stream = BufReader::new(anna.send("GET", "/api/v1/way?filter=a/%23", &[], ""));
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    publish(&stile, "a/b", "one");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(event(&mut stream, "hops").as_array().unwrap().clone());
    }
    assert_eq!(
        (&seen[0]["did"], &seen[0]["place"], &seen[0]["message"]["payload"]),
        (&"came".into(), &"in".into(), &"one".into())
    );
    assert_eq!(
        (&seen[1]["did"], &seen[1]["place"], &seen[1]["id"]),
        (&"delivered".into(), &"out".into(), &seen[0]["id"])
    );
    assert!(seen[1]["after_micros"].as_u64() >= seen[0]["after_micros"].as_u64(), "{seen:?}");
}

#[test]
fn who_does_not_read_skips_messages_and_sees_how_many_and_nobody_waits_for_him() {
    let stile = Stile::start("");
    let anna = Visitor::first(&stile);
    let mut neighbour = Neighbour::of(&stile);
    let mut stream = BufReader::new(anna.send("GET", "/api/v1/live?filter=flood", &[], ""));
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    // More than the kernel keeps for somebody who does not read.
    let (count, text) = ("20000", "x".repeat(2000));
    let sent = mosquitto_pub(stile.mqtt, "mqttv5", &["-t", "flood", "--repeat", count, "-m", &text]);
    assert!(sent.status.success(), "{sent:?}");
    neighbour.is_well();
    assert!(event(&mut stream, "missed")["missed"].as_u64() > Some(0));
}

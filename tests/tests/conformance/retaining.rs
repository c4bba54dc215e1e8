//! Retained messages (3.3.1.3, 3.8.3.1).

use stile_tests::packet::{V5, V311, publish};
use stile_tests::{RawClient, Stile};

use crate::common::*;

const RETAIN: u8 = 1;
const RETAIN_AS_PUBLISHED: u8 = 8;
const IF_NEW: u8 = 0x10;
const NEVER: u8 = 0x20;

statements! {
    v311 {
        mqtt_3_3_1_5_a_retained_message_is_kept_with_its_qos => kept_with_its_qos(V311);
        mqtt_3_3_1_6_a_subscription_brings_the_last_of_each_topic => the_last_of_each_topic(V311);
        mqtt_3_3_1_7_a_retained_message_at_qos_0_replaces_the_last => the_last_replaces(V311);
        mqtt_3_3_1_8_what_a_subscription_brings_has_retain => retain_says_kept(V311);
        mqtt_3_3_1_9_what_comes_later_has_not => retain_says_kept(V311);
        mqtt_3_3_1_10_an_empty_message_clears_and_is_delivered => an_empty_message_clears(V311);
        mqtt_3_3_1_11_an_empty_message_is_not_kept => an_empty_message_clears(V311);
        mqtt_3_3_1_12_without_retain_nothing_changes => without_retain_nothing_changes(V311);
    }
    v5 {
        mqtt_3_3_1_5_a_retained_message_replaces_the_last => the_last_replaces(V5);
        mqtt_3_3_1_6_an_empty_message_clears_and_is_delivered => an_empty_message_clears(V5);
        mqtt_3_3_1_7_an_empty_message_is_not_kept => an_empty_message_clears(V5);
        mqtt_3_3_1_8_without_retain_nothing_changes => without_retain_nothing_changes(V5);
        mqtt_3_3_1_9_handling_0_brings_them_each_time => handling(0, [true, true]);
        mqtt_3_3_1_10_handling_1_brings_them_once => handling(IF_NEW, [true, false]);
        mqtt_3_3_1_11_handling_2_brings_none => handling(NEVER, [false, false]);
        mqtt_3_3_1_12_retain_is_not_forwarded_unasked => retain_is_forwarded(0, [false, false]);
        mqtt_3_3_1_13_retain_is_forwarded_as_published => retain_is_forwarded(RETAIN_AS_PUBLISHED, [true, false]);
    }
}

/// What a newcomer finds under a filter.
fn found(stile: &Stile, version: u8, filter: &str) -> Vec<(String, u8, String)> {
    let mut late = subscriber(stile, version, "late", filter, 2);
    let messages = arrived(&mut late, version);
    late.disconnect();
    assert!(messages.iter().all(|message| message.retain), "{messages:?}");
    let mut all: Vec<_> = messages.into_iter().map(|m| (m.topic, m.qos, m.text)).collect();
    all.sort();
    all
}

fn keep(client: &mut RawClient, version: u8, qos: u8, topic: &str, text: &str) {
    client.send(&publish(version, RETAIN | qos << 1, topic, 1, &[], text));
    if qos > 0 {
        client.packet();
    }
    // Taken in order, so all of it is there when the ping is answered.
    client.expect_quiet();
}

fn row(topic: &str, qos: u8, text: &str) -> (String, u8, String) {
    (topic.to_owned(), qos, text.to_owned())
}

fn kept_with_its_qos(version: u8) {
    let stile = gateway();
    for qos in 0..3 {
        let mut client = RawClient::connect(stile.mqtt, version, "me");
        keep(&mut client, version, qos, &format!("a/{qos}"), "x");
    }
    assert_eq!(found(&stile, version, "a/+"), [row("a/0", 0, "x"), row("a/1", 1, "x"), row("a/2", 2, "x")]);
}

fn the_last_of_each_topic(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    for (topic, text) in [("a/b", "old"), ("a/c", "c"), ("a/b", "new"), ("b", "not asked for")] {
        keep(&mut client, version, 1, topic, text);
    }
    assert_eq!(found(&stile, version, "a/#"), [row("a/b", 1, "new"), row("a/c", 1, "c")]);
}

fn the_last_replaces(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    for (qos, text) in [(2, "first"), (0, "second")] {
        keep(&mut client, version, qos, "a", text);
        assert_eq!(found(&stile, version, "a"), [row("a", qos, text)]);
    }
}

fn retain_says_kept(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    keep(&mut other, version, 0, "a", "kept");
    let mut client = subscriber(&stile, version, "me", "a", 0);
    let first = client.message();
    assert_eq!((first.retain, first.text.as_str()), (true, "kept"));
    keep(&mut other, version, 0, "a", "live");
    let second = client.message();
    assert_eq!((second.retain, second.text.as_str()), (false, "live"));
}

fn an_empty_message_clears(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    keep(&mut other, version, 1, "a", "kept");
    let mut client = subscriber(&stile, version, "me", "a", 0);
    assert_eq!(client.message().text, "kept");
    keep(&mut other, version, 0, "a", "");
    assert_eq!(client.message().text, "");
    assert_eq!(found(&stile, version, "a"), []);
    keep(&mut other, version, 1, "never there", "");
    assert_eq!(found(&stile, version, "never there"), []);
}

fn without_retain_nothing_changes(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    keep(&mut client, version, 1, "a", "kept");
    client.publish_acked(false, "a", &[], "passing");
    client.publish_acked(false, "a", &[], "");
    client.publish_acked(false, "b", &[], "passing");
    assert_eq!(found(&stile, version, "#"), [row("a", 1, "kept")]);
}

fn handling(options: u8, expected: [bool; 2]) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    for topic in ["a/b", "a/c"] {
        keep(&mut client, V5, 1, topic, "kept");
    }
    for comes in expected {
        client.subscribe(&[("a/+", options)], &[]);
        if comes {
            let mut got = [client.message().topic, client.message().topic];
            got.sort();
            assert_eq!(got, ["a/b", "a/c"]);
        }
        client.expect_quiet();
    }
    client.unsubscribe(&["a/+"]);
    client.subscribe(&[("a/+", options)], &[]);
    if expected[0] {
        client.message();
        client.message();
    }
    client.expect_quiet();
}

fn retain_is_forwarded(options: u8, expected: [bool; 2]) {
    let stile = gateway();
    let mut client = subscriber(&stile, V5, "me", "a", options);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    other.publish_acked(true, "a", &[], "retained");
    other.publish_acked(false, "a", &[], "not");
    assert_eq!([client.message().retain, client.message().retain], expected);
}

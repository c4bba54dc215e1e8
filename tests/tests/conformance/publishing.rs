//! PUBLISH from a client: flags, topic, properties, answer (3.3).

use stile_tests::RawClient;
use stile_tests::packet::{V5, V311, Value, ack, counted, packet, publish, section};

use crate::common::*;

const USER_PROPERTY: u8 = 0x26;

statements! {
    v311 {
        mqtt_3_3_1_2_qos_0_with_dup_is_never_sent_nor_taken => qos_0_has_no_dup(V311);
        mqtt_3_3_1_3_dup_is_not_passed_on => dup_is_not_passed_on(V311);
        mqtt_3_3_1_4_qos_3_ends_the_connection => qos_3_ends_it(V311);
        mqtt_3_3_2_1_the_topic_comes_first_and_is_utf_8 => the_topic_comes_first(V311);
        mqtt_3_3_2_2_a_topic_with_a_wildcard_ends_the_connection => no_wildcards_in_a_topic(V311);
        mqtt_3_3_4_1_a_publish_is_answered_as_its_qos_asks => answers_by_qos(V311);
        mqtt_3_3_5_2_a_publish_that_is_not_allowed_ends_the_connection => not_allowed(V311);
    }
    v5 {
        mqtt_3_3_1_2_qos_0_with_dup_is_never_sent_nor_taken => qos_0_has_no_dup(V5);
        mqtt_3_3_1_3_dup_is_not_passed_on => dup_is_not_passed_on(V5);
        mqtt_3_3_1_4_qos_3_is_malformed => qos_3_ends_it(V5);
        mqtt_3_3_2_1_the_topic_comes_first_and_is_utf_8 => the_topic_comes_first(V5);
        mqtt_3_3_2_2_a_topic_with_a_wildcard_ends_the_connection => no_wildcards_in_a_topic(V5);
        mqtt_3_3_2_4_the_payload_format_is_passed_on => is_passed_on(&[0x01, 1], 0x01, &Value::Number(1));
        mqtt_3_3_2_13_a_response_topic_is_utf_8 => property_is_text(0x08);
        mqtt_3_3_2_14_a_response_topic_has_no_wildcards => no_wildcards_in_a_response_topic();
        mqtt_3_3_2_15_the_response_topic_is_passed_on => bytes_are_passed_on(0x08, "answers/here".as_bytes());
        mqtt_3_3_2_16_correlation_data_are_passed_on => bytes_are_passed_on(0x09, b"\x00\xff\x01");
        mqtt_3_3_2_17_user_properties_are_passed_on => user_properties_are_passed_on();
        mqtt_3_3_2_18_user_properties_keep_their_order => user_properties_are_passed_on();
        mqtt_3_3_2_19_a_content_type_is_utf_8 => property_is_text(0x03);
        mqtt_3_3_2_20_the_content_type_is_passed_on => bytes_are_passed_on(0x03, "text/plain; ä".as_bytes());
        mqtt_3_3_4_1_a_publish_is_answered_as_its_qos_asks => answers_by_qos(V5);
        mqtt_3_3_4_6_a_subscription_identifier_from_a_client_ends_the_connection => no_subscription_identifier();
    }
}

fn qos_0_has_no_dup(version: u8) {
    let stile = gateway();
    expect_each_ends(&stile, version, 0x81, &[publish(version, 8, "a", 0, &[], "x")]);
    let mut client = subscriber(&stile, version, "me", "a", 0);
    client.send(&publish(version, 8 | 2, "a", 5, &[], "x"));
    let kinds = [client.packet(), client.packet()].map(|packet| (packet.kind(), packet.first & 0x0f));
    assert!(kinds.contains(&(3, 0)), "{kinds:?}");
}

fn dup_is_not_passed_on(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "a", 2);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    for flags in [8 | 2, 8 | 4] {
        other.send(&publish(version, flags, "a", 5, &[], "x"));
        let got = client.message();
        assert_eq!((got.dup, got.qos), (false, flags >> 1 & 3));
    }
}

fn qos_3_ends_it(version: u8) {
    let stile = gateway();
    let all: Vec<_> = [6, 7, 14, 15].map(|flags| publish(version, flags, "a", 1, &[], "x")).to_vec();
    expect_each_ends(&stile, version, 0x81, &all);
}

fn the_topic_comes_first(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "#", 0);
    client.send(&packet(0x30, &[&counted("x01")[..], &section(version, &[]), b"rest"].concat()));
    let got = client.message();
    assert_eq!((got.topic.as_str(), got.text.as_str()), ("x01", "rest"));
    let wrong =
        [&b"\xc3\x28"[..], b"\xff"].map(|topic| packet(0x30, &[counted(topic), section(version, &[])].concat()));
    let short = [packet(0x30, &[]), packet(0x30, &[0]), packet(0x30, &[0, 5, b'a'])];
    expect_each_ends(&stile, version, 0x81, &[wrong.to_vec(), short.to_vec()].concat());
}

fn no_wildcards_in_a_topic(version: u8) {
    let stile = gateway();
    let topics = ["+", "#", "a/+", "a/#", "a+", "a#b"];
    let all = topics.map(|topic| publish(version, 0, topic, 0, &[], "x"));
    expect_each_ends(&stile, version, 0x90, &all);
}

fn answers_by_qos(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    client.publish("a", &[], "no answer");
    client.expect_quiet();
    for (flags, first) in [(2, PUBACK), (4, PUBREC)] {
        client.send(&publish(version, flags, "a", 7, &[], "x"));
        assert_eq!(client.packet().first, first);
        client.expect_quiet();
    }
    client.send(&ack(PUBREL, 7));
    assert_eq!(client.packet().first, PUBCOMP);
}

fn not_allowed(version: u8) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "$SYS/mine", 0);
    let all = [0, 2, 4].map(|flags| publish(version, flags, "$SYS/mine", 1, &[], "x"));
    expect_each_ends(&stile, version, 0x87, &all);
    watcher.expect_quiet();
}

fn is_passed_on(bytes: &[u8], kind: u8, value: &Value) {
    let stile = gateway();
    let mut clients = [subscriber(&stile, V5, "one", "a", 0), subscriber(&stile, V5, "two", "#", 1)];
    RawClient::connect(stile.mqtt, V5, "other").publish("a", bytes, "x");
    for client in &mut clients {
        assert_eq!(client.message().property(kind), Some(value));
    }
}

fn bytes_are_passed_on(kind: u8, bytes: &[u8]) {
    is_passed_on(&[vec![kind], counted(bytes)].concat(), kind, &Value::Bytes(bytes.to_vec()));
}

fn property_is_text(kind: u8) {
    let stile = gateway();
    let all = [&b"\xff"[..], b"\xed\xa0\x80", b"a\0"];
    let all = all.map(|text| publish(V5, 0, "a", 0, &[vec![kind], counted(text)].concat(), "x"));
    expect_each_ends(&stile, V5, 0x81, &all);
}

fn no_wildcards_in_a_response_topic() {
    let stile = gateway();
    let all = ["+", "a/#"].map(|topic| publish(V5, 0, "a", 0, &[vec![0x08], counted(topic)].concat(), "x"));
    expect_each_ends(&stile, V5, 0x90, &all);
}

/// In front of the gateway's own, unaltered and in their order. What looks like one of those is left out, or a client
/// could forge them.
fn user_properties_are_passed_on() {
    let stile = gateway();
    let pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("ä", "\u{feff}")];
    let bytes: Vec<u8> =
        pairs.iter().flat_map(|(n, v)| [vec![USER_PROPERTY], counted(n), counted(v)].concat()).collect();
    let mut client = subscriber(&stile, V5, "me", "a", 0);
    let forged = [vec![USER_PROPERTY], counted("stile-origin"), counted("me")].concat();
    client.publish("a", &[forged, bytes].concat(), "x");
    let all = client.message().properties.into_iter().filter(|(kind, _)| *kind == USER_PROPERTY);
    let got: Vec<_> = all.map(|(_, pair)| pair).take(pairs.len()).collect();
    assert_eq!(got, pairs.map(|(name, value)| Value::Pair(name.to_owned(), value.to_owned())));
}

fn no_subscription_identifier() {
    let stile = gateway();
    expect_each_ends(&stile, V5, 0x82, &[publish(V5, 0, "a", 0, &[0x0b, 1], "x")]);
}

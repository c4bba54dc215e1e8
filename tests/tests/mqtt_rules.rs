//! The rules of MQTT that a subscriber notices: retained messages, expiry, limits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeSet;

use stile_tests::packet::{Connect, V5, V311, Value, ack, counted, publish};
use stile_tests::{RawClient, Stile, within};

const RETAIN_AS_PUBLISHED: u8 = 8;
const KEPT_IF_NEW: u8 = 0x10;
const KEPT_NEVER: u8 = 0x20;
const EXPIRY: u8 = 0x02;

fn expiry(seconds: u32) -> Vec<u8> {
    [&[EXPIRY][..], &seconds.to_be_bytes()].concat()
}

fn dropped(reason: &str) -> String {
    format!("stile_mqtt_deliveries_dropped_total{{reason=\"{reason}\"}}")
}

#[test]
fn the_retain_flag_is_passed_on_to_those_who_ask_for_it_and_set_on_what_was_kept() {
    let stile = Stile::start("");
    let mut as_published = RawClient::connect(stile.mqtt, V5, "as published");
    let mut usual = RawClient::connect(stile.mqtt, V5, "usual");
    as_published.subscribe(&[("a", RETAIN_AS_PUBLISHED)], &[]);
    usual.subscribe(&[("a", 0)], &[]);
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    other.publish_acked(true, "a", &[], "kept");
    other.publish_acked(false, "a", &[], "plain");
    let flags = |client: &mut RawClient| [client.message(), client.message()].map(|m| (m.text, m.retain));
    let expected = |first| [("kept".to_owned(), first), ("plain".to_owned(), false)];
    assert_eq!((flags(&mut as_published), flags(&mut usual)), (expected(true), expected(false)));
    for (version, id) in [(V311, "late 3.1.1"), (V5, "late 5")] {
        let mut late = RawClient::connect(stile.mqtt, version, id);
        late.subscribe(&[("a", 0)], &[]);
        let kept = late.message();
        assert_eq!((kept.text.as_str(), kept.retain), ("kept", true));
    }
}

#[test]
fn kept_messages_are_sent_always_for_new_subscriptions_or_never_as_asked() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    other.publish_acked(true, "a", &[], "kept");
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    for (options, comes) in [(KEPT_NEVER, false), (KEPT_IF_NEW, false), (0, true), (0, true), (KEPT_IF_NEW, false)] {
        client.subscribe(&[("a", options)], &[]);
        if comes {
            assert_eq!(client.message().text, "kept", "{options:02x}");
        }
        client.expect_nothing();
    }
    client.unsubscribe(&["a"]);
    client.subscribe(&[("a", KEPT_IF_NEW)], &[]);
    assert_eq!(client.message().text, "kept");
}

#[test]
fn a_wildcard_brings_every_kept_message_to_a_subscriber_at_qos_1_however_many() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    let count = 1500;
    for i in 0..count {
        other.publish_acked(true, &format!("kept/{i}"), &[], "x");
    }
    let mut client = RawClient::connect(stile.mqtt, V311, "me");
    client.subscribe(&[("kept/+", 1)], &[]);
    let got: BTreeSet<_> = (0..count).map(|_| client.next_acked().topic).collect();
    assert_eq!(got.len(), count);
}

#[test]
fn no_more_is_kept_than_the_settings_allow() {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "retained-messages = 3", "");
    let mut client = RawClient::connect(stile.mqtt, V311, "me");
    for i in 0..5 {
        client.publish_acked(true, &format!("{i}"), &[], "x");
    }
    assert_eq!(stile.metric("stile_mqtt_retained_messages"), 3.0);
    assert_eq!(stile.metric(&dropped("retained-full")), 2.0);
    client.publish_acked(true, "0", &[], "replaced");
    client.publish_acked(true, "1", &[], "");
    client.publish_acked(true, "4", &[], "now there is room");
    client.subscribe(&[("+", 0)], &[]);
    let got: BTreeSet<_> = (0..3).map(|_| client.message().text).collect();
    assert_eq!(got, ["replaced", "x", "now there is room"].map(str::to_owned).into());
}

#[test]
fn an_expiry_is_counted_down_and_what_has_expired_is_dropped_and_counted() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    let me = Connect::persistent(V5, "me");
    let mut client = RawClient::with(stile.mqtt, &me);
    client.subscribe(&[("a", 1)], &[]);
    other.publish_acked(false, "a", &expiry(1), "at once");
    assert_eq!(client.next_acked().number(EXPIRY), Some(1), "nothing has run off yet");
    client.cut();
    stile.wait_metric("stile_mqtt_connections", |n| n == 1.0);
    other.publish_acked(false, "a", &expiry(1), "too late");
    other.publish_acked(false, "a", &expiry(600), "in time");
    other.publish_acked(true, "kept", &expiry(1), "kept for a second");
    let mut late = RawClient::connect(stile.mqtt, V5, "late");
    within("the kept message expires", || {
        late.subscribe(&[("kept", 0)], &[]);
        late.send(&[0xc0, 0]);
        if late.packet().kind() == 3 {
            assert_eq!(late.packet().kind(), 13);
            return None;
        }
        Some(())
    });
    // The kept one may have expired on its way to the client that asked for it.
    let before = stile.metric(&dropped("expired"));
    let mut client = RawClient::with(stile.mqtt, &me);
    let message = client.next_acked();
    assert_eq!(message.text, "in time");
    assert!((1..600).contains(&message.number(EXPIRY).unwrap()), "{message:?}");
    client.expect_nothing();
    assert_eq!(stile.metric(&dropped("expired")) - before, 1.0);
}

#[test]
fn no_more_messages_are_in_flight_than_the_client_takes() {
    let stile = Stile::start("");
    let mut connect = Connect::new(V5, "me");
    connect.properties = vec![0x21, 0, 2];
    let mut client = RawClient::with(stile.mqtt, &connect);
    client.subscribe(&[("a", 1)], &[]);
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    for i in 0..5 {
        other.publish_acked(false, "a", &[], format!("{i}"));
    }
    let (first, second) = (client.message(), client.message());
    client.expect_nothing();
    client.send(&ack(0x40, second.id));
    assert_eq!(client.message().text, "2");
    client.expect_nothing();
    client.send(&ack(0x40, first.id));
    assert_eq!(client.message().text, "3");
    client.expect_nothing();
}

#[test]
fn a_packet_larger_than_the_client_takes_is_dropped_counted_and_nothing_else_is() {
    let stile = Stile::start("");
    let mut connect = Connect::new(V5, "me");
    connect.properties = vec![0x27, 0, 0, 1, 0];
    let mut client = RawClient::with(stile.mqtt, &connect);
    client.subscribe(&[("a", 1)], &[]);
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    other.publish_acked(false, "a", &[], "x".repeat(300));
    other.publish_acked(false, "a", &[], "small");
    assert_eq!(client.next_acked().text, "small");
    client.expect_nothing();
    assert_eq!(stile.metric(&dropped("too-large-for-client")), 1.0);
}

#[test]
fn connack_names_the_limits_the_assigned_id_and_the_servers_keep_alive() {
    let limits = "max-packet-size = 5000\nreceive-maximum = 7\nkeep-alive-max = \"30s\"\nsession-expiry-max = \"1h\"";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), limits, "");
    let connect = Connect { keep_alive: 600, ..Connect::persistent(V5, "") };
    let (_client, connack) = RawClient::meet(stile.mqtt, &connect);
    let properties = connack.connack_properties();
    let number = |kind| properties.iter().find_map(|(k, v)| (*k == kind).then_some(v.clone()));
    assert_eq!(number(0x27), Some(Value::Number(5000)));
    assert_eq!(number(0x21), Some(Value::Number(7)));
    assert_eq!(number(0x13), Some(Value::Number(30)));
    assert_eq!(number(0x11), Some(Value::Number(3600)));
    let Some(Value::Bytes(id)) = number(0x12) else { panic!("no assigned id: {properties:?}") };
    assert!(!id.is_empty());
    // Two nameless clients are two; in 3.1.1 the nameless must be clean.
    let _second = RawClient::connect(stile.mqtt, V311, "");
    assert_eq!(stile.metric("stile_mqtt_connections"), 2.0);
    let (_, refused) = RawClient::meet(stile.mqtt, &Connect::persistent(V311, ""));
    assert_eq!(refused.body, [0, 2], "identifier rejected");
}

#[test]
fn a_payload_that_claims_to_be_text_and_is_not_is_refused_with_its_reason() {
    let stile = Stile::start("");
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.send(&publish(V5, 2, "a", 4, &[0x01, 1], [0xff, 0xfe]));
    let puback = client.packet();
    assert_eq!((puback.first, puback.body[2]), (0x40, 0x99));
    let content_type = [vec![0x03], counted("text/plain")].concat();
    client.publish_acked(false, "a", &[vec![0x01, 1], content_type].concat(), "text");
}

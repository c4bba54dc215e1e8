//! CONNECT: the client identifier (3.1.3).

use stile_tests::RawClient;
use stile_tests::packet::{Connect, RawPacket, V5, V311, Value, counted};

use crate::common::*;

const ASSIGNED: u8 = 0x12;

statements! {
    v311 {
        mqtt_3_1_3_2_a_session_is_found_by_the_client_identifier => a_session_belongs_to_an_identifier(V311);
        mqtt_3_1_3_3_a_connect_without_identifier_ends_the_connection => the_identifier_is_there(V311);
        mqtt_3_1_3_4_an_identifier_that_is_no_utf_8_ends_the_connection => the_identifier_is_utf8(V311);
        mqtt_3_1_3_5_letters_and_digits_are_allowed => letters_and_digits(V311);
        mqtt_3_1_3_6_nameless_clients_are_served_and_kept_apart => nameless_clients_are_apart(V311);
        mqtt_3_1_3_8_a_nameless_client_that_wants_to_be_kept_is_refused => nameless_and_kept();
        mqtt_3_1_3_9_an_identifier_that_is_too_long_is_rejected_with_2 => too_long_an_identifier(V311, &[0, 2]);
    }
    v5 {
        mqtt_3_1_3_2_a_session_is_found_by_the_client_identifier => a_session_belongs_to_an_identifier(V5);
        mqtt_3_1_3_3_a_connect_without_identifier_ends_the_connection => the_identifier_is_there(V5);
        mqtt_3_1_3_4_an_identifier_that_is_no_utf_8_ends_the_connection => the_identifier_is_utf8(V5);
        mqtt_3_1_3_5_letters_and_digits_are_allowed => letters_and_digits(V5);
        mqtt_3_1_3_6_nameless_clients_are_served_and_kept_apart => nameless_clients_are_apart(V5);
        mqtt_3_1_3_7_the_assigned_identifier_finds_the_session_again => an_assigned_identifier_is_the_clients();
        mqtt_3_1_3_8_an_identifier_that_is_too_long_is_rejected_with_85 => too_long_an_identifier(V5, &[0, 0x85, 0]);
        mqtt_3_2_2_16_each_nameless_client_is_told_a_new_identifier => assigned_identifiers_differ();
    }
}

fn a_session_belongs_to_an_identifier(version: u8) {
    let stile = gateway();
    let mine = away(&stile, version, "a", 1);
    for other in ["Away", "away ", "awa"] {
        let (_client, present) = come_back(&stile, &Connect::persistent(version, other));
        assert!(!present, "{other:?}");
    }
    assert!(come_back(&stile, &mine).1);
}

fn the_identifier_is_there(version: u8) {
    let stile = gateway();
    expect_refused(&stile, version, &raw_connect(version, CLEAN, &[]), 0x81);
    // What comes first is the identifier: a will topic alone is taken for it, and the will is then cut short.
    let will = will_fields(version, b"gone", b"x");
    expect_refused(&stile, version, &raw_connect(version, CLEAN | WILL, &[will]), 0x81);
}

fn the_identifier_is_utf8(version: u8) {
    let stile = gateway();
    for id in [&b"\xff"[..], b"a\xc0\xaf", b"\xed\xa0\x80", b"\0"] {
        expect_refused(&stile, version, &raw_connect(version, CLEAN, &[counted(id)]), 0x81);
    }
}

fn letters_and_digits(version: u8) {
    let stile = gateway();
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for at in 0..all.len() {
        RawClient::connect(stile.mqtt, version, &all[at..=at]).cut();
        RawClient::connect(stile.mqtt, version, &all[at.saturating_sub(23)..at.max(1)]).cut();
    }
}

fn nameless_clients_are_apart(version: u8) {
    let stile = gateway();
    let mut first = subscriber(&stile, version, "", "a", 0);
    let mut second = subscriber(&stile, version, "", "a", 0);
    second.publish("a", &[], "x");
    assert_eq!((first.message().text, second.message().text), ("x".to_owned(), "x".to_owned()));
}

fn nameless_and_kept() {
    let stile = gateway();
    let packets = answer(&stile, V311, &Connect::persistent(V311, "").bytes());
    assert_eq!(packets, [RawPacket { first: 0x20, body: vec![0, 2] }]);
}

fn too_long_an_identifier(version: u8, expected: &[u8]) {
    let stile = gateway();
    let packets = answer(&stile, version, &Connect::new(version, &"x".repeat(2000)).bytes());
    assert_eq!(packets, [RawPacket { first: 0x20, body: expected.to_vec() }]);
}

fn assigned(connack: &RawPacket) -> String {
    let properties = connack.connack_properties();
    let found = properties.into_iter().find(|(kind, _)| *kind == ASSIGNED);
    let Some((_, Value::Bytes(id))) = found else { panic!("no identifier in {connack:02x?}") };
    String::from_utf8(id).unwrap()
}

fn an_assigned_identifier_is_the_clients() {
    let stile = gateway();
    let (client, connack) = RawClient::meet(stile.mqtt, &Connect::persistent(V5, ""));
    let id = assigned(&connack);
    client.disconnect();
    assert!(come_back(&stile, &Connect::persistent(V5, &id)).1);
}

fn assigned_identifiers_differ() {
    let stile = gateway();
    let (_first, one) = RawClient::meet(stile.mqtt, &Connect::new(V5, ""));
    let (_second, two) = RawClient::meet(stile.mqtt, &Connect::new(V5, ""));
    assert_ne!(assigned(&one), assigned(&two));
    assert_eq!(stile.metric("stile_mqtt_connections"), 2.0);
    let (_named, three) = RawClient::meet(stile.mqtt, &Connect::new(V5, "me"));
    assert!(three.connack_properties().iter().all(|(kind, _)| *kind != ASSIGNED));
}

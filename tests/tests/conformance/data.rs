//! Data on the wire: texts, lengths, flags, packet identifiers, property sections (1.5, 2.1, 2.2, 2.3).

use stile_tests::RawClient;
use stile_tests::packet::{V5, V311, ack, counted, packet, publish, section, subscribe, unsubscribe};

use crate::common::*;

statements! {
    v311 {
        mqtt_1_5_3_1_text_that_is_no_utf_8_ends_the_connection => text_is_utf8(V311);
        mqtt_1_5_3_2_a_nul_ends_the_connection => text_has_no_nul(V311);
        mqtt_1_5_3_3_a_byte_order_mark_is_kept => a_byte_order_mark_is_kept(V311);
        mqtt_2_2_2_1_reserved_flags_that_are_sent_have_their_values => first_bytes_that_are_sent(V311);
        mqtt_2_2_2_2_invalid_flags_end_the_connection => flags_are_checked(V311);
        mqtt_2_3_1_1_identifier_0_ends_the_connection => identifiers_are_not_0(V311);
        mqtt_2_3_1_4_identifiers_of_the_server_are_not_0_and_not_in_use => server_identifiers_are_unused(V311);
        mqtt_2_3_1_5_qos_0_has_no_identifier => qos_0_has_no_identifier(V311);
        mqtt_2_3_1_6_acknowledgements_repeat_the_identifier => acknowledgements_repeat_the_identifier(V311);
        mqtt_2_3_1_7_suback_and_unsuback_repeat_the_identifier => answers_repeat_the_identifier(V311);
    }
    v5 {
        mqtt_1_5_4_1_text_that_is_no_utf_8_is_malformed => text_is_utf8(V5);
        mqtt_1_5_4_2_a_nul_is_malformed => text_has_no_nul(V5);
        mqtt_1_5_4_3_a_byte_order_mark_is_kept => a_byte_order_mark_is_kept(V5);
        mqtt_1_5_5_1_lengths_are_as_short_as_can_be => lengths_are_short();
        mqtt_1_5_7_1_both_halves_of_a_pair_are_texts => pairs_are_texts();
        mqtt_2_1_3_1_reserved_flags_have_their_values => flags_are_checked(V5);
        mqtt_2_2_1_2_qos_0_has_no_identifier => qos_0_has_no_identifier(V5);
        mqtt_2_2_1_3_identifier_0_ends_the_connection => identifiers_are_not_0(V5);
        mqtt_2_2_1_4_identifiers_of_the_server_are_not_0_and_not_in_use => server_identifiers_are_unused(V5);
        mqtt_2_2_1_5_acknowledgements_repeat_the_identifier => acknowledgements_repeat_the_identifier(V5);
        mqtt_2_2_1_6_suback_and_unsuback_repeat_the_identifier => answers_repeat_the_identifier(V5);
        mqtt_2_2_2_1_no_properties_are_a_length_of_0 => no_properties_are_a_length_of_0();
    }
}

/// In each packet of a client that has a text.
fn with_text(version: u8, text: &[u8]) -> Vec<Vec<u8>> {
    let none = section(version, &[]);
    vec![
        packet(0x30, &[counted(text), none.clone()].concat()),
        packet(0x82, &[vec![0, 1], none.clone(), counted(text), vec![0]].concat()),
        packet(0xa2, &[vec![0, 1], none, counted(text)].concat()),
    ]
}

fn text_is_utf8(version: u8) {
    let stile = gateway();
    for text in [&b"\xff"[..], b"a\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80"] {
        expect_each_ends(&stile, version, 0x81, &with_text(version, text));
    }
}

fn text_has_no_nul(version: u8) {
    let stile = gateway();
    for text in [&b"\0"[..], b"a\0b"] {
        expect_each_ends(&stile, version, 0x81, &with_text(version, text));
    }
}

fn a_byte_order_mark_is_kept(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "\u{feff}a/+", 0);
    client.publish("a/b", &[], "without");
    client.publish("\u{feff}a/\u{feff}", &[], "with");
    let got = client.message();
    assert_eq!((got.topic.as_str(), got.text.as_str()), ("\u{feff}a/\u{feff}", "with"));
    client.expect_quiet();
}

/// One of each packet that the server sends, but PUBLISH.
fn first_bytes_that_are_sent(version: u8) {
    let stile = gateway();
    let mut client = RawClient::open(stile.mqtt, version);
    let mut next = |bytes: &[u8]| {
        client.send(bytes);
        client.packet()
    };
    assert_eq!(next(&stile_tests::packet::Connect::new(version, "me").bytes()).first, 0x20);
    assert_eq!(next(&subscribe(version, &[("a", 2)], &[])).first, 0x90);
    assert_eq!(next(&publish(version, 2, "b", 1, &[], "")).first, PUBACK);
    assert_eq!(next(&publish(version, 4, "b", 2, &[], "")).first, PUBREC);
    assert_eq!(next(&ack(PUBREL, 2)).first, PUBCOMP);
    assert_eq!(next(&publish(version, 4, "a", 3, &[], "")).kind() & 1, 1, "PUBREC or PUBLISH");
    assert_eq!(client.packet().kind() & 1, 1, "the other one");
    client.send(&ack(PUBREC, 1));
    assert_eq!(client.packet().first, PUBREL);
    client.send(&unsubscribe(version, &["a"]));
    assert_eq!(client.packet().first, 0xb0);
    client.expect_quiet();
}

fn flags_are_checked(version: u8) {
    let stile = gateway();
    let good = [
        ack(PUBACK, 1),
        ack(PUBREC, 1),
        ack(PUBREL, 1),
        ack(PUBCOMP, 1),
        subscribe(version, &[("a", 0)], &[]),
        unsubscribe(version, &["a"]),
        vec![0xc0, 0],
    ];
    for bytes in good {
        let wrong: Vec<_> = (1..16).map(|flip| [vec![bytes[0] ^ flip], bytes[1..].to_vec()].concat()).collect();
        expect_each_ends(&stile, version, 0x81, &wrong);
    }
    if version == V5 {
        first_bytes_that_are_sent(V5);
    }
}

fn identifiers_are_not_0(version: u8) {
    let stile = gateway();
    let none = section(version, &[]);
    let zero = [
        publish(version, 2, "a", 0, &[], ""),
        publish(version, 4, "a", 0, &[], ""),
        packet(0x82, &[vec![0, 0], none.clone(), counted("a"), vec![0]].concat()),
        packet(0xa2, &[vec![0, 0], none, counted("a")].concat()),
    ];
    expect_each_ends(&stile, version, 0x82, &zero);
}

fn server_identifiers_are_unused(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "a", 2);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    let mut in_use = std::collections::BTreeSet::new();
    for _ in 0..20 {
        other.publish_acked(false, "a", &[], "x");
        let id = client.message().id;
        assert!(id != 0 && in_use.insert(id), "{id} of {in_use:?}");
    }
}

/// Byte for byte: where an identifier would stand, the payload does.
fn qos_0_has_no_identifier(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "a", 1);
    client.publish("a", &[], "\0\x01text");
    let got = client.packet();
    assert_eq!((got.first, &got.body[..3]), (0x30, &[0, 1, b'a'][..]));
    assert_eq!(got.publish(version).text, "\0\x01text");
}

fn acknowledgements_repeat_the_identifier(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "a", 2);
    for id in [1_u16, 0x0102, 0xffff] {
        let bytes = id.to_be_bytes();
        for (sent, first) in
            [(publish(version, 2, "b", id, &[], ""), PUBACK), (publish(version, 4, "b", id, &[], ""), PUBREC)]
        {
            client.send(&sent);
            let got = client.packet();
            assert_eq!((got.first, &got.body[..2]), (first, &bytes[..]));
        }
        client.send(&ack(PUBREL, id));
        let got = client.packet();
        assert_eq!((got.first, &got.body[..2]), (PUBCOMP, &bytes[..]));
    }
    RawClient::connect(stile.mqtt, version, "other").send(&publish(version, 4, "a", 1, &[], ""));
    let id = client.message().id;
    client.send(&ack(PUBREC, id));
    let got = client.packet();
    assert_eq!((got.first, &got.body[..2]), (PUBREL, &id.to_be_bytes()[..]));
}

fn answers_repeat_the_identifier(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    let none = section(version, &[]);
    for id in [1_u16, 0x0102, 0xffff] {
        let bytes = id.to_be_bytes().to_vec();
        client.send(&packet(0x82, &[bytes.clone(), none.clone(), counted("a"), vec![0]].concat()));
        assert_eq!(client.packet().body[..2], bytes);
        client.send(&packet(0xa2, &[bytes.clone(), none.clone(), counted("a")].concat()));
        assert_eq!(client.packet().body[..2], bytes);
    }
}

fn lengths_are_short() {
    let stile = gateway();
    let long_properties = [counted("a"), vec![0x80, 0]].concat();
    let long = [vec![0xc0, 0x80, 0], packet(0x30, &long_properties)];
    expect_each_ends(&stile, V5, 0x81, &long);
    let mut client = subscriber(&stile, V5, "me", "a", 0);
    client.publish("a", &[], "x".repeat(127 - 4));
    assert_eq!(client.message().text.len(), 127 - 4);
}

fn pairs_are_texts() {
    let stile = gateway();
    let pair = |name: &[u8], value: &[u8]| [vec![0x26], counted(name), counted(value)].concat();
    for wrong in [&b"\xff"[..], b"\xed\xa0\x80", b"a\0"] {
        let pairs = [pair(wrong, b"a"), pair(b"a", wrong)];
        let packets = pairs.map(|properties| publish(V5, 0, "a", 0, &properties, ""));
        expect_each_ends(&stile, V5, 0x81, &packets);
    }
}

fn no_properties_are_a_length_of_0() {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.send(&subscribe(V5, &[("a", 0)], &[]));
    assert_eq!(client.packet().body, [0, 1, 0, 0]);
    client.send(&unsubscribe(V5, &["a"]));
    assert_eq!(client.packet().body, [0, 2, 0, 0]);
    // A packet that ends before the length of its properties is cut short.
    let cut = [packet(0x30, &counted("a")), packet(0x82, &[0, 1]), packet(0xa2, &[0, 1])];
    expect_each_ends(&stile, V5, 0x81, &cut);
}

//! SUBSCRIBE and SUBACK (3.8, 3.9), and subscriptions that overlap (3.3.4, 3.3.5).

use stile_tests::packet::{RawPacket, V5, V311, Value, ack, counted, packet, publish, section, subscribe};
use stile_tests::{RawClient, Stile};

use crate::common::*;

const SUBSCRIPTION_ID: u8 = 0x0b;
const NO_LOCAL: u8 = 4;

statements! {
    v311 {
        mqtt_3_3_5_1_overlapping_subscriptions_deliver_at_the_highest_qos => overlapping(V311);
        mqtt_3_8_1_1_flags_of_subscribe_are_checked => flags_of_subscribe(V311);
        mqtt_3_8_3_1_a_filter_that_is_no_utf_8_ends_the_connection => filters_are_utf8(V311);
        mqtt_3_8_3_3_a_subscribe_without_filter_ends_the_connection => one_filter_at_least(V311);
        mqtt_3_8_3_4_reserved_bits_and_qos_3_end_the_connection => reserved_bits_311();
        mqtt_3_8_4_1_a_subscribe_is_answered => a_subscribe_is_answered(V311);
        mqtt_3_8_4_2_the_answer_has_its_identifier => a_subscribe_is_answered(V311);
        mqtt_3_8_4_3_the_same_filter_again_replaces_the_subscription => the_same_filter_replaces(V311);
        mqtt_3_8_4_4_several_filters_have_one_answer => several_filters(V311);
        mqtt_3_8_4_5_each_filter_has_a_code => each_filter_has_its_code(V311, 0x80, 0x80);
        mqtt_3_8_4_6_delivery_is_at_the_lower_qos => the_lower_qos(V311);
        mqtt_3_9_3_1_codes_come_in_order => each_filter_has_its_code(V311, 0x80, 0x80);
        mqtt_3_9_3_2_a_failure_is_80 => each_filter_has_its_code(V311, 0x80, 0x80);
    }
    v5 {
        mqtt_3_3_4_2_overlapping_subscriptions_deliver_at_the_highest_qos => overlapping(V5);
        mqtt_3_3_4_3_subscription_identifiers_are_sent => subscription_identifiers();
        mqtt_3_3_4_5_each_copy_has_its_own_identifier => subscription_identifiers();
        mqtt_3_8_1_1_flags_of_subscribe_are_checked => flags_of_subscribe(V5);
        mqtt_3_8_3_1_a_filter_that_is_no_utf_8_ends_the_connection => filters_are_utf8(V5);
        mqtt_3_8_3_2_a_subscribe_without_filter_ends_the_connection => one_filter_at_least(V5);
        mqtt_3_8_3_3_no_local_keeps_own_messages_away => no_local();
        mqtt_3_8_3_5_reserved_bits_are_malformed => reserved_bits_5();
        mqtt_3_8_4_1_a_subscribe_is_answered => a_subscribe_is_answered(V5);
        mqtt_3_8_4_2_the_answer_has_its_identifier => a_subscribe_is_answered(V5);
        mqtt_3_8_4_3_the_same_filter_again_replaces_the_subscription => the_same_filter_replaces(V5);
        mqtt_3_8_4_4_nothing_is_lost_by_replacing => nothing_is_lost_by_replacing();
        mqtt_3_8_4_5_several_filters_have_one_answer => several_filters(V5);
        mqtt_3_8_4_6_each_filter_has_a_code => each_filter_has_its_code(V5, 0x8f, 0x97);
        mqtt_3_8_4_7_a_code_grants_or_refuses => each_filter_has_its_code(V5, 0x8f, 0x97);
        mqtt_3_8_4_8_delivery_is_at_the_lower_qos => the_lower_qos(V5);
        mqtt_3_9_3_1_codes_come_in_order => each_filter_has_its_code(V5, 0x8f, 0x97);
        mqtt_3_9_3_2_codes_are_of_the_table => each_filter_has_its_code(V5, 0x8f, 0x97);
    }
}

fn overlapping(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    client.subscribe(&[("a/#", 0), ("a/+", 2), ("a/b", 1)], &[]);
    RawClient::connect(stile.mqtt, version, "other").send(&publish(version, 4, "a/b", 1, &[], "x"));
    let mut got: Vec<_> = (0..3).map(|_| client.message().qos).collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2], "a copy for each");
    client.expect_quiet();
}

fn subscription_identifiers() {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.subscribe(&[("a/#", 0)], &[SUBSCRIPTION_ID, 1]);
    client.subscribe(&[("a/+", 0)], &[SUBSCRIPTION_ID, 0xff, 0xff, 0xff, 0x7f]);
    client.subscribe(&[("a/b", 0)], &[]);
    client.publish("a/b", &[], "x");
    let ids = |client: &mut RawClient| {
        let all = client.message().properties.into_iter().filter(|(kind, _)| *kind == SUBSCRIPTION_ID);
        all.map(|(_, value)| if let Value::Number(id) = value { id } else { 0 }).collect::<Vec<_>>()
    };
    let mut got: Vec<_> = (0..3).map(|_| ids(&mut client)).collect();
    got.sort();
    assert_eq!(got, [vec![], vec![1], vec![268_435_455]]);
}

fn flags_of_subscribe(version: u8) {
    let stile = gateway();
    let good = subscribe(version, &[("a", 0)], &[]);
    let flags = (0..16).filter(|flags| *flags != 2);
    let all: Vec<_> = flags.map(|flags| [vec![0x80 | flags], good[1..].to_vec()].concat()).collect();
    expect_each_ends(&stile, version, 0x81, &all);
}

fn filters_are_utf8(version: u8) {
    let stile = gateway();
    let wrong = |filter: &[u8]| packet(0x82, &[vec![0, 1], section(version, &[]), counted(filter), vec![0]].concat());
    expect_each_ends(&stile, version, 0x81, &[wrong(b"\xff"), wrong(b"\xed\xa0\x80"), wrong(b"a/\xc0\xaf")]);
}

fn one_filter_at_least(version: u8) {
    let stile = gateway();
    expect_each_ends(&stile, version, 0x82, &[subscribe(version, &[], &[])]);
}

fn reserved_bits_311() {
    let stile = gateway();
    let all: Vec<_> = (3..=255).map(|options| subscribe(V311, &[("a", options)], &[])).collect();
    expect_each_ends(&stile, V311, 0, &all);
}

fn reserved_bits_5() {
    let stile = gateway();
    let all = [0x40, 0x80, 0xc0, 0x41].map(|options| subscribe(V5, &[("b", 0), ("a", options)], &[]));
    expect_each_ends(&stile, V5, 0x81, &all);
    let protocol_errors = [0x03, 0x30].map(|options| subscribe(V5, &[("a", options)], &[]));
    expect_each_ends(&stile, V5, 0x82, &protocol_errors);
}

fn no_local() {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.subscribe(&[("a", NO_LOCAL | 1)], &[]);
    client.publish_acked(false, "a", &[], "mine");
    client.expect_quiet();
    RawClient::connect(stile.mqtt, V5, "other").publish_acked(false, "a", &[], "another's");
    assert_eq!(client.next_acked().text, "another's");
}

fn a_subscribe_is_answered(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    for id in [1_u16, 0x0203, 0xffff] {
        let body = [id.to_be_bytes().to_vec(), section(version, &[]), counted("a"), vec![2]].concat();
        client.send(&packet(0x82, &body));
        let expected = [id.to_be_bytes().to_vec(), section(version, &[]), vec![2]].concat();
        assert_eq!(client.packet(), RawPacket { first: 0x90, body: expected });
    }
}

fn the_same_filter_replaces(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.publish_acked(true, "a", &[], "kept");
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    for qos in [2, 0, 1] {
        assert_eq!(client.subscribe(&[("a", qos)], &[]), [qos]);
        let kept = client.next_acked();
        assert_eq!((kept.text.as_str(), kept.qos), ("kept", qos.min(1)));
        other.publish_acked(false, "a", &[], "live");
        assert_eq!(client.next_acked().qos, qos.min(1));
        client.expect_quiet();
    }
}

/// Somebody publishes all along.
fn nothing_is_lost_by_replacing() {
    let stile = gateway();
    let mut client = subscriber(&stile, V5, "me", "a", 1);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    let all: Vec<u8> = (1..=200_u16).flat_map(|n| publish(V5, 2, "a", n, &[], n.to_string())).collect();
    other.send(&all);
    let mut next = 1;
    while next <= 200 {
        if next % 10 == 0 {
            client.send(&subscribe(V5, &[("a", 1)], &[]));
        }
        let mut packet = client.packet();
        while packet.kind() == 9 {
            packet = client.packet();
        }
        let message = packet.publish(V5);
        assert_eq!(message.text, next.to_string());
        client.send(&ack(PUBACK, message.id));
        next += 1;
    }
}

fn several_filters(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.publish_acked(true, "b", &[], "kept");
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    // The last one for a filter counts.
    assert_eq!(client.subscribe(&[("a", 0), ("b", 2), ("a", 1)], &[]), [0, 2, 1]);
    assert_eq!(client.next_acked().text, "kept");
    other.publish_acked(false, "a", &[], "x");
    assert_eq!(client.next_acked().qos, 1);
    client.expect_quiet();
}

/// Too deep a filter and one filter too many are refused by themselves.
fn each_filter_has_its_code(version: u8, too_deep: u8, too_many: u8) {
    let limits = "subscriptions-per-client = 3\nmax-topic-levels = 4";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), limits, "");
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    let filters = [("a", 2), ("1/2/3/4/5", 0), ("b", 0), ("c", 1), ("d", 0), ("a", 1)];
    assert_eq!(client.subscribe(&filters, &[]), [2, too_deep, 0, 1, too_many, 1]);
}

fn the_lower_qos(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    for granted in 0..3 {
        let mut client = subscriber(&stile, version, "me", "a", granted);
        for published in 0..3 {
            other.send(&publish(version, published << 1, "a", 1 + u16::from(published), &[], "x"));
            assert_eq!(client.message().qos, granted.min(published));
            if published > 0 {
                other.packet();
            }
            if published == 2 {
                other.send(&ack(PUBREL, 3));
                assert_eq!(other.packet().first, PUBCOMP);
            }
        }
        client.disconnect();
    }
}

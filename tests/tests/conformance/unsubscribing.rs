//! UNSUBSCRIBE and UNSUBACK (3.10, 3.11).

use stile_tests::RawClient;
use stile_tests::packet::{Connect, RawPacket, V5, V311, ack, counted, packet, publish, section, unsubscribe};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_10_1_1_flags_of_unsubscribe_are_checked => flags_of_unsubscribe(V311);
        mqtt_3_10_3_1_a_filter_that_is_no_utf_8_ends_the_connection => filters_are_utf8(V311);
        mqtt_3_10_3_2_an_unsubscribe_without_filter_ends_the_connection => one_filter_at_least(V311);
        mqtt_3_10_4_1_filters_are_compared_by_character => filters_are_compared_by_character(V311);
        mqtt_3_10_4_2_nothing_new_is_added => nothing_new_is_added(V311);
        mqtt_3_10_4_3_what_had_begun_is_completed => what_had_begun_is_completed(V311);
        mqtt_3_10_4_4_an_unsubscribe_is_answered_with_its_identifier => an_unsubscribe_is_answered(V311);
        mqtt_3_10_4_5_so_is_one_that_ends_nothing => an_unsubscribe_is_answered(V311);
        mqtt_3_10_4_6_several_filters_have_one_answer => several_filters(V311);
    }
    v5 {
        mqtt_3_10_1_1_flags_of_unsubscribe_are_checked => flags_of_unsubscribe(V5);
        mqtt_3_10_3_1_a_filter_that_is_no_utf_8_ends_the_connection => filters_are_utf8(V5);
        mqtt_3_10_3_2_an_unsubscribe_without_filter_ends_the_connection => one_filter_at_least(V5);
        mqtt_3_10_4_1_filters_are_compared_by_character => filters_are_compared_by_character(V5);
        mqtt_3_10_4_2_nothing_new_is_added => nothing_new_is_added(V5);
        mqtt_3_10_4_3_what_had_begun_is_completed => what_had_begun_is_completed(V5);
        mqtt_3_10_4_4_an_unsubscribe_is_answered => an_unsubscribe_is_answered(V5);
        mqtt_3_10_4_5_so_is_one_that_ends_nothing => an_unsubscribe_is_answered(V5);
        mqtt_3_10_4_6_several_filters_have_one_answer => several_filters(V5);
        mqtt_3_11_3_1_codes_come_in_order => several_filters(V5);
        mqtt_3_11_3_2_codes_are_of_the_table => several_filters(V5);
    }
}

fn flags_of_unsubscribe(version: u8) {
    let stile = gateway();
    let good = unsubscribe(version, &["a"]);
    let flags = (0..16).filter(|flags| *flags != 2);
    let all: Vec<_> = flags.map(|flags| [vec![0xa0 | flags], good[1..].to_vec()].concat()).collect();
    expect_each_ends(&stile, version, 0x81, &all);
}

fn filters_are_utf8(version: u8) {
    let stile = gateway();
    let wrong = |filter: &[u8]| packet(0xa2, &[vec![0, 1], section(version, &[]), counted(filter)].concat());
    expect_each_ends(&stile, version, 0x81, &[wrong(b"\xff"), wrong(b"\xed\xa0\x80"), wrong(b"a/\xc0\xaf")]);
}

fn one_filter_at_least(version: u8) {
    let stile = gateway();
    expect_each_ends(&stile, version, 0x82, &[unsubscribe(version, &[])]);
}

fn filters_are_compared_by_character(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "a/+", 0);
    client.unsubscribe(&["a/b", "a/#", "#", "A/+", "a/+/", "+/+"]);
    client.publish("a/b", &[], "still there");
    assert_eq!(client.message().text, "still there");
    client.unsubscribe(&["a/+"]);
    client.publish("a/b", &[], "gone");
    client.expect_quiet();
}

fn nothing_new_is_added(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "a", 1);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.publish_acked(false, "a", &[], "before");
    assert_eq!(client.next_acked().text, "before");
    client.unsubscribe(&["a"]);
    for _ in 0..3 {
        other.publish_acked(false, "a", &[], "after");
    }
    client.expect_quiet();
}

/// Even over a broken connection.
fn what_had_begun_is_completed(version: u8) {
    let stile = gateway();
    let connect = Connect::persistent(version, "me");
    let (mut client, _) = come_back(&stile, &connect);
    client.subscribe(&[("a", 2)], &[]);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.publish_acked(false, "a", &[], "one");
    other.send(&publish(version, 4, "a", 1, &[], "two"));
    let sent = [client.message(), client.message()];
    client.unsubscribe(&["a"]);
    client.cut();
    wait_connections(&stile, 1);
    let (mut client, present) = come_back(&stile, &connect);
    assert!(present);
    let again = [client.message(), client.message()];
    assert_eq!(again.each_ref().map(|m| (m.id, &m.text)), sent.each_ref().map(|m| (m.id, &m.text)));
    client.send(&ack(PUBACK, sent[0].id));
    client.send(&ack(PUBREC, sent[1].id));
    assert_eq!(client.packet().first, PUBREL);
    client.send(&ack(PUBCOMP, sent[1].id));
    client.expect_quiet();
}

fn an_unsubscribe_is_answered(version: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "a", 0);
    let code = |code: u8| if version == V5 { vec![0, code] } else { vec![] };
    for (id, existed) in [(1_u16, true), (0x0203, false), (0xffff, false)] {
        client.send(&packet(0xa2, &[id.to_be_bytes().to_vec(), section(version, &[]), counted("a")].concat()));
        let expected = [id.to_be_bytes().to_vec(), code(if existed { 0 } else { 0x11 })].concat();
        assert_eq!(client.packet(), RawPacket { first: 0xb0, body: expected });
    }
}

fn several_filters(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    client.subscribe(&[("a", 0), ("b", 0), ("c", 0)], &[]);
    let codes = client.unsubscribe(&["a", "x", "b", "a"]);
    let expected: &[u8] = if version == V5 { &[0, 0, 0x11, 0, 0x11] } else { &[] };
    assert_eq!(codes, expected);
    for topic in ["a", "b", "c"] {
        client.publish(topic, &[], topic);
    }
    assert_eq!(client.message().text, "c");
    client.expect_quiet();
}

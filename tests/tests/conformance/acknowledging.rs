//! What a client publishes at QoS 1 and 2, step by step (3.4 to 3.7, 4.3.2, 4.3.3, 4.6).

use stile_tests::packet::{Connect, RawPacket, V5, V311, ack, packet, publish};
use stile_tests::{RawClient, Stile};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_6_1_1_flags_of_pubrel_are_checked => flags_of_pubrel(V311);
        mqtt_4_3_2_2_qos_1_is_answered_and_its_identifier_free_again => qos_1_is_taken(V311);
        mqtt_4_3_3_2_qos_2_is_taken_once => qos_2_is_taken_once(V311);
        mqtt_4_6_0_2_pubacks_come_in_order => answers_come_in_order(V311, 2, PUBACK);
        mqtt_4_6_0_3_pubrecs_come_in_order => answers_come_in_order(V311, 4, PUBREC);
    }
    v5 {
        mqtt_3_4_2_1_puback_has_codes_of_its_table => codes_of_the_answer(2, PUBACK);
        mqtt_3_5_2_1_pubrec_has_codes_of_its_table => codes_of_the_answer(4, PUBREC);
        mqtt_3_6_1_1_flags_of_pubrel_are_checked => flags_of_pubrel(V5);
        mqtt_3_6_2_1_pubrel_has_codes_of_its_table => codes_of_pubrel();
        mqtt_3_7_2_1_pubcomp_has_codes_of_its_table => codes_of_pubcomp();
        mqtt_3_1_2_29_without_problem_information_answers_are_bare => answers_are_bare();
        mqtt_4_3_2_4_qos_1_is_answered_with_puback => qos_1_is_taken(V5);
        mqtt_4_3_2_5_after_puback_the_identifier_is_free_again => qos_1_is_taken(V5);
        mqtt_4_3_3_8_qos_2_is_answered_with_pubrec => qos_2_is_taken_once(V5);
        mqtt_4_3_3_9_a_refused_identifier_is_free_again => a_refused_identifier_is_free();
        mqtt_4_3_3_10_qos_2_is_delivered_once => qos_2_is_taken_once(V5);
        mqtt_4_3_3_11_pubrel_is_answered_with_pubcomp => qos_2_is_taken_once(V5);
        mqtt_4_3_3_12_after_pubcomp_the_identifier_is_free_again => qos_2_is_taken_once(V5);
        mqtt_4_3_3_13_the_steps_go_on_although_the_message_has_expired => steps_outlive_the_message();
    }
}

fn flags_of_pubrel(version: u8) {
    let stile = gateway();
    let all: Vec<_> = (0..16).filter(|flags| *flags != 2).map(|flags| packet(0x60 | flags, &[0, 1])).collect();
    expect_each_ends(&stile, version, 0x81, &all);
}

fn qos_1_is_taken(version: u8) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "a", 1);
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    for (dup, text) in [(0, "one"), (0, "two"), (8, "three")] {
        client.send(&publish(version, dup | 2, "a", 77, &[], text));
        let answer = client.packet();
        assert_eq!((answer.first, &answer.body[..2]), (PUBACK, &[0, 77][..]));
        assert_eq!(watcher.next_acked().text, text);
    }
}

/// Also when the connection breaks in between.
fn qos_2_is_taken_once(version: u8) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "a", 0);
    let connect = Connect::persistent(version, "me");
    let mut client = RawClient::with(stile.mqtt, &connect);
    let send = |client: &mut RawClient, bytes: &[u8], first: u8| {
        client.send(bytes);
        let answer = client.packet();
        assert_eq!((answer.first, &answer.body[..2], answer.body.get(2).unwrap_or(&0)), (first, &[0, 77][..], &0));
    };
    for dup in [0, 8, 8] {
        send(&mut client, &publish(version, dup | 4, "a", 77, &[], "one"), PUBREC);
    }
    client.cut();
    wait_connections(&stile, 1);
    let (mut client, present) = come_back(&stile, &connect);
    assert!(present);
    send(&mut client, &publish(version, 8 | 4, "a", 77, &[], "one"), PUBREC);
    send(&mut client, &ack(PUBREL, 77), PUBCOMP);
    assert_eq!(watcher.message().text, "one");
    watcher.expect_quiet();
    send(&mut client, &publish(version, 4, "a", 77, &[], "two"), PUBREC);
    send(&mut client, &ack(PUBREL, 77), PUBCOMP);
    assert_eq!(watcher.message().text, "two");
    watcher.expect_quiet();
}

fn answers_come_in_order(version: u8, flags: u8, first: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    let ids = [9, 3, 7, 1, 0xffff];
    let all: Vec<u8> = ids.iter().flat_map(|id| publish(version, flags, "a", *id, &[], "x")).collect();
    client.send(&all);
    for id in ids {
        assert_eq!(client.packet(), RawPacket { first, body: id.to_be_bytes().to_vec() });
    }
}

/// Taken, not allowed, no text although it is said to be.
fn refused_and_taken(stile: &Stile, connect: &Connect, flags: u8) -> Vec<RawPacket> {
    let mut client = RawClient::with(stile.mqtt, connect);
    client.send(&publish(V5, flags, "a", 1, &[], "x"));
    client.send(&publish(V5, flags, "$SYS/a", 2, &[], "x"));
    client.send(&publish(V5, flags, "a", 3, &[1, 1], b"\xff"));
    (0..3).map(|_| client.packet()).collect()
}

fn codes_of_the_answer(flags: u8, first: u8) {
    let stile = gateway();
    let answers = refused_and_taken(&stile, &Connect::new(V5, "me"), flags);
    let bodies = [&[0, 1][..], &[0, 2, 0x87], &[0, 3, 0x99]];
    assert_eq!(answers, bodies.map(|body| RawPacket { first, body: body.to_vec() }));
}

fn codes_of_pubrel() {
    let stile = gateway();
    let mut client = subscriber(&stile, V5, "me", "a", 2);
    client.send(&ack(PUBREC, 99));
    assert_eq!(client.packet(), RawPacket { first: PUBREL, body: vec![0, 99, 0x92] });
    RawClient::connect(stile.mqtt, V5, "other").send(&publish(V5, 4, "a", 1, &[], "x"));
    let id = client.message().id;
    client.send(&ack(PUBREC, id));
    assert_eq!(client.packet(), RawPacket { first: PUBREL, body: id.to_be_bytes().to_vec() });
    // What a client says with no code of the table is a protocol error.
    client.send(&packet(PUBREL, &[0, 1, 0x80]));
    expect_ended(client, V5, 0x82);
}

fn codes_of_pubcomp() {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.send(&ack(PUBREL, 99));
    assert_eq!(client.packet(), RawPacket { first: PUBCOMP, body: vec![0, 99, 0x92] });
    client.send(&publish(V5, 4, "a", 1, &[], "x"));
    assert_eq!(client.packet().first, PUBREC);
    client.send(&ack(PUBREL, 1));
    assert_eq!(client.packet(), RawPacket { first: PUBCOMP, body: vec![0, 1] });
}

fn answers_are_bare() {
    let stile = gateway();
    let connect = Connect { properties: vec![0x17, 0], ..Connect::new(V5, "me") };
    for flags in [2, 4] {
        let answers = refused_and_taken(&stile, &connect, flags);
        assert!(answers.iter().all(|answer| answer.body.len() <= 3), "{answers:02x?}");
    }
    let mut client = RawClient::with(stile.mqtt, &connect);
    client.send(&stile_tests::packet::subscribe(V5, &[("$share/a/b", 0), ("c", 0)], &[]));
    assert_eq!(client.packet().body[2], 0, "no properties");
    client.send(&stile_tests::packet::unsubscribe(V5, &["x"]));
    assert_eq!(client.packet().body[2], 0, "no properties");
}

fn a_refused_identifier_is_free() {
    let stile = gateway();
    let mut watcher = subscriber(&stile, V5, "watcher", "a", 0);
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.send(&publish(V5, 4, "a", 5, &[1, 1], b"\xff"));
    assert_eq!(client.packet(), RawPacket { first: PUBREC, body: vec![0, 5, 0x99] });
    client.send(&publish(V5, 4, "a", 5, &[1, 1], b"text"));
    assert_eq!(client.packet(), RawPacket { first: PUBREC, body: vec![0, 5] });
    assert_eq!(watcher.message().text, "text");
}

fn steps_outlive_the_message() {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.send(&publish(V5, 4, "a", 5, &[0x02, 0, 0, 0, 1], "x"));
    assert_eq!(client.packet().first, PUBREC);
    assert_eq!(client.packet_within(std::time::Duration::from_millis(1200)), None, "it expires meanwhile");
    client.send(&publish(V5, 8 | 4, "a", 5, &[0x02, 0, 0, 0, 1], "x"));
    assert_eq!(client.packet(), RawPacket { first: PUBREC, body: vec![0, 5] });
    client.send(&ack(PUBREL, 5));
    assert_eq!(client.packet(), RawPacket { first: PUBCOMP, body: vec![0, 5] });
}

//! What a subscriber gets at QoS 0, 1 and 2, step by step, again after a break, and in order (4.3, 4.4, 4.6).

use std::time::Duration;

use stile_tests::packet::{Connect, RawPacket, V5, V311, ack, packet, publish};
use stile_tests::{RawClient, Stile};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_3_1_1_what_is_delivered_again_has_dup => qos_1_waits_for_puback(V311);
        mqtt_4_3_1_1_qos_0_is_sent_without_dup => first_sent(V311, 0);
        mqtt_4_3_2_1_qos_1_is_unacknowledged_until_puback => qos_1_waits_for_puback(V311);
        mqtt_4_3_3_1_qos_2_goes_step_by_step => qos_2_goes_step_by_step(V311);
        mqtt_4_4_0_1_a_return_brings_what_was_not_acknowledged => a_return_brings_the_rest(V311);
        mqtt_4_6_0_1_what_is_sent_again_keeps_its_order => a_return_brings_the_rest(V311);
        mqtt_4_6_0_4_pubrels_come_in_the_order_of_pubrecs => pubrels_come_in_order(V311);
        mqtt_4_6_0_5_every_topic_is_ordered => order_is_kept(V311);
        mqtt_4_6_0_6_messages_of_one_client_keep_their_order => order_is_kept(V311);
    }
    v5 {
        mqtt_3_3_1_1_what_is_delivered_again_has_dup => qos_1_waits_for_puback(V5);
        mqtt_4_3_1_1_qos_0_is_sent_without_dup => first_sent(V5, 0);
        mqtt_4_3_2_1_qos_1_has_an_unused_identifier => first_sent(V5, 1);
        mqtt_4_3_2_2_qos_1_is_sent_without_dup => first_sent(V5, 1);
        mqtt_4_3_2_3_qos_1_is_unacknowledged_until_puback => qos_1_waits_for_puback(V5);
        mqtt_4_3_3_1_qos_2_has_an_unused_identifier => first_sent(V5, 2);
        mqtt_4_3_3_2_qos_2_is_sent_without_dup => first_sent(V5, 2);
        mqtt_4_3_3_3_qos_2_is_unacknowledged_until_pubrec => qos_2_goes_step_by_step(V5);
        mqtt_4_3_3_4_pubrec_is_answered_with_pubrel => qos_2_goes_step_by_step(V5);
        mqtt_4_3_3_5_pubrel_is_unacknowledged_until_pubcomp => qos_2_goes_step_by_step(V5);
        mqtt_4_3_3_6_after_pubrel_the_message_is_not_sent_again => qos_2_goes_step_by_step(V5);
        mqtt_4_4_0_1_a_return_brings_what_was_not_acknowledged => a_return_brings_the_rest(V5);
        mqtt_4_4_0_2_an_error_acknowledges => an_error_acknowledges();
        mqtt_4_6_0_5_messages_of_one_client_keep_their_order => order_is_kept(V5);
        mqtt_4_6_0_6_every_topic_is_ordered => order_is_kept(V5);
    }
}

/// A persistent subscriber to `a`, and how it comes back.
fn persistent(stile: &Stile, version: u8, qos: u8) -> (RawClient, Connect) {
    let connect = Connect::persistent(version, "me");
    let (mut client, _) = come_back(stile, &connect);
    client.subscribe(&[("a", qos)], &[]);
    (client, connect)
}

fn back(stile: &Stile, client: RawClient, connect: &Connect, others: u32) -> RawClient {
    client.cut();
    wait_connections(stile, others);
    let (client, present) = come_back(stile, connect);
    assert!(present);
    client
}

fn send(client: &mut RawClient, version: u8, qos: u8, text: &str) {
    client.send(&publish(version, qos << 1, "a", 1, &[], text));
    if qos > 0 {
        assert_eq!(client.packet().body[..2], [0, 1]);
    }
    if qos == 2 {
        client.send(&ack(PUBREL, 1));
        assert_eq!(client.packet().first, PUBCOMP);
    }
}

fn first_sent(version: u8, qos: u8) {
    let stile = gateway();
    let mut client = subscriber(&stile, version, "me", "a", 2);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    let mut ids = Vec::new();
    for _ in 0..3 {
        send(&mut other, version, qos, "x");
        let got = client.message();
        assert_eq!((got.qos, got.dup), (qos, false));
        assert!((got.id == 0) == (qos == 0) && (qos == 0 || !ids.contains(&got.id)), "{got:?} {ids:?}");
        ids.push(got.id);
    }
}

fn qos_1_waits_for_puback(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    let (mut client, connect) = persistent(&stile, version, 1);
    send(&mut other, version, 1, "one");
    let first = client.message();
    assert!(!first.dup);
    // Not one of its steps: the answer is as to an unknown one.
    client.send(&[ack(PUBREC, first.id), ack(PUBCOMP, first.id)].concat());
    assert_eq!(client.packet().first, PUBREL);
    for _ in 0..2 {
        client = back(&stile, client, &connect, 1);
        let again = client.message();
        assert_eq!((again.dup, again.id, again.text), (true, first.id, "one".to_owned()));
    }
    client.send(&ack(PUBACK, first.id));
    client.expect_quiet();
    client = back(&stile, client, &connect, 1);
    client.expect_quiet();
}

fn qos_2_goes_step_by_step(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    let (mut client, connect) = persistent(&stile, version, 2);
    send(&mut other, version, 2, "one");
    let first = client.message();
    assert_eq!((first.qos, first.dup), (2, false));
    // PUBACK is none of its steps, and PUBCOMP not the next one.
    client.send(&[ack(PUBACK, first.id), ack(PUBCOMP, first.id)].concat());
    client = back(&stile, client, &connect, 1);
    let again = client.message();
    assert_eq!((again.dup, again.id), (true, first.id));
    let pubrel = RawPacket { first: PUBREL, body: first.id.to_be_bytes().to_vec() };
    client.send(&ack(PUBREC, first.id));
    assert_eq!(client.packet(), pubrel);
    for _ in 0..2 {
        client = back(&stile, client, &connect, 1);
        assert_eq!(client.packet(), pubrel, "and not the message");
        client.expect_quiet();
    }
    client.send(&ack(PUBCOMP, first.id));
    client.expect_quiet();
    client = back(&stile, client, &connect, 1);
    client.expect_quiet();
}

/// What was sent comes again in its order with its identifiers; while the connection stands nothing does.
fn a_return_brings_the_rest(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    let (mut client, connect) = persistent(&stile, version, 2);
    for (qos, text) in [(1, "a"), (2, "b"), (1, "c"), (2, "d"), (1, "e")] {
        send(&mut other, version, qos, text);
    }
    let sent: Vec<_> = (0..5).map(|_| client.message()).collect();
    client.send(&ack(PUBACK, sent[2].id));
    client.send(&ack(PUBREC, sent[1].id));
    assert_eq!(client.packet().first, PUBREL);
    assert_eq!(client.packet_within(Duration::from_millis(300)), None, "not sent again unasked");
    client = back(&stile, client, &connect, 1);
    let key = |packet: RawPacket| match packet.kind() {
        3 => (packet.publish(version).id, packet.publish(version).text),
        _ => (u16::from_be_bytes([packet.body[0], packet.body[1]]), "released".to_owned()),
    };
    let again: Vec<_> = (0..4).map(|_| key(client.packet())).collect();
    let expected = [(0, "a"), (1, "released"), (3, "d"), (4, "e")].map(|(at, text)| (sent[at].id, text.to_owned()));
    assert_eq!(again, expected);
    client.expect_quiet();
}

fn pubrels_come_in_order(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    let mut client = subscriber(&stile, version, "me", "a", 2);
    let mut ids = Vec::new();
    for text in ["a", "b", "c"] {
        send(&mut other, version, 2, text);
        ids.push(client.message().id);
    }
    ids.swap(0, 2);
    let all: Vec<u8> = ids.iter().flat_map(|id| ack(PUBREC, *id)).collect();
    client.send(&all);
    for id in ids {
        assert_eq!(client.packet(), RawPacket { first: PUBREL, body: id.to_be_bytes().to_vec() });
    }
}

fn an_error_acknowledges() {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    let (mut client, connect) = persistent(&stile, V5, 2);
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        send(&mut other, V5, qos, "x");
        let [high, low] = client.message().id.to_be_bytes();
        client.send(&packet(first, &[high, low, 0x83]));
        client.expect_quiet();
    }
    client = back(&stile, client, &connect, 1);
    client.expect_quiet();
}

fn order_is_kept(version: u8) {
    let stile = gateway();
    let mut clients = [subscriber(&stile, version, "exact", "a", 2), subscriber(&stile, version, "wide", "#", 1)];
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    let all: Vec<u8> = (1..=300_u16).flat_map(|n| publish(version, 2, "a", n, &[], n.to_string())).collect();
    other.send(&all);
    for client in &mut clients {
        for n in 1..=300 {
            assert_eq!(client.next_acked().text, n.to_string());
        }
    }
}

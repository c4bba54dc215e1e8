//! Flow control and sizes: receive maximum and maximum packet size (3.1.2.11, 3.3.4, 4.9).

use stile_tests::packet::{Connect, RawPacket, V5, ack, packet, publish, subscribe, unsubscribe};
use stile_tests::{RawClient, Stile};

use crate::common::*;

statements! {
    v5 {
        mqtt_3_1_2_24_no_packet_is_larger_than_the_client_takes => no_packet_is_too_large();
        mqtt_3_1_2_25_too_large_a_message_is_dropped_as_if_sent => too_large_a_message();
        mqtt_3_3_4_7_more_than_the_servers_receive_maximum_ends_the_connection => the_servers_maximum();
        mqtt_3_3_4_9_no_more_than_the_clients_receive_maximum => the_clients_maximum();
        mqtt_3_3_4_10_other_packets_are_not_delayed => other_packets_go_on();
        mqtt_4_9_0_1_the_first_quota_is_the_receive_maximum => the_clients_maximum();
        mqtt_4_9_0_2_without_quota_nothing_is_published => the_clients_maximum();
        mqtt_4_9_0_3_without_quota_other_packets_go_on => other_packets_go_on();
    }
}

fn limited(properties: &[u8]) -> Connect {
    Connect { properties: properties.to_vec(), ..Connect::new(V5, "me") }
}

fn maximum_packet_size(size: u32) -> Vec<u8> {
    [&[0x27][..], &size.to_be_bytes()].concat()
}

fn size(packet: &RawPacket) -> usize {
    1 + stile_tests::packet::length(packet.body.len()).len() + packet.body.len()
}

/// CONNACK, SUBACK, UNSUBACK and DISCONNECT as well as PUBLISH. What must be said and can't ends the connection.
fn no_packet_is_too_large() {
    let stile = gateway();
    for most in 1..64 {
        let mut client = RawClient::open(stile.mqtt, V5);
        client.send(&limited(&maximum_packet_size(most)).bytes());
        let Some(connack) = client.packet_within(stile_tests::PATIENCE) else { continue };
        assert!(size(&connack) <= most as usize, "{most}: {connack:02x?}");
        if connack.body[1] != 0 {
            assert_eq!(connack.body[1], 0x95);
            continue;
        }
        let filters: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        let filters: Vec<_> = filters.iter().map(|filter| (filter.as_str(), 0)).collect();
        client.send(&subscribe(V5, &filters, &[]));
        for packet in client.expect_closed() {
            assert!(size(&packet) <= most as usize, "{most}: {packet:02x?}");
        }
    }
}

fn too_large_a_message() {
    let stile = gateway();
    let mut client = RawClient::with(stile.mqtt, &limited(&[maximum_packet_size(300), vec![0x21, 0, 1]].concat()));
    client.subscribe(&[("a", 1)], &[]);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    for text in ["x".repeat(400), "small".to_owned(), "x".repeat(300), "small too".to_owned()] {
        other.publish_acked(false, "a", &[], text);
    }
    // Nothing waits for an acknowledgement of what was not sent.
    assert_eq!([client.next_acked().text, client.next_acked().text], ["small", "small too"]);
    client.expect_quiet();
}

fn the_servers_maximum() {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "receive-maximum = 3", "");
    let (mut client, connack) = RawClient::meet(stile.mqtt, &Connect::new(V5, "me"));
    assert!(connack.connack_properties().contains(&(0x21, stile_tests::packet::Value::Number(3))));
    for id in 1..=3 {
        client.send(&publish(V5, 4, "a", id, &[], "x"));
        assert_eq!(client.packet().first, PUBREC);
    }
    client.send(&ack(PUBREL, 1));
    assert_eq!(client.packet().first, PUBCOMP);
    client.send(&publish(V5, 4, "a", 4, &[], "there is room again"));
    assert_eq!(client.packet().first, PUBREC);
    client.send(&publish(V5, 4, "a", 5, &[], "one too many"));
    expect_ended(client, V5, 0x93);
}

/// Messages at QoS 0 have no part in it; PUBACK, PUBCOMP and PUBREC with an error give room.
fn the_clients_maximum() {
    let stile = gateway();
    let mut client = RawClient::with(stile.mqtt, &limited(&[0x21, 0, 2]));
    client.subscribe(&[("a", 2), ("zero", 0)], &[]);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    for n in 1..=6_u16 {
        other.send(&publish(V5, 4, "a", n, &[], n.to_string()));
        assert_eq!(other.packet().first, PUBREC);
    }
    let ids = [client.message().id, client.message().id];
    client.expect_quiet();
    client.send(&ack(PUBREC, ids[0]));
    assert_eq!(client.packet().first, PUBREL);
    client.expect_quiet();
    client.send(&ack(PUBCOMP, ids[0]));
    assert_eq!(client.message().text, "3");
    client.expect_quiet();
    let [high, low] = ids[1].to_be_bytes();
    client.send(&packet(PUBREC, &[high, low, 0x80]));
    assert_eq!(client.message().text, "4");
    client.expect_quiet();
}

fn other_packets_go_on() {
    let stile = gateway();
    let mut client = RawClient::with(stile.mqtt, &limited(&[0x21, 0, 1]));
    client.subscribe(&[("a", 1)], &[]);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    for text in ["one", "two"] {
        other.publish_acked(false, "a", &[], text);
    }
    assert_eq!(client.message().text, "one");
    client.expect_quiet();
    client.send(&subscribe(V5, &[("b", 0)], &[]));
    assert_eq!(client.packet().kind(), 9);
    client.send(&unsubscribe(V5, &["b"]));
    assert_eq!(client.packet().kind(), 11);
    client.send(&publish(V5, 2, "c", 5, &[], "x"));
    assert_eq!(client.packet().first, PUBACK);
    client.send(&publish(V5, 4, "c", 6, &[], "x"));
    assert_eq!(client.packet().first, PUBREC);
    client.send(&ack(PUBREL, 6));
    assert_eq!(client.packet().first, PUBCOMP);
    client.expect_quiet();
}

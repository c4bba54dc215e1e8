//! PINGREQ, keep-alive, DISCONNECT, AUTH (3.1.2.10, 3.12, 3.14, 3.15).

use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, RawPacket, V5, V311, counted, publish};
use stile_tests::{RawClient, Stile};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_1_2_24_a_silent_client_is_disconnected => silence_ends_it(V311);
        mqtt_3_12_4_1_a_ping_is_answered => a_ping_is_answered(V311);
        mqtt_3_14_1_1_flags_of_disconnect_are_checked => flags_of_disconnect(V311);
    }
    v5 {
        mqtt_3_1_2_22_a_silent_client_is_disconnected => silence_ends_it(V5);
        mqtt_3_2_2_22_the_clients_keep_alive_counts_unless_told => keep_alive_is_the_clients();
        mqtt_3_12_4_1_a_ping_is_answered => a_ping_is_answered(V5);
        mqtt_3_14_0_1_no_disconnect_before_connack => no_disconnect_before_connack();
        mqtt_3_14_1_1_flags_of_disconnect_are_checked => flags_of_disconnect(V5);
        mqtt_3_14_2_1_disconnect_has_codes_of_its_table => codes_of_disconnect();
        mqtt_3_14_2_2_disconnect_has_no_session_expiry => codes_of_disconnect();
        mqtt_3_14_4_1_nothing_follows_disconnect => nothing_follows_disconnect();
        mqtt_3_14_4_2_disconnect_closes_the_connection => nothing_follows_disconnect();
        mqtt_3_15_1_1_flags_of_auth_are_checked => flags_of_auth();
    }
}

fn silence_ends_it(version: u8) {
    let stile = gateway();
    let mut client = RawClient::with(stile.mqtt, &Connect { keep_alive: 2, ..Connect::new(version, "me") });
    std::thread::sleep(Duration::from_secs(1));
    client.expect_nothing();
    let heard = Instant::now();
    expect_ended(client, version, 0x8d);
    let silent = heard.elapsed();
    assert!(silent >= Duration::from_millis(2900) && silent < Duration::from_secs(10), "{silent:?}");
}

fn keep_alive_is_the_clients() {
    let stile = gateway();
    let connect = Connect { keep_alive: 1, ..Connect::new(V5, "me") };
    let (client, connack) = RawClient::meet(stile.mqtt, &connect);
    assert!(connack.connack_properties().iter().all(|(kind, _)| *kind != 0x13), "no server keep-alive");
    let (mut unlimited, connack) = RawClient::meet(stile.mqtt, &Connect { keep_alive: 0, ..Connect::new(V5, "0") });
    assert!(connack.connack_properties().iter().all(|(kind, _)| *kind != 0x13), "no server keep-alive");
    expect_ended(client, V5, 0x8d);
    assert_eq!(unlimited.packet_within(Duration::from_millis(500)), None);
    unlimited.expect_nothing();
}

fn a_ping_is_answered(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    client.send(&[0xc0, 0, 0xc0, 0]);
    for _ in 0..2 {
        assert_eq!(client.packet(), RawPacket { first: 0xd0, body: vec![] });
    }
}

fn flags_of_disconnect(version: u8) {
    let stile = gateway();
    let all: Vec<_> = (1..16).map(|flags| vec![0xe0 | flags, 0]).collect();
    expect_each_ends(&stile, version, 0x81, &all);
}

fn no_disconnect_before_connack() {
    let stile = gateway();
    let malformed = raw_connect(V5, CLEAN | 1, &[counted("me")]);
    let authenticating = Connect { properties: [vec![0x15], counted("x")].concat(), ..Connect::new(V5, "me") };
    for first in [malformed, authenticating.bytes(), vec![0xe0, 0], vec![0xf0, 0], vec![0, 0]] {
        let packets = answer(&stile, V5, &first);
        assert!(packets.iter().all(|packet| packet.kind() == 2), "{first:02x?}: {packets:02x?}");
    }
}

/// Each way to be sent away, the short form of DISCONNECT being all that is sent.
fn codes_of_disconnect() {
    let small = "max-packet-size = 1024\nreceive-maximum = 1";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), small, "");
    let cases: [(Vec<u8>, u8); 8] = [
        (vec![0xe1, 0], 0x81),
        (vec![0xd0, 0], 0x82),
        (publish(V5, 0, "", 0, &[], ""), 0x82),
        (publish(V5, 0, "a/+", 0, &[], ""), 0x90),
        (publish(V5, 0, "$SYS/a", 0, &[], ""), 0x87),
        (publish(V5, 0, "a", 0, &[0x23, 0, 0], ""), 0x94),
        (publish(V5, 0, "a", 0, &[], "x".repeat(2000)), 0x95),
        (publish(V5, 0, "a", 0, &[1, 1], b"\xff"), 0x99),
    ];
    for (bytes, reason) in &cases {
        expect_each_ends(&stile, V5, *reason, std::slice::from_ref(bytes));
    }
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.send(&[publish(V5, 4, "a", 1, &[], ""), publish(V5, 4, "a", 2, &[], "")].concat());
    assert_eq!(client.packet().first, PUBREC);
    expect_ended(client, V5, 0x93);
}

/// The client stays and keeps publishing to itself; nothing comes behind the server's DISCONNECT but the end.
fn nothing_follows_disconnect() {
    let stile = gateway();
    let mut client = subscriber(&stile, V5, "me", "a", 0);
    client.send(&[publish(V5, 0, "a", 0, &[], "x"), vec![0xe1, 0]].concat());
    let packets = client.expect_closed();
    let at = packets.iter().position(|packet| packet.kind() == 14);
    assert_eq!(at, Some(packets.len() - 1), "{packets:02x?}");
}

fn flags_of_auth() {
    let stile = gateway();
    let all: Vec<_> = (1..16).map(|flags| vec![0xf0 | flags, 0]).collect();
    expect_each_ends(&stile, V5, 0x81, &all);
}

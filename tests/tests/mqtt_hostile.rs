//! Clients that mean harm or don't know better: each hurts itself alone. A neighbour that is connected all along gets
//! every message, before and after, and the gateway stays up.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::Write;

use stile_tests::packet::{Connect, V5, V311, counted, packet, publish, subscribe};
use stile_tests::{Neighbour, Random, RawClient, Stile};

fn refused(reason: &str) -> String {
    format!("stile_mqtt_clients_refused_total{{reason=\"{reason}\"}}")
}

#[test]
fn topics_and_filters_that_do_not_start_with_an_ascii_letter_are_like_any_other() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    for version in [V311, V5] {
        let mut client = RawClient::connect(stile.mqtt, version, "me");
        for topic in ["ä", "é/x", "日本", "🦀/+/x", "\u{7f}", " "] {
            let name = topic.replace('+', "y");
            assert_eq!(client.subscribe(&[(topic, 0)], &[]), [0], "{topic}");
            client.publish(&name, &[], topic);
            assert_eq!(client.message().text, topic);
        }
        client.cut();
        neighbour.is_well();
    }
    assert_eq!(stile.metric("stile_mqtt_router_failures_total"), 0.0);
}

#[test]
fn client_ids_with_wildcards_slashes_and_dollars_come_and_go() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    for id in ["a/b", "+", "#", "$SYS", "$share/a/b", "ä\u{200b}", "neighbour ", &"x".repeat(256)] {
        for version in [V311, V5, V311] {
            RawClient::connect(stile.mqtt, version, id).cut();
            let _stays = RawClient::connect(stile.mqtt, version, id);
            RawClient::connect(stile.mqtt, version, id).disconnect();
        }
    }
    let (_, too_long) = RawClient::meet(stile.mqtt, &Connect::new(V5, &"x".repeat(257)));
    assert_eq!(too_long.body[1], 0x85, "client identifier not valid");
    neighbour.is_well();
}

#[test]
fn properties_for_a_subscriber_of_3_1_1_are_left_out_and_it_lives() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let mut old = RawClient::connect(stile.mqtt, V311, "old");
    old.subscribe(&[("p", 1)], &[]);
    let mut new = RawClient::connect(stile.mqtt, V5, "new");
    let pair = [vec![0x26], counted("a"), counted("b")].concat();
    let all = [vec![0x01, 1, 0x02, 0, 0, 1, 0], [vec![0x08], counted("answer")].concat(), pair.repeat(50)].concat();
    new.publish_acked(false, "p", &all, "text");
    assert_eq!(old.next_acked().text, "text");
    neighbour.is_well();
}

#[test]
fn packets_that_only_servers_send_and_second_connects_end_the_connection_alone() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let connack = packet(0x20, &[0, 0, 0]);
    let suback = packet(0x90, &[0, 1, 0, 0]);
    let wrong = [connack, suback, packet(0xb0, &[0, 1, 0, 0]), packet(0xd0, &[]), Connect::new(V5, "me").bytes()];
    for (i, bytes) in wrong.iter().enumerate() {
        let mut client = RawClient::connect(stile.mqtt, V5, "me");
        client.send(bytes);
        let last = client.expect_closed().pop().unwrap();
        assert_eq!((last.first, last.body[0]), (0xe0, 0x82), "protocol error: {bytes:02x?}");
        assert_eq!(stile.metric(&refused("protocol-error")), (i + 1) as f64);
        RawClient::connect(stile.mqtt, V5, "me").disconnect();
    }
    neighbour.is_well();
}

#[test]
fn a_persistent_shared_subscriber_that_leaves_messages_unacknowledged_hurts_nobody() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    for _ in 0..3 {
        let mut client = RawClient::with(stile.mqtt, &Connect::persistent(V5, "sharer"));
        client.send(&subscribe(V5, &[("$share/group/neighbour", 1)], &[]));
        client.send(&publish(V5, 2, "neighbour/not", 1, &[], "x"));
        client.cut();
        neighbour.is_well();
    }
}

#[test]
fn subscribers_that_vanish_in_the_middle_of_a_flood_take_nobody_with_them() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let address = stile.mqtt;
    let flooding = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let keep_on = std::sync::Arc::clone(&flooding);
    let flood = std::thread::spawn(move || {
        let mut client = RawClient::connect(address, V311, "flood");
        let burst = publish(V311, 0, "flood", 0, &[], [b'x'; 100]).repeat(50);
        while keep_on.load(std::sync::atomic::Ordering::Relaxed) {
            client.send(&burst);
        }
    });
    for i in 0..60_u8 {
        let mut client =
            RawClient::with(address, &Connect::new(if i % 2 == 0 { V311 } else { V5 }, &format!("s{}", i % 7)));
        client.send(&subscribe(if i % 2 == 0 { V311 } else { V5 }, &[("flood", i % 3)], &[]));
        assert_eq!(client.packet().kind(), 9);
        for _ in 0..i {
            client.packet();
        }
        client.cut();
    }
    flooding.store(false, std::sync::atomic::Ordering::Relaxed);
    flood.join().unwrap();
    neighbour.is_well();
    assert_eq!(stile.metric("stile_mqtt_router_failures_total"), 0.0);
}

#[test]
fn random_bytes_before_and_after_connect_hurt_only_their_sender() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let mut random = Random::new(2026);
    for round in 0..300 {
        let version = [3, V311, V5][round % 3];
        let mut client = RawClient::open(stile.mqtt, version);
        if round % 4 > 0 {
            // Own ids, so that nobody's session is taken over; let in, so that the rest of the codec is reached.
            client = RawClient::connect(stile.mqtt, version, &format!("r{}", round % 5));
        }
        let mut bytes = random.bytes(300);
        if round % 2 == 0 && bytes.len() > 2 {
            // A length that is right gets past the framing into the body. Topics of the neighbour are spared.
            bytes.truncate(120);
            bytes[1] = (bytes.len() - 2) as u8;
        }
        // The gateway may close in the middle.
        let _ = client.stream.write_all(&bytes);
        client.cut();
    }
    neighbour.is_well();
    assert!(stile.metric(&refused("protocol-error")) > 50.0);
}

//! More than a client can take, and as much as it can: nobody else loses by it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::Write;
use std::time::{Duration, Instant};

use stile_tests::packet::{V5, V311, ack, publish, subscribe};
use stile_tests::{PATIENCE, RawClient, Stile};

const QUEUE_FULL: &str = "stile_mqtt_deliveries_dropped_total{reason=\"queue-full\"}";

#[test]
fn a_reader_that_never_reads_loses_its_own_messages_and_its_neighbour_gets_everything() {
    const ROUNDS: usize = 60;
    const BATCH: u16 = 100;
    let stile = Stile::start("");
    let mut lazy = RawClient::connect(stile.mqtt, V5, "lazy");
    lazy.send(&subscribe(V5, &[("flood", 0)], &[]));
    let mut neighbour = RawClient::connect(stile.mqtt, V311, "neighbour");
    neighbour.subscribe(&[("flood", 1)], &[]);
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    let before = stile.resident_kb();
    // In batches that the neighbour has read before the next one comes, so that it is not slow itself.
    for round in 0..ROUNDS {
        for i in 1..=BATCH {
            let text = format!("{round} {i} {}", "x".repeat(4000));
            publisher.send(&publish(V311, 2, "flood", i, &[], text));
        }
        for i in 1..=BATCH {
            assert_eq!(publisher.packet().body, i.to_be_bytes());
            let message = neighbour.next_acked();
            assert!(message.text.starts_with(&format!("{round} {i} ")), "{round} {i}: {}", &message.text[..20]);
        }
    }
    assert!(stile.metric(QUEUE_FULL) > 0.0);
    let now = stile.resident_kb();
    assert!(now < before + 10_000, "{before} kB before, {now} kB now");
    // It is not cut off for being slow alone, and reads what it still can.
    assert_eq!(lazy.packet().kind(), 9);
    assert!(lazy.message().text.starts_with("0 1 "));
}

/// Publishes numbers with QoS 1 as fast as the gateway takes them, while `subscriber` reads and acknowledges. Returns the
/// numbers that arrived.
fn flood(stile: &Stile, subscriber: &mut RawClient, count: u32) -> Vec<u32> {
    let begun = Instant::now();
    let mut acks = RawClient::connect(stile.mqtt, V311, "publisher");
    let mut sender = acks.stream.try_clone().unwrap();
    let id = |n: u32| (n % 60_000) as u16 + 1;
    let writing = std::thread::spawn(move || {
        for n in 0..count {
            sender.write_all(&publish(V311, 2, "flood", id(n), &[], n.to_string())).unwrap();
        }
    });
    let acknowledged = std::thread::spawn(move || {
        for n in 0..count {
            let puback = acks.packet();
            assert_eq!((puback.first, puback.body), (0x40, id(n).to_be_bytes().to_vec()));
        }
        acks.expect_nothing();
        acks
    });
    let mut got = Vec::new();
    while got.len() as f64 + stile.metric(QUEUE_FULL) < f64::from(count) {
        while let Some(packet) = subscriber.packet_within(Duration::from_millis(100)) {
            let message = packet.publish(V311);
            subscriber.send(&ack(0x40, message.id));
            assert!(!message.dup);
            got.push(message.text.parse().unwrap());
        }
        assert!(begun.elapsed() < 4 * PATIENCE, "{} arrived", got.len());
    }
    writing.join().unwrap();
    acknowledged.join().unwrap();
    subscriber.expect_nothing();
    got
}

const FLOOD: u32 = 50_000;

#[test]
fn fifty_thousand_qos_1_messages_arrive_whole_and_in_order_where_the_queue_has_room_for_them() {
    let room = "session-queue = 50000\nsession-queue-bytes = 16777216";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), room, "");
    let mut subscriber = RawClient::connect(stile.mqtt, V311, "subscriber");
    subscriber.subscribe(&[("flood", 1)], &[]);
    let got = flood(&stile, &mut subscriber, FLOOD);
    assert!(got.iter().copied().eq(0..FLOOD), "{} of them", got.len());
    assert_eq!(stile.metric(QUEUE_FULL), 0.0);
}

#[test]
fn a_flood_that_outruns_its_subscriber_keeps_its_order_and_every_loss_is_counted() {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "session-queue = 20", "");
    let mut subscriber = RawClient::connect(stile.mqtt, V311, "subscriber");
    subscriber.subscribe(&[("flood", 1)], &[]);
    let got = flood(&stile, &mut subscriber, FLOOD);
    assert!(got.is_sorted_by(|a, b| a < b));
    assert_eq!(got.len() as f64 + stile.metric(QUEUE_FULL), f64::from(FLOOD));
}

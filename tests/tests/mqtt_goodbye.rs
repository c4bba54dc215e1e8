//! Ends: of the gateway with messages on their way, of a client in other words than the usual ones.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use stile_tests::packet::{Connect, RawWill, V5, V311, ack, packet, publish};
use stile_tests::{RawClient, Stile};

#[test]
fn a_slow_subscriber_gets_what_was_acknowledged_before_the_stop() {
    let mut stile = Stile::start("");
    let mut slow = RawClient::connect(stile.mqtt, V311, "slow");
    slow.subscribe(&[("a", 1)], &[]);
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    for n in 0..500 {
        publisher.publish_acked(false, "a", &[], n.to_string());
    }
    stile.signal(Signal::TERM);
    // It acknowledges only now, one by one: far more than fits one window.
    let got: Vec<String> = (0..500).map(|_| slow.next_acked().text).collect();
    assert_eq!(got, (0..500).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(stile.wait().success());
}

#[test]
fn what_is_published_during_the_stop_is_not_acknowledged() {
    let mut stile = Stile::start("");
    // Its unacknowledged message keeps the gateway waiting for it.
    let mut slow = RawClient::connect(stile.mqtt, V311, "slow");
    slow.subscribe(&[("a", 1)], &[]);
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    publisher.publish_acked(false, "a", &[], "before");
    stile.signal(Signal::TERM);
    let closed = publisher.packet_within(Duration::from_secs(30));
    assert_eq!(closed, None, "nothing is said to 3.1.1, and the connection ends");
    drop(slow);
    assert!(stile.wait().success());
}

#[test]
fn half_a_request_to_the_admin_page_does_not_hold_up_the_stop() {
    let mut stile = Stile::start("");
    let mut half = TcpStream::connect(stile.admin).unwrap();
    half.write_all(b"GET / HT").unwrap();
    let started = Instant::now();
    stile.stop();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn only_a_normal_disconnect_takes_the_will_back() {
    let stile = Stile::start("");
    let mut watcher = RawClient::connect(stile.mqtt, V5, "watcher");
    watcher.subscribe(&[("will", 1)], &[]);
    for (reason, comes) in [(0x00, false), (0x04, true), (0x80, true), (0x93, true)] {
        let will = RawWill { topic: "will", payload: "gone", retain: false, properties: Vec::new() };
        let mut client = RawClient::with(stile.mqtt, &Connect { will: Some(will), ..Connect::new(V5, "me") });
        client.send(&packet(0xe0, &[reason]));
        client.expect_closed();
        if comes {
            assert_eq!(watcher.next_acked().text, "gone", "{reason:02x}");
        }
        watcher.expect_nothing();
    }
}

#[test]
fn a_client_of_3_1_1_may_have_more_than_64_messages_of_qos_2_under_way() {
    let stile = Stile::start("");
    let mut client = RawClient::connect(stile.mqtt, V311, "me");
    for id in 1..=300 {
        client.send(&publish(V311, 4, "a", id, &[], "x"));
    }
    let answered: BTreeSet<_> = (1..=300_u16).map(|_| client.packet()).map(|p| (p.first, p.body)).collect();
    assert_eq!(answered.len(), 300);
    assert!(answered.iter().all(|(first, _)| *first == 0x50));
    for id in 1..=300 {
        client.send(&ack(0x62, id));
        assert_eq!(client.packet().first, 0x70);
    }
}

#[test]
fn a_listener_that_moves_leaves_sessions_alone() {
    let stile = Stile::start("");
    let mut client = RawClient::with(stile.mqtt, &Connect::persistent(V5, "me"));
    client.subscribe(&[("a", 1)], &[]);
    let settings = Stile::settings(stile.dir.path(), "", "").replace("127.0.0.1:0\"]", "127.0.0.2:0\"]");
    std::fs::write(stile.dir.path().join("stile.toml"), settings).unwrap();
    let before = stile.logged("listening for MQTT").len();
    stile.signal(Signal::HUP);
    let moved = stile.wait_another("listening for MQTT", before);
    let address = moved["address"].as_str().unwrap().parse().unwrap();
    client.expect_closed();
    let (_client, connack) = RawClient::meet(address, &Connect::persistent(V5, "me"));
    assert_eq!((connack.body[0], connack.body[1]), (1, 0), "the session is there");
}

#[test]
fn a_client_that_never_reads_does_not_make_the_stop_fail() {
    let mut stile = Stile::start("");
    let mut stuck = RawClient::connect(stile.mqtt, V5, "stuck");
    stuck.subscribe(&[("a", 0)], &[]);
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    // More than socket buffers and queue take together.
    for _ in 0..200 {
        publisher.publish_acked(false, "a", &[], vec![b'x'; 100_000]);
    }
    assert!(stile.metric("stile_mqtt_deliveries_dropped_total{reason=\"queue-full\"}") > 0.0);
    // Its exit code and its ledger are those of any other stop.
    stile.stop();
    drop(stuck);
}

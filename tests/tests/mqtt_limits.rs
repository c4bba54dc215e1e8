//! The limits that keep one client from what belongs to all: time, connections, memory, descriptors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::Write;
use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, V5, V311, session_expiry, subscribe};
use stile_tests::{Neighbour, RawClient, Stile, within};

fn refused(reason: &str) -> String {
    format!("stile_mqtt_clients_refused_total{{reason=\"{reason}\"}}")
}

#[test]
fn a_connection_without_a_connect_is_cut_after_five_seconds_and_counted() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let begun = Instant::now();
    let connect = Connect::new(V5, "slow").bytes();
    let mut clients: Vec<_> = (0..20).map(|_| RawClient::open(stile.mqtt, V5)).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(&connect[..i.min(connect.len() - 1)]);
    }
    neighbour.is_well();
    for client in clients {
        assert_eq!(client.expect_closed(), []);
    }
    assert!((4..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(stile.metric(&refused("no-connect")), 20.0);
    neighbour.is_well();
}

#[test]
fn a_client_that_falls_silent_is_cut_after_one_and_a_half_keep_alives() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let mut silent = RawClient::with(stile.mqtt, &Connect { keep_alive: 1, ..Connect::new(V5, "silent") });
    // What the gateway sends it is no sign of life.
    silent.subscribe(&[("neighbour", 0)], &[]);
    let begun = Instant::now();
    let mut last = None;
    while let Some(packet) = silent.packet_within(Duration::from_secs(10)) {
        neighbour.is_well();
        last = Some(packet);
    }
    let last = last.unwrap();
    assert_eq!((last.first, last.body[0]), (0xe0, 0x8d), "keep alive timeout");
    assert!(begun.elapsed() >= Duration::from_millis(1400), "{:?}", begun.elapsed());
    assert_eq!(stile.metric(&refused("keep-alive")), 1.0);
}

#[test]
fn connections_beyond_the_limits_are_turned_away_and_counted_and_a_place_is_free_again_after_one_leaves() {
    for (limit, reason) in
        [("max-connections = 5", "too-many-connections"), ("max-connections-per-address = 5", "too-many-from-address")]
    {
        let stile = Stile::start_in(tempfile::tempdir().unwrap(), limit, "");
        let mut neighbour = Neighbour::of(&stile);
        let mut inside: Vec<_> = (0..4).map(|i| RawClient::connect(stile.mqtt, V311, &format!("inside {i}"))).collect();
        for _ in 0..20 {
            let mut outside = RawClient::open(stile.mqtt, V311);
            // The gateway may have closed already.
            let _ = outside.stream.write_all(&Connect::new(V311, "inside 0").bytes());
            assert_eq!(outside.expect_closed(), []);
        }
        assert_eq!(stile.metric(&refused(reason)), 20.0);
        inside.pop().unwrap().disconnect();
        within("there is a place again", || {
            let mut late = RawClient::open(stile.mqtt, V311);
            let _ = late.stream.write_all(&Connect::new(V311, "late").bytes());
            late.packet_within(Duration::from_secs(5)).map(|connack| assert_eq!(connack.body, [0, 0]))
        });
        inside.iter_mut().for_each(RawClient::expect_nothing);
        neighbour.is_well();
    }
}

#[test]
fn a_packet_that_announces_256_mb_is_refused_before_any_of_it_is_stored() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let before = stile.resident_kb();
    for version in [V311, V5] {
        // Before CONNECT and after it.
        let mut stranger = RawClient::open(stile.mqtt, version);
        stranger.send(&[0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4]);
        stranger.expect_closed();
        let mut client = RawClient::connect(stile.mqtt, version, "me");
        client.send(&[0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b'a']);
        let last = client.expect_closed().pop();
        if version == V5 {
            let last = last.unwrap();
            assert_eq!((last.first, last.body[0]), (0xe0, 0x95), "packet too large");
        }
    }
    assert!(stile.resident_kb() < before + 4096, "{before} kB before, {} kB now", stile.resident_kb());
    neighbour.is_well();
}

#[test]
fn a_thousand_clients_that_come_and_go_leave_nothing_behind() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let fds = || std::fs::read_dir(format!("/proc/{}/fd", stile.pid().as_raw_nonzero())).unwrap().count();
    let before = fds();
    for i in 0..1000_u32 {
        let version = if i % 2 == 0 { V311 } else { V5 };
        let mut client = RawClient::connect(stile.mqtt, version, &format!("cycle {}", i % 10));
        client.send(&subscribe(version, &[(&format!("own/{i}"), 1)], &[]));
        if i % 3 == 0 { client.cut() } else { client.disconnect() }
    }
    stile.wait_metric("stile_mqtt_connections", |n| n == 1.0);
    stile.wait_metric("stile_mqtt_sessions", |n| n == 1.0);
    stile.wait_metric("stile_mqtt_filters", |n| n == 1.0);
    within(&format!("as many descriptors as before: {before}, now {}", fds()), || (fds() <= before + 1).then_some(()));
    neighbour.is_well();
}

#[test]
fn a_subscriber_that_asks_for_everything_kept_again_and_again_costs_bounded_memory() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    for i in 0..2000 {
        publisher.publish_acked(true, &format!("kept/{i}"), &[], "x");
    }
    let before = stile.resident_kb();
    let mut greedy = RawClient::with(stile.mqtt, &Connect { properties: session_expiry(60), ..Connect::new(V5, "me") });
    greedy.send(&subscribe(V5, &[("kept/+", 1)], &[]).repeat(2000));
    greedy.send(&[0xc0, 0]);
    while greedy.packet().kind() != 13 {}
    let now = stile.resident_kb();
    assert!(now < before + 20_000, "{before} kB before, {now} kB now");
    neighbour.is_well();
}

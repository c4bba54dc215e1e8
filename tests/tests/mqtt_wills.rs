//! Wills of MQTT 5: with a delay, with a session that ends first, with a client that comes back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, RawWill, V5, session_expiry};
use stile_tests::{RawClient, Stile};

/// Connects and says whether there was a session.
fn come_back(stile: &Stile, connect: &Connect) -> (RawClient, bool) {
    let (client, connack) = RawClient::meet(stile.mqtt, connect);
    assert_eq!(connack.body[1], 0, "{connack:02x?}");
    (client, connack.body[0] == 1)
}

fn wait_connections(stile: &Stile, count: f64) {
    stile.wait_metric("stile_mqtt_connections", |n| n == count);
}

fn with_will(id: &str, delay: u32, expiry: u32) -> Connect {
    let properties = [&[0x18][..], &delay.to_be_bytes()].concat();
    let will = RawWill { topic: "will", payload: "gone", retain: false, properties };
    Connect { will: Some(will), properties: session_expiry(expiry), clean: false, ..Connect::new(V5, id) }
}

#[test]
fn a_delayed_will_waits_is_cancelled_by_a_return_and_comes_at_the_sessions_end_at_the_latest() {
    let stile = Stile::start("");
    let mut watcher = RawClient::connect(stile.mqtt, V5, "watcher");
    watcher.subscribe(&[("will", 1)], &[]);
    let delayed = with_will("delayed", 2, 600);
    come_back(&stile, &delayed).0.cut();
    let started = Instant::now();
    assert_eq!(watcher.next_acked().text, "gone");
    assert!(started.elapsed() >= Duration::from_millis(1900), "{:?}", started.elapsed());

    come_back(&stile, &delayed).0.cut();
    wait_connections(&stile, 1.0);
    let (client, present) = come_back(&stile, &delayed);
    assert!(present);
    assert_eq!(watcher.packet_within(Duration::from_secs(4)), None, "its client is back");
    client.disconnect();

    // The delay is longer than the session: the session's end counts.
    come_back(&stile, &with_will("brief", 600, 1)).0.cut();
    assert_eq!(watcher.next_acked().text, "gone");
    come_back(&stile, &with_will("none", 600, 0)).0.cut();
    assert_eq!(watcher.next_acked().text, "gone");
}

#[test]
fn a_waiting_will_is_published_when_a_clean_start_ends_its_session() {
    let stile = Stile::start("");
    let mut watcher = RawClient::connect(stile.mqtt, V5, "watcher");
    watcher.subscribe(&[("will", 1)], &[]);
    let delayed = with_will("me", 600, 600);
    come_back(&stile, &delayed).0.cut();
    wait_connections(&stile, 1.0);
    let (_parked, present) = come_back(&stile, &Connect::new(V5, "me"));
    assert!(!present);
    assert_eq!(watcher.next_acked().text, "gone");
    // The same when the connection is still open.
    let (_open, _) = come_back(&stile, &Connect { id: "two".into(), ..delayed });
    let (_new, present) = come_back(&stile, &Connect::new(V5, "two"));
    assert!(!present);
    assert_eq!(watcher.next_acked().text, "gone");
}

#[test]
fn a_client_of_mqtt_5_may_leave_and_have_its_will_published() {
    let stile = Stile::start("");
    let mut watcher = RawClient::connect(stile.mqtt, V5, "watcher");
    watcher.subscribe(&[("will", 1)], &[]);
    let (mut client, _) = come_back(&stile, &with_will("me", 0, 0));
    client.send(&[0xe0, 1, 0x04]);
    client.expect_closed();
    assert_eq!(watcher.next_acked().text, "gone");
    let (client, _) = come_back(&stile, &with_will("me", 0, 0));
    client.disconnect();
    watcher.expect_nothing();
}

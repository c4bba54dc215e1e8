//! What waits for all clients together stays within one bound, and comes back to nothing.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use stile_tests::packet::{Connect, V5, V311, ack};
use stile_tests::{Neighbour, RawClient, Stile, within};

const HELD: &str = "stile_mqtt_queue_bytes";
const DROPPED: &str = "stile_mqtt_deliveries_dropped_total{reason=\"all-queues-full\"}";
const LIMIT: f64 = 262_144.0;

fn gateway() -> Stile {
    Stile::start_in(tempfile::tempdir().unwrap(), "queue-bytes-total = 262144", "")
}

#[test]
fn clients_that_are_away_fill_what_all_share_and_one_that_is_there_loses_nothing() {
    let stile = gateway();
    let mut neighbour = Neighbour::of(&stile);
    let ids = ["one", "two", "three"];
    for id in ids {
        let mut client = RawClient::with(stile.mqtt, &Connect::persistent(V5, id));
        client.subscribe(&[("bulk", 1)], &[]);
        client.disconnect();
    }
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    for _ in 0..100 {
        publisher.publish_acked(false, "bulk", &[], "x".repeat(4000));
    }
    stile.wait_metric(DROPPED, |dropped| dropped > 0.0);
    assert!((LIMIT / 2.0..=LIMIT).contains(&stile.metric(HELD)), "{}", stile.metric(HELD));
    neighbour.is_well();
    // What was kept and what was dropped is all that there was.
    let kept = 300.0 - stile.metric(DROPPED);
    let mut clients = ids.map(|id| RawClient::with(stile.mqtt, &Connect::persistent(V5, id)));
    let mut came = 0;
    within("all that was kept comes", || {
        for client in &mut clients {
            while let Some(packet) = client.packet_within(Duration::from_millis(20)) {
                client.send(&ack(0x40, packet.publish(V5).id));
                came += 1;
            }
        }
        (f64::from(came) >= kept).then_some(())
    });
    assert_eq!(f64::from(came), kept);
    clients.iter_mut().for_each(RawClient::expect_nothing);
    stile.wait_metric(HELD, |held| held == 0.0);
}

#[test]
fn what_is_sent_and_not_acknowledged_counts_until_it_is_or_its_session_ends() {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, V5, "client");
    client.subscribe(&[("bulk", 1)], &[]);
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    for _ in 0..30 {
        publisher.publish_acked(false, "bulk", &[], "x".repeat(4000));
    }
    let ids: Vec<_> = (0..30).map(|_| client.message().id).collect();
    assert!(stile.metric(HELD) > 100_000.0, "{}", stile.metric(HELD));
    ids[..20].iter().for_each(|id| client.send(&ack(0x40, *id)));
    stile.wait_metric(HELD, |held| held < 50_000.0);
    client.cut();
    stile.wait_metric(HELD, |held| held == 0.0);
}

#[test]
fn retained_messages_for_a_client_that_does_not_read_count_too() {
    let stile = gateway();
    let mut neighbour = Neighbour::of(&stile);
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    for n in 0..40 {
        publisher.publish_acked(true, &format!("kept/{n}"), &[], "x".repeat(10_000));
    }
    // It takes one at a time, and acknowledges none.
    let mut client =
        RawClient::with(stile.mqtt, &Connect { properties: vec![0x21, 0, 1], ..Connect::new(V5, "client") });
    client.subscribe(&[("kept/#", 1)], &[]);
    stile.wait_metric(DROPPED, |dropped| (10.0..30.0).contains(&dropped));
    assert!(stile.metric(HELD) <= LIMIT);
    neighbour.is_well();
    client.disconnect();
    stile.wait_metric(HELD, |held| held == 0.0);
}

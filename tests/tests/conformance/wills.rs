//! Wills: stored, published, discarded, delayed (3.1.2, 3.1.3, 3.14.4).

use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, RawWill, V5, V311, Value, counted, session_expiry};
use stile_tests::{RawClient, Stile};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_1_2_8_a_lost_connection_publishes_the_will => a_lost_client_leaves_its_will(V311);
        mqtt_3_1_2_10_a_will_is_published_once => a_will_is_published_once(V311);
        mqtt_3_1_2_12_without_a_will_none_is_published => no_will_no_message(V311);
        mqtt_3_1_2_16_a_will_is_not_retained_unasked => will_retain(V311, false);
        mqtt_3_1_2_17_a_will_is_retained_when_asked => will_retain(V311, true);
        mqtt_3_14_4_3_disconnect_discards_the_will => disconnect_discards_the_will(V311);
    }
    v5 {
        mqtt_3_1_2_7_a_will_waits_with_its_session => a_delayed_will_waits();
        mqtt_3_1_2_8_a_lost_connection_publishes_the_will => a_lost_client_leaves_its_will(V5);
        mqtt_3_1_2_10_a_will_is_published_once => a_will_is_published_once(V5);
        mqtt_3_1_2_14_a_will_is_not_retained_unasked => will_retain(V5, false);
        mqtt_3_1_2_15_a_will_is_retained_when_asked => will_retain(V5, true);
        mqtt_3_1_3_9_a_return_within_the_delay_cancels_the_will => a_return_cancels_the_will();
        mqtt_3_1_3_10_user_properties_of_a_will_keep_their_order => user_properties_of_a_will();
        mqtt_3_14_4_3_disconnect_discards_the_will => disconnect_discards_the_will(V5);
    }
}

fn with_will(version: u8, retain: bool, properties: Vec<u8>) -> Connect {
    let will = RawWill { topic: "will", payload: "gone", retain, properties };
    Connect { will: Some(will), ..Connect::new(version, "me") }
}

/// By a cut, by a broken rule, and by a newcomer with the same identifier.
fn a_lost_client_leaves_its_will(version: u8) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "will", 1);
    let connect = with_will(version, false, vec![]);
    let join = || RawClient::with(stile.mqtt, &connect);
    join().cut();
    assert_eq!(watcher.next_acked().text, "gone");
    let mut wrong = join();
    wrong.send(&[0xf0, 0]);
    assert_eq!(watcher.next_acked().text, "gone");
    let _old = join();
    let _new = RawClient::connect(stile.mqtt, version, "me");
    assert_eq!(watcher.next_acked().text, "gone");
    watcher.expect_quiet();
}

fn a_will_is_published_once(version: u8) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "will", 1);
    let mut connect = Connect { clean: false, ..with_will(version, false, vec![]) };
    if version == V5 {
        connect.properties = session_expiry(600);
    }
    for discarded in [false, true] {
        let (client, _) = come_back(&stile, &connect);
        if discarded {
            client.disconnect();
        } else {
            client.cut();
            assert_eq!(watcher.next_acked().text, "gone");
        }
        wait_connections(&stile, 1);
        // The session goes on; its old will is not part of it any more.
        let (client, present) = come_back(&stile, &Connect { will: None, ..connect.clone() });
        assert!(present);
        client.cut();
        wait_connections(&stile, 1);
        watcher.expect_quiet();
    }
}

fn no_will_no_message(version: u8) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "#", 1);
    RawClient::connect(stile.mqtt, version, "me").cut();
    wait_connections(&stile, 1);
    watcher.expect_quiet();
}

fn will_retain(version: u8, retain: bool) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "will", 1);
    RawClient::with(stile.mqtt, &with_will(version, retain, vec![])).cut();
    assert_eq!(watcher.next_acked().text, "gone");
    let mut late = subscriber(&stile, version, "late", "will", 1);
    if retain {
        let kept = late.next_acked();
        assert_eq!((kept.text.as_str(), kept.retain), ("gone", true));
    }
    late.expect_quiet();
}

fn disconnect_discards_the_will(version: u8) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "will", 1);
    RawClient::with(stile.mqtt, &with_will(version, false, vec![])).disconnect();
    wait_connections(&stile, 1);
    watcher.expect_quiet();
}

fn delayed(seconds: u32) -> Connect {
    let properties = [&[0x18][..], &seconds.to_be_bytes()].concat();
    Connect { clean: false, properties: session_expiry(600), ..with_will(V5, false, properties) }
}

fn lose(stile: &Stile, connect: &Connect) {
    come_back(stile, connect).0.cut();
    wait_connections(stile, 1);
}

fn a_delayed_will_waits() {
    let stile = gateway();
    let mut watcher = subscriber(&stile, V5, "watcher", "will", 1);
    let started = Instant::now();
    lose(&stile, &delayed(1));
    assert_eq!(watcher.next_acked().text, "gone");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

fn a_return_cancels_the_will() {
    let stile = gateway();
    let mut watcher = subscriber(&stile, V5, "watcher", "will", 1);
    let connect = delayed(2);
    lose(&stile, &connect);
    let (client, present) = come_back(&stile, &connect);
    assert!(present);
    assert_eq!(watcher.packet_within(Duration::from_millis(3500)), None);
    client.disconnect();
}

fn user_properties_of_a_will() {
    let stile = gateway();
    let mut watcher = subscriber(&stile, V5, "watcher", "will", 1);
    let pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("", "")];
    let bytes: Vec<u8> = pairs.iter().flat_map(|(n, v)| [vec![0x26], counted(n), counted(v)].concat()).collect();
    RawClient::with(stile.mqtt, &with_will(V5, false, bytes)).cut();
    let will = watcher.next_acked();
    let got: Vec<_> = will.properties.into_iter().filter(|(kind, _)| *kind == 0x26).map(|(_, pair)| pair).collect();
    let expected = pairs.map(|(name, value)| Value::Pair(name.to_owned(), value.to_owned()));
    assert_eq!(got[..4], expected, "the gateway's own come behind");
}

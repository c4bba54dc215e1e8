//! Sessions: how long they last and what is in them (3.1.2, 4.1, 4.5).

use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, V5, V311, session_expiry};
use stile_tests::{RawClient, within};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_1_2_7_retained_messages_outlive_sessions => retained_messages_outlive_sessions();
        mqtt_4_1_0_1_a_session_is_stored_as_long_as_it_lasts => a_session_is_whole_when_its_client_returns(V311);
        mqtt_4_1_0_2_a_session_lasts_as_long_as_its_connection => a_session_lasts_while_connected(V311);
        mqtt_4_5_0_1_a_message_is_added_to_each_session => each_session_gets_it(V311);
    }
    v5 {
        mqtt_4_1_0_1_a_session_is_not_discarded_while_connected => a_session_lasts_while_connected(V5);
        mqtt_4_1_0_2_a_session_is_discarded_when_it_has_expired => a_session_expires();
        mqtt_4_5_0_1_a_message_is_added_to_each_session => each_session_gets_it(V5);
    }
}

fn retained_messages_outlive_sessions() {
    let stile = gateway();
    let mut owner = RawClient::connect(stile.mqtt, V311, "owner");
    owner.publish_acked(true, "a", &[], "kept");
    owner.disconnect();
    wait_connections(&stile, 0);
    let mut late = subscriber(&stile, V311, "late", "a", 0);
    assert_eq!(late.message().text, "kept");
}

/// Subscriptions, messages that wait and messages that were not acknowledged are all there.
fn a_session_is_whole_when_its_client_returns(version: u8) {
    let stile = gateway();
    let connect = away(&stile, version, "a", 1);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.publish_acked(false, "a", &[], "one");
    let (mut client, _) = come_back(&stile, &connect);
    assert_eq!(client.message().text, "one");
    client.disconnect();
    wait_connections(&stile, 1);
    other.publish_acked(false, "a", &[], "two");
    let (mut client, present) = come_back(&stile, &connect);
    assert!(present);
    assert_eq!([client.next_acked().text, client.next_acked().text], ["one", "two"]);
    other.publish_acked(false, "a", &[], "three");
    assert_eq!(client.next_acked().text, "three");
}

/// Whatever its expiry, none in 3.1.1 and one of a second in 5.
fn a_session_lasts_while_connected(version: u8) {
    let stile = gateway();
    let properties = if version == V5 { session_expiry(1) } else { vec![] };
    let mut client = RawClient::with(stile.mqtt, &Connect { properties, ..Connect::new(version, "me") });
    client.subscribe(&[("a", 1)], &[]);
    let until = Instant::now() + Duration::from_millis(2500);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    while Instant::now() < until {
        other.publish_acked(false, "a", &[], "x");
        assert_eq!(client.packet_within(Duration::from_secs(5)).unwrap().publish(version).text, "x");
        client.expect_quiet();
        std::thread::sleep(Duration::from_millis(250));
    }
    other.publish_acked(false, "a", &[], "still there");
    assert_eq!(client.message().text, "still there");
}

fn each_session_gets_it(version: u8) {
    let stile = gateway();
    let connect = away(&stile, version, "a/+", 1);
    let mut here: Vec<_> =
        ["a/b", "#", "+/b"].iter().map(|filter| subscriber(&stile, version, filter, filter, 1)).collect();
    let mut not = subscriber(&stile, version, "not", "a", 1);
    RawClient::connect(stile.mqtt, version, "other").publish_acked(false, "a/b", &[], "x");
    for client in &mut here {
        assert_eq!(client.next_acked().text, "x");
        client.expect_quiet();
    }
    not.expect_quiet();
    assert_eq!(come_back(&stile, &connect).0.next_acked().text, "x");
}

fn a_session_expires() {
    let stile = gateway();
    let connect = Connect { properties: session_expiry(2), clean: false, ..Connect::new(V5, "me") };
    let gone = || stile.metric("stile_mqtt_sessions") == 0.0;
    RawClient::with(stile.mqtt, &connect).disconnect();
    wait_connections(&stile, 0);
    assert!(!gone(), "it is kept for two seconds");
    within("the session expires", || gone().then_some(()));
    assert!(!come_back(&stile, &connect).1);
}

//! Messages that expire (3.3.2.3.3, 4.3.3).

use std::time::Duration;

use stile_tests::RawClient;
use stile_tests::packet::{Connect, V5, ack, publish};

use crate::common::*;

const EXPIRY: u8 = 0x02;

statements! {
    v5 {
        mqtt_3_3_2_5_an_expired_message_is_not_delivered => an_expired_message_is_dropped();
        mqtt_3_3_2_6_the_interval_is_lowered_by_the_time_spent_waiting => the_interval_is_counted_down();
        mqtt_4_3_3_7_what_has_been_sent_does_not_expire => what_was_sent_does_not_expire();
    }
}

fn expiry(seconds: u32) -> Vec<u8> {
    [&[EXPIRY][..], &seconds.to_be_bytes()].concat()
}

/// Waits as long as a message of one second lives.
fn outlive() {
    std::thread::sleep(Duration::from_millis(1200));
}

fn an_expired_message_is_dropped() {
    let stile = gateway();
    let connect = away(&stile, V5, "a", 1);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    other.publish_acked(false, "a", &expiry(1), "too late");
    other.publish_acked(false, "a", &expiry(600), "in time");
    outlive();
    let (mut client, _) = come_back(&stile, &connect);
    assert_eq!(client.next_acked().text, "in time");
    client.expect_quiet();
}

fn the_interval_is_counted_down() {
    let stile = gateway();
    let connect = away(&stile, V5, "a", 1);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    other.publish_acked(false, "a", &expiry(600), "x");
    let mut here = subscriber(&stile, V5, "here", "a", 0);
    other.publish_acked(false, "a", &expiry(600), "at once");
    assert_eq!(here.message().number(EXPIRY), Some(600));
    outlive();
    let left = come_back(&stile, &connect).0.message().number(EXPIRY).unwrap();
    assert!((500..600).contains(&left), "{left}");
}

fn what_was_sent_does_not_expire() {
    let stile = gateway();
    let connect = Connect::persistent(V5, "me");
    let (mut client, _) = come_back(&stile, &connect);
    client.subscribe(&[("a", 2)], &[]);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    other.send(&publish(V5, 4, "a", 1, &expiry(1), "x"));
    let sent = client.message();
    client.cut();
    outlive();
    let (mut client, _) = come_back(&stile, &connect);
    let again = client.message();
    assert_eq!((again.dup, again.id, again.text.as_str()), (true, sent.id, "x"));
    client.send(&ack(PUBREC, sent.id));
    assert_eq!(client.packet().first, PUBREL);
}

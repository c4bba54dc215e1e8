//! CONNECT: the first packet, its name and level, sessions that begin and go on (3.1.0, 3.1.2, 3.1.4).

use stile_tests::packet::{Connect, V5, V311, counted, packet, publish, section, subscribe};
use stile_tests::{RawClient, Stile};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_1_0_1_another_first_packet_ends_the_connection => connect_comes_first(V311);
        mqtt_3_1_0_2_a_second_connect_ends_the_connection => connect_comes_once(V311);
        mqtt_3_1_2_1_a_wrong_protocol_name_gets_no_answer => a_wrong_name_gets_no_answer(V311);
        mqtt_3_1_2_2_an_unknown_level_is_answered_with_1 => an_unknown_level_is_answered(2, &[0, 1]);
        mqtt_3_1_2_4_a_session_goes_on_and_is_kept => a_session_goes_on(V311);
        mqtt_3_1_2_5_messages_wait_for_a_client_that_is_away => messages_wait(V311);
        mqtt_3_1_2_6_a_clean_session_forgets_the_one_before_and_is_not_kept => a_clean_session(V311);
        mqtt_3_1_4_2_a_newcomer_ends_the_old_connection => a_newcomer_takes_over(V311);
        mqtt_3_1_4_3_clean_session_discards_what_was => a_clean_session(V311);
        mqtt_3_1_4_4_a_good_connect_is_answered_with_0 => a_good_connect(V311);
        mqtt_3_1_4_5_what_follows_a_rejected_connect_is_not_processed => nothing_after_a_rejection(V311);
    }
    v5 {
        mqtt_3_1_0_1_another_first_packet_ends_the_connection => connect_comes_first(V5);
        mqtt_3_1_0_2_a_second_connect_is_a_protocol_error => connect_comes_once(V5);
        mqtt_3_1_2_1_a_wrong_protocol_name_ends_the_connection => a_wrong_name_gets_no_answer(V5);
        mqtt_3_1_2_2_an_unknown_version_is_answered_with_84 => an_unknown_level_is_answered(6, &[0, 0x84, 0]);
        mqtt_3_1_2_4_a_clean_start_forgets_the_session => a_clean_session(V5);
        mqtt_3_1_2_5_a_session_goes_on => a_session_goes_on(V5);
        mqtt_3_1_2_6_a_session_begins_where_there_was_none => a_session_goes_on(V5);
        mqtt_3_1_2_23_a_session_is_stored_after_its_connection => messages_wait(V5);
        mqtt_3_1_4_3_a_newcomer_ends_the_old_connection_with_8e => a_newcomer_takes_over(V5);
        mqtt_3_1_4_4_clean_start_discards_what_was => a_clean_session(V5);
        mqtt_3_1_4_5_a_good_connect_is_answered_with_0 => a_good_connect(V5);
        mqtt_3_1_4_6_what_follows_a_rejected_connect_is_not_processed => nothing_after_a_rejection(V5);
    }
}

fn connect_comes_first(version: u8) {
    let stile = gateway();
    let mut watcher = subscriber(&stile, version, "watcher", "#", 0);
    for first in [publish(version, 0, "a", 0, &[], "x"), subscribe(version, &[("a", 0)], &[]), vec![0xc0, 0]] {
        assert_eq!(answer(&stile, version, &first), [], "{first:02x?}");
    }
    watcher.expect_quiet();
}

fn connect_comes_once(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    client.send(&Connect::new(version, "me").bytes());
    expect_ended(client, version, 0x82);
}

fn a_wrong_name_gets_no_answer(version: u8) {
    let stile = gateway();
    for name in ["MQTt", "mqtt", "MQT", "MQTTT", ""] {
        let body = [head(name, version, CLEAN), section(version, &[]), counted("me")].concat();
        assert_eq!(answer(&stile, version, &packet(0x10, &body)), [], "{name:?}");
    }
}

fn an_unknown_level_is_answered(level: u8, expected: &[u8]) {
    let stile = gateway();
    let body = [head("MQTT", level, CLEAN), counted("me")].concat();
    let packets = answer(&stile, V311, &packet(0x10, &body));
    assert_eq!(packets.len(), 1, "{packets:02x?}");
    assert_eq!((packets[0].first, packets[0].body.as_slice()), (0x20, expected));
}

fn a_session_goes_on(version: u8) {
    let stile = gateway();
    let connect = Connect::persistent(version, "me");
    let (mut client, present) = come_back(&stile, &connect);
    assert!(!present, "it begins");
    client.subscribe(&[("a", 1)], &[]);
    client.disconnect();
    let (mut client, present) = come_back(&stile, &connect);
    assert!(present, "it goes on");
    RawClient::connect(stile.mqtt, version, "other").publish_acked(false, "a", &[], "x");
    assert_eq!(client.next_acked().text, "x", "its subscription is there");
}

fn messages_wait(version: u8) {
    let stile = gateway();
    let connect = away(&stile, version, "a", 2);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.publish_acked(false, "a", &[], "one");
    other.send(&publish(version, 4, "a", 7, &[], "two"));
    assert_eq!(other.packet().first, PUBREC);
    let (mut client, present) = come_back(&stile, &connect);
    assert!(present);
    let (one, two) = (client.message(), client.message());
    assert_eq!((one.text.as_str(), one.qos, two.text.as_str(), two.qos), ("one", 1, "two", 2));
}

/// Neither does a clean session see the one before, nor does anybody see it.
fn a_clean_session(version: u8) {
    let stile = gateway();
    let connect = away(&stile, version, "a", 1);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.publish_acked(false, "a", &[], "waits");
    let (mut clean, present) = come_back(&stile, &Connect::new(version, &connect.id));
    assert!(!present);
    clean.expect_quiet();
    other.publish_acked(false, "a", &[], "the subscription is gone");
    clean.expect_quiet();
    clean.subscribe(&[("b", 1)], &[]);
    clean.disconnect();
    let (mut after, present) = come_back(&stile, &connect);
    assert!(!present, "a clean session is not kept");
    other.publish_acked(false, "b", &[], "nor is its subscription");
    after.expect_quiet();
}

fn a_newcomer_takes_over(version: u8) {
    let stile = gateway();
    let old = RawClient::connect(stile.mqtt, version, "me");
    let mut new = RawClient::connect(stile.mqtt, version, "me");
    expect_ended(old, version, 0x8e);
    new.expect_quiet();
}

fn a_good_connect(version: u8) {
    let stile = gateway();
    let (_client, connack) = RawClient::meet(stile.mqtt, &Connect::new(version, "me"));
    assert_eq!((connack.first, &connack.body[..2]), (0x20, &[0, 0][..]));
}

fn nothing_after_a_rejection(version: u8) {
    let user = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret\"\n";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", user);
    let as_ops = |id, password: &str| {
        let password = Some(password.as_bytes().to_vec());
        Connect { user: Some("ops"), password, ..Connect::new(version, id) }
    };
    let mut watcher = RawClient::with(stile.mqtt, &as_ops("watcher", "s3cret"));
    watcher.subscribe(&[("a", 1)], &[]);
    let publish = publish(version, 2, "a", 1, &[], "from a stranger");
    let packets = answer(&stile, version, &[as_ops("stranger", "guess").bytes(), publish].concat());
    assert!(packets.len() <= 1 && packets.iter().all(|p| p.kind() == 2 && p.body[1] != 0), "{packets:02x?}");
    watcher.expect_quiet();
}

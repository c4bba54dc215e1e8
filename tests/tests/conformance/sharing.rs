//! Shared subscriptions (3.8.3, 4.8.2).

use stile_tests::packet::{Connect, RawPublish, V5, ack, packet, publish, session_expiry, subscribe};
use stile_tests::{RawClient, Stile};

use crate::common::*;

const SHARED: &str = "$share/group/a";

statements! {
    v5 {
        mqtt_3_8_3_4_no_local_on_a_shared_subscription_is_a_protocol_error => no_local_is_an_error();
        mqtt_4_8_2_1_a_shared_filter_has_a_share_name => names_are_checked(&["$share/", "$share//a", "$share"]);
        mqtt_4_8_2_2_a_share_name_is_plain_and_a_filter_follows => names_have_no_wildcards();
        mqtt_4_8_2_3_the_granted_qos_is_respected => the_granted_qos();
        mqtt_4_8_2_4_qos_2_is_completed_when_its_client_returns => qos_2_stays_with_its_client(true);
        mqtt_4_8_2_5_qos_2_goes_to_no_other_when_the_session_ends => qos_2_stays_with_its_client(false);
        mqtt_4_8_2_6_what_one_refuses_goes_to_no_other => a_refusal_is_final();
    }
}

fn no_local_is_an_error() {
    let stile = gateway();
    let all = [subscribe(V5, &[(SHARED, 4)], &[]), subscribe(V5, &[("b", 4), (SHARED, 5)], &[])];
    expect_each_ends(&stile, V5, 0x82, &all);
}

/// Refused by themselves; `$share` alone is a filter like any other.
fn names_are_checked(filters: &[&str]) {
    let stile = gateway();
    for filter in filters {
        let mut client = RawClient::connect(stile.mqtt, V5, "me");
        let expected = if *filter == "$share" { 0 } else { 0x8f };
        assert_eq!(client.subscribe(&[("b", 1), (filter, 0)], &[]), [1, expected], "{filter}");
        client.disconnect();
    }
}

/// A wildcard in a name would be a misplaced one in any filter, and ends the connection like any.
fn names_have_no_wildcards() {
    names_are_checked(&["$share/g", "$share/g/"]);
    let stile = gateway();
    let all = ["$share/g+/a", "$share/g#/a", "$share/#/a"].map(|filter| subscribe(V5, &[(filter, 0)], &[]));
    expect_each_ends(&stile, V5, 0x8f, &all);
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    assert_eq!(client.subscribe(&[("$share/+/a", 0)], &[]), [0x8f], "this one is in its place");
}

fn the_granted_qos() {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    for qos in 0..3 {
        let mut member = subscriber(&stile, V5, "member", SHARED, qos);
        other.send(&publish(V5, 4, "a", 1, &[], "x"));
        assert_eq!(other.packet().first, PUBREC);
        other.send(&ack(PUBREL, 1));
        assert_eq!(other.packet().first, PUBCOMP);
        assert_eq!(member.message().qos, qos);
        member.disconnect();
    }
}

/// Two members, and the one of them that got the message, whose session lives on for these seconds.
fn one_of_two(stile: &Stile, expiry: u32, qos: u8) -> (RawClient, RawClient, Connect, RawPublish) {
    let connect = |id| Connect { clean: false, properties: session_expiry(expiry), ..Connect::new(V5, id) };
    let mut members = ["one", "two"].map(|id| RawClient::with(stile.mqtt, &connect(id)));
    for member in &mut members {
        member.subscribe(&[(SHARED, qos)], &[]);
    }
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    other.send(&publish(V5, qos << 1, "a", 1, &[], "x"));
    assert_eq!(other.packet().body, [0, 1]);
    other.disconnect();
    let [mut one, mut two] = members;
    if let Some(message) = arrived(&mut one, V5).pop() {
        return (one, two, connect("one"), message);
    }
    let message = two.message();
    (two, one, connect("two"), message)
}

fn qos_2_stays_with_its_client(session_lives: bool) {
    let stile = gateway();
    let (chosen, mut other, connect, message) = one_of_two(&stile, if session_lives { 600 } else { 0 }, 2);
    chosen.cut();
    stile.wait_metric("stile_mqtt_sessions", |n| n <= if session_lives { 2.0 } else { 1.0 });
    other.expect_quiet();
    let (mut chosen, present) = come_back(&stile, &connect);
    assert_eq!(present, session_lives);
    if session_lives {
        let again = chosen.message();
        assert_eq!((again.id, again.dup, again.text.as_str()), (message.id, true, "x"));
        chosen.send(&ack(PUBREC, again.id));
        assert_eq!(chosen.packet().first, PUBREL);
        chosen.send(&ack(PUBCOMP, again.id));
    }
    chosen.expect_quiet();
    other.expect_quiet();
}

fn a_refusal_is_final() {
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        let stile = gateway();
        let (mut chosen, mut other, connect, message) = one_of_two(&stile, 0, qos);
        let [high, low] = message.id.to_be_bytes();
        chosen.send(&packet(first, &[high, low, 0x80]));
        chosen.expect_quiet();
        chosen.disconnect();
        other.expect_quiet();
        assert!(!come_back(&stile, &connect).1);
    }
}

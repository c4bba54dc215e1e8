//! Topic filters: what they match, what is answered to them, and what several of them bring.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeSet;

use stile_tests::packet::{V5, V311, publish, subscribe};
use stile_tests::{RawClient, Stile};

const NO_LOCAL: u8 = 4;
const SUBSCRIPTION_ID: u8 = 0x0b;

/// What comes until a message under `end`.
fn topics_until(client: &mut RawClient, end: &str) -> Vec<String> {
    std::iter::from_fn(|| Some(client.next_acked().topic).filter(|topic| topic != end)).collect()
}

#[test]
fn filters_match_as_section_4_7_says() {
    let stile = Stile::start("");
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    let topics = ["a", "a/", "/a", "/", "a/b", "a/b/c", "a//c", "ä/ö", "Ω", "a b", "$own/x", "sport/tennis"];
    let cases: [(&str, &[&str]); 12] = [
        ("#", &["a", "a/", "/a", "/", "a/b", "a/b/c", "a//c", "ä/ö", "Ω", "a b", "sport/tennis"]),
        ("+", &["a", "Ω", "a b"]),
        ("+/+", &["a/", "/a", "/", "a/b", "ä/ö", "sport/tennis"]),
        ("/+", &["/a", "/"]),
        ("/#", &["/a", "/"]),
        ("a/#", &["a", "a/", "a/b", "a/b/c", "a//c"]),
        ("a/+", &["a/", "a/b"]),
        ("a/+/c", &["a/b/c", "a//c"]),
        ("+/b/#", &["a/b", "a/b/c"]),
        ("$own/#", &["$own/x"]),
        ("+/x", &[]),
        ("ä/+", &["ä/ö"]),
    ];
    for (filter, expected) in cases {
        let mut client = RawClient::connect(stile.mqtt, V311, "subscriber");
        assert_eq!(client.subscribe(&[(filter, 0), ("end/of/case", 0)], &[]), [0, 0], "{filter}");
        for topic in topics {
            publisher.publish(topic, &[], "");
        }
        publisher.publish("end/of/case", &[], "");
        let mut got = topics_until(&mut client, "end/of/case");
        got.dedup();
        // `#` matches the end of the case as well, which may come first.
        assert_eq!(got, expected, "{filter}");
        client.cut();
    }
}

#[test]
fn a_filter_that_is_none_ends_the_connection_with_its_reason() {
    let stile = Stile::start("");
    for version in [V311, V5] {
        for filter in ["a/#/b", "a#", "+a", "#/"] {
            let mut client = RawClient::connect(stile.mqtt, version, "me");
            client.send(&subscribe(version, &[("good", 0), (filter, 0)], &[]));
            let last = client.expect_closed().pop();
            let expected = (version == V5).then_some((0xe0, 0x8f));
            assert_eq!(last.map(|packet| (packet.first, packet.body[0])), expected, "{filter}");
        }
    }
}

#[test]
fn each_filter_is_answered_by_itself_when_subscribing_and_when_unsubscribing() {
    let limits = "max-topic-levels = 3\nsubscriptions-per-client = 4";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), limits, "");
    for (version, deep, quota) in [(V311, 0x80, 0x80), (V5, 0x8f, 0x97)] {
        let mut client = RawClient::connect(stile.mqtt, version, "me");
        let filters = [("good", 1), ("$share/g/a", 1), ("a/b/c/d", 1), ("also/+", 0), ("b", 2), ("c", 0), ("good", 1)];
        assert_eq!(client.subscribe(&filters, &[]), [1, 1, deep, 0, 2, quota, 1]);
        let answers = client.unsubscribe(&["good", "never", "also/+"]);
        // One for each filter in MQTT 5; 3.1.1 has none, but one answer to the packet.
        let expected: &[u8] = if version == V5 { &[0, 0, 0x11, 0] } else { &[] };
        assert_eq!(answers, expected);
        client.publish_acked(false, "good", &[], "x");
        client.expect_nothing();
        client.disconnect();
    }
}

#[test]
fn clients_may_not_write_into_the_brokers_own_topics() {
    let stile = Stile::start("");
    let mut watcher = RawClient::connect(stile.mqtt, V311, "watcher");
    watcher.subscribe(&[("$SYS/forged", 0), ("#", 0)], &[]);
    let mut new = RawClient::connect(stile.mqtt, V5, "new");
    new.send(&publish(V5, 2, "$SYS/forged", 3, &[], "x"));
    let puback = new.packet();
    assert_eq!((puback.first, &puback.body[..3]), (0x40, &[0, 3, 0x87][..]), "not authorised");
    let mut old = RawClient::connect(stile.mqtt, V311, "old");
    old.send(&publish(V311, 2, "$SYS/forged", 3, &[], "x"));
    assert_eq!(old.expect_closed(), [], "3.1.1 has no other way to say it");
    watcher.expect_nothing();
}

#[test]
fn overlapping_subscriptions_each_bring_the_message_with_their_own_identifier_and_qos() {
    let stile = Stile::start("");
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.subscribe(&[("a/+", 0)], &[SUBSCRIPTION_ID, 1]);
    client.subscribe(&[("a/#", 1)], &[SUBSCRIPTION_ID, 0xff, 0xff, 0xff, 0x7f]);
    client.subscribe(&[("#", 0)], &[]);
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    other.publish_acked(false, "a/b", &[], "x");
    let got: BTreeSet<_> = (0..3).map(|_| client.next_acked()).map(|m| (m.number(SUBSCRIPTION_ID), m.qos)).collect();
    assert_eq!(got, BTreeSet::from([(Some(1), 0), (Some(268_435_455), 1), (None, 0)]));
    client.expect_nothing();
    // The same filter again replaces its subscription.
    client.subscribe(&[("a/+", 1)], &[SUBSCRIPTION_ID, 2]);
    client.unsubscribe(&["#", "a/#"]);
    other.publish_acked(false, "a/b", &[], "y");
    let only = client.next_acked();
    assert_eq!((only.number(SUBSCRIPTION_ID), only.qos), (Some(2), 1));
    client.expect_nothing();
}

#[test]
fn no_local_keeps_a_clients_own_messages_from_it_and_nobody_elses() {
    let stile = Stile::start("");
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.subscribe(&[("a", 1 | NO_LOCAL)], &[]);
    client.publish_acked(false, "a", &[], "mine");
    client.expect_nothing();
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    other.publish_acked(false, "a", &[], "theirs");
    assert_eq!(client.next_acked().text, "theirs");
    client.expect_nothing();
}

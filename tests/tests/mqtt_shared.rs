//! Shared subscriptions and topic aliases, packet by packet.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use stile_tests::packet::{Connect, V5, V311, publish, session_expiry, subscribe};
use stile_tests::{RawClient, Stile, within};

const TOPIC_ALIAS: u8 = 0x23;
const NO_LOCAL: u8 = 4;

fn member(stile: &Stile, version: u8, id: &str, qos: u8) -> RawClient {
    let mut client = RawClient::connect(stile.mqtt, version, id);
    assert_eq!(client.subscribe(&[("$share/workers/job/+", qos)], &[]), [qos]);
    client
}

#[test]
fn a_group_takes_turns_and_each_message_goes_to_one_member() {
    let stile = Stile::start("");
    let mut members = [member(&stile, V5, "a", 1), member(&stile, V311, "b", 1), member(&stile, V5, "c", 1)];
    let mut watcher = RawClient::connect(stile.mqtt, V5, "watcher");
    watcher.subscribe(&[("job/#", 0)], &[]);
    let mut other_group = RawClient::connect(stile.mqtt, V5, "other");
    other_group.subscribe(&[("$share/others/job/+", 0)], &[]);
    let mut publisher = RawClient::connect(stile.mqtt, V5, "publisher");
    for n in 0..30 {
        publisher.publish_acked(false, &format!("job/{n}"), &[], n.to_string());
    }
    let mut got: Vec<usize> = Vec::new();
    for member in &mut members {
        got.extend((0..10).map(|_| member.next_acked().text.parse::<usize>().unwrap()));
        member.expect_nothing();
    }
    got.sort_unstable();
    assert_eq!(got, (0..30).collect::<Vec<_>>());
    for n in 0..30 {
        assert_eq!(watcher.next_acked().text, n.to_string());
        assert_eq!(other_group.next_acked().text, n.to_string());
    }
}

#[test]
fn the_others_take_over_what_a_lost_member_left_unacknowledged() {
    let stile = Stile::start("");
    let mut lost = member(&stile, V5, "lost", 1);
    let mut survivor = member(&stile, V5, "survivor", 1);
    let mut publisher = RawClient::connect(stile.mqtt, V5, "publisher");
    for n in 0..10 {
        publisher.publish_acked(false, "job/x", &[], n.to_string());
    }
    // It gets its half and acknowledges none of it.
    let unacknowledged: Vec<_> = (0..5).map(|_| lost.message().text).collect();
    lost.cut();
    let mut got: Vec<String> = (0..10).map(|_| survivor.next_acked().text).collect();
    assert!(unacknowledged.iter().all(|text| got.contains(text)), "{got:?}");
    got.sort();
    assert_eq!(got, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    survivor.expect_nothing();
}

#[test]
fn the_others_take_over_when_a_clean_start_ends_a_members_session() {
    let stile = Stile::start("");
    let mut lost = member(&stile, V5, "lost", 1);
    let mut survivor = member(&stile, V5, "survivor", 1);
    let mut publisher = RawClient::connect(stile.mqtt, V5, "publisher");
    for n in 0..10 {
        publisher.publish_acked(false, "job/x", &[], n.to_string());
    }
    for _ in 0..5 {
        lost.message();
    }
    let _newcomer = RawClient::connect(stile.mqtt, V5, "lost");
    let mut got: Vec<String> = (0..10).map(|_| survivor.next_acked().text).collect();
    got.sort();
    assert_eq!(got, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_member_that_is_away_is_passed_over_and_is_the_last_resort() {
    let stile = Stile::start("");
    let away = Connect { properties: session_expiry(3600), ..Connect::persistent(V5, "away") };
    let mut client = RawClient::with(stile.mqtt, &away);
    client.subscribe(&[("$share/workers/job/+", 1)], &[]);
    client.cut();
    within("the client is away", || (stile.metric("stile_mqtt_connections") == 0.0).then_some(()));
    let mut publisher = RawClient::connect(stile.mqtt, V5, "publisher");
    publisher.publish_acked(false, "job/1", &[], "waits");
    let mut there = member(&stile, V5, "there", 1);
    publisher.publish_acked(false, "job/2", &[], "now");
    publisher.publish_acked(false, "job/3", &[], "and now");
    assert_eq!((there.next_acked().text, there.next_acked().text), ("now".into(), "and now".into()));
    let mut client = RawClient::with(stile.mqtt, &Connect { clean: false, ..away });
    assert_eq!(client.next_acked().text, "waits");
    client.expect_nothing();
}

#[test]
fn a_shared_subscription_gets_no_retained_messages_and_ends_when_it_is_given_up() {
    let stile = Stile::start("");
    let mut publisher = RawClient::connect(stile.mqtt, V5, "publisher");
    publisher.publish_acked(true, "job/kept", &[], "old");
    let mut client = member(&stile, V5, "a", 1);
    client.expect_nothing();
    publisher.publish_acked(false, "job/x", &[], "new");
    assert_eq!(client.next_acked().text, "new");
    assert_eq!(client.unsubscribe(&["job/+", "$share/workers/job/+"]), [0, 0x11, 0]);
    publisher.publish_acked(false, "job/x", &[], "nobody's");
    client.expect_nothing();
}

#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let stile = Stile::start("");
    let mut client = RawClient::connect(stile.mqtt, V5, "a");
    client.send(&subscribe(V5, &[("$share/g/a", 1 | NO_LOCAL)], &[]));
    let last = client.expect_closed().pop().unwrap();
    assert_eq!((last.first, last.body[0]), (0xe0, 0x82));
}

fn alias(n: u16) -> Vec<u8> {
    [&[TOPIC_ALIAS][..], &n.to_be_bytes()].concat()
}

#[test]
fn a_client_may_publish_by_alias_and_a_wrong_one_ends_its_connection() {
    let stile = Stile::start("");
    let mut watcher = RawClient::connect(stile.mqtt, V5, "watcher");
    watcher.subscribe(&[("#", 0)], &[]);
    let mut client = RawClient::connect(stile.mqtt, V5, "client");
    client.publish_acked(false, "some/topic", &alias(1), "named");
    client.publish_acked(false, "", &alias(1), "by alias");
    client.publish_acked(false, "other", &alias(1), "set anew");
    client.publish_acked(false, "", &alias(1), "again");
    let got: Vec<_> = (0..4).map(|_| watcher.message()).map(|m| format!("{}={}", m.topic, m.text)).collect();
    assert_eq!(got, ["some/topic=named", "some/topic=by alias", "other=set anew", "other=again"]);
    for (n, reason) in [(2, 0x82), (1000, 0x94)] {
        let mut client = RawClient::connect(stile.mqtt, V5, "wrong");
        client.send(&publish(V5, 0, "", 0, &alias(n), "x"));
        let last = client.expect_closed().pop().unwrap();
        assert_eq!((last.first, last.body[0]), (0xe0, reason), "alias {n}");
    }
}

#[test]
fn a_client_that_takes_aliases_is_told_them_and_never_more_than_it_takes() {
    const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    let stile = Stile::start("");
    let takes_two = Connect { properties: vec![TOPIC_ALIAS_MAXIMUM, 0, 2], ..Connect::new(V5, "client") };
    let mut client = RawClient::with(stile.mqtt, &takes_two);
    client.subscribe(&[("t/+", 1)], &[]);
    let mut publisher = RawClient::connect(stile.mqtt, V5, "publisher");
    for topic in ["t/1", "t/2", "t/3", "t/1", "t/2", "t/3"] {
        publisher.publish_acked(false, topic, &[], topic);
    }
    let got: Vec<_> = (0..6).map(|_| client.next_acked()).map(|m| (m.topic.clone(), m.number(TOPIC_ALIAS))).collect();
    let expected = [("t/1", Some(1)), ("t/2", Some(2)), ("t/3", None), ("", Some(1)), ("", Some(2)), ("t/3", None)];
    assert_eq!(got, expected.map(|(topic, alias)| (topic.to_owned(), alias)));
}

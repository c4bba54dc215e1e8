//! Sessions, their subscriptions and what waits in them outlive SIGKILL; what was ended stays so.

use stile_tests::packet::{Connect, RawPublish, V5, V311, ack, publish, session_expiry};
use stile_tests::{RawClient, Stile};

use super::{BOTH, PUBACK, PUBCOMP, PUBREC, PUBREL, come_back, resume, wait_connections};

fn persistent(version: u8) -> Connect {
    Connect::persistent(version, &format!("me {version}"))
}

/// Publishes with QoS 2, to the end.
fn publish_twice_sure(client: &mut RawClient, topic: &str, text: &str) {
    client.send(&publish(V311, 4, topic, 5, &[], text));
    assert_eq!(client.packet().first, PUBREC);
    client.send(&ack(PUBREL, 5));
    assert_eq!(client.packet().first, PUBCOMP);
}

/// The next messages, in the order in which they came, each acknowledged to the end.
fn take(client: &mut RawClient, version: u8, count: usize) -> Vec<RawPublish> {
    let (mut came, mut open) = (Vec::new(), 0);
    while came.len() < count || open > 0 {
        let packet = client.packet();
        if packet.first == PUBREL {
            // Nobody acknowledges a PUBCOMP: after a kill the release may come once more.
            open = usize::saturating_sub(open, 1);
            client.send(&ack(PUBCOMP, u16::from_be_bytes([packet.body[0], packet.body[1]])));
            continue;
        }
        let message = packet.publish(version);
        open += usize::from(message.qos == 2);
        client.send(&ack(if message.qos == 2 { PUBREC } else { PUBACK }, message.id));
        came.push(message);
    }
    came
}

#[test]
fn messages_that_wait_for_an_absent_client_are_there_after_a_kill_in_their_order() {
    let mut stile = Stile::start("");
    for version in BOTH {
        let (mut client, _) = come_back(&stile, &persistent(version));
        assert_eq!(client.subscribe(&[("a/+", 2), ("b", 1)], &[]), [2, 1]);
        client.cut();
    }
    wait_connections(&stile, 0.0);
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    let expected = ["1", "2", "3", "4"].map(|text| (text.to_owned(), if text == "2" { 2 } else { 1 }));
    other.publish_acked(false, "a/x", &[], "1");
    publish_twice_sure(&mut other, "a/y", "2");
    other.publish("a/z", &[], "lost, for QoS 0 does not wait");
    other.publish_acked(false, "b", &[], "3");
    stile.kill_and_start();
    // One that came before the kill and one that came after it.
    RawClient::connect(stile.mqtt, V311, "other").publish_acked(false, "a/x", &[], "4");
    stile.kill_and_start();
    for version in BOTH {
        let mut client = resume(&stile, &persistent(version));
        let came: Vec<_> = take(&mut client, version, 4).into_iter().map(|m| (m.text, m.qos)).collect();
        assert_eq!(came, expected, "{version}");
        client.expect_nothing();
        client.cut();
    }
    stile.kill_and_start();
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    other.publish_acked(false, "b", &[], "the subscription is still there");
    for version in BOTH {
        let last = take(&mut resume(&stile, &persistent(version)), version, 1).pop().unwrap();
        assert_eq!(last.text, "the subscription is still there");
    }
}

#[test]
fn a_subscription_is_there_as_soon_as_it_is_answered_and_with_its_options() {
    let mut stile = Stile::start("");
    let me = persistent(V5);
    let (mut client, _) = come_back(&stile, &me);
    // Subscription identifier 7; no local and retain as published.
    assert_eq!(client.subscribe(&[("own", 0x04 | 1)], &[0x0b, 7]), [1]);
    assert_eq!(client.subscribe(&[("kept", 0x08 | 1), ("$share/g/shared", 1)], &[0x0b, 8]), [1, 1]);
    stile.kill_and_start();
    let mut client = resume(&stile, &me);
    client.publish_acked(false, "own", &[], "not back to its sender");
    client.expect_nothing();
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    for (topic, retain, id) in [("own", false, 7), ("kept", true, 8), ("shared", false, 8)] {
        other.publish_acked(retain, topic, &[], topic);
        let message = client.next_acked();
        assert_eq!((message.text.as_str(), message.retain, message.number(0x0b)), (topic, retain, Some(id)));
    }
    // A subscription that is made anew is the new one.
    assert_eq!(client.subscribe(&[("own", 0)], &[]), [0]);
    stile.kill_and_start();
    let mut client = resume(&stile, &me);
    RawClient::connect(stile.mqtt, V5, "other").publish_acked(false, "own", &[], "now with QoS 0");
    let message = client.message();
    assert_eq!((message.qos, message.number(0x0b)), (0, None));
}

#[test]
fn what_was_unsubscribed_stays_so() {
    let mut stile = Stile::start("");
    for version in BOTH {
        let (mut client, _) = come_back(&stile, &persistent(version));
        assert_eq!(client.subscribe(&[("a", 1), ("b", 1)], &[]), [1, 1]);
        client.unsubscribe(&["a"]);
        stile.kill_and_start();
        let mut client = resume(&stile, &persistent(version));
        let mut other = RawClient::connect(stile.mqtt, V311, "other");
        other.publish_acked(false, "a", &[], "unwanted");
        other.publish_acked(false, "b", &[], "wanted");
        assert_eq!(client.next_acked().text, "wanted");
        client.expect_nothing();
    }
}

#[test]
fn a_session_that_was_ended_by_a_clean_start_or_for_good_does_not_come_back() {
    let mut stile = Stile::start("");
    for version in BOTH {
        let (mut client, _) = come_back(&stile, &persistent(version));
        client.subscribe(&[("a", 1)], &[]);
        client.cut();
        wait_connections(&stile, 0.0);
        RawClient::connect(stile.mqtt, V311, "other").publish_acked(false, "a", &[], "for the old session");
        stile.kill_and_start();
        // Answered is done: the old session is gone, though the new one has not lived for long.
        let (client, present) = come_back(&stile, &Connect::new(version, &persistent(version).id));
        assert!(!present);
        stile.kill_and_start();
        drop(client);
        let (mut client, present) = come_back(&stile, &persistent(version));
        assert!(!present, "neither the old session nor the clean one");
        client.expect_nothing();
        client.cut();
    }
    // MQTT 5 can end a session with its last word.
    let (mut client, _) = come_back(&stile, &Connect::persistent(V5, "leaver"));
    client.subscribe(&[("a", 1)], &[]);
    client.send(&[&[0xe0, 7, 0, 5][..], &session_expiry(0)].concat());
    client.expect_closed();
    wait_connections(&stile, 0.0);
    // Nobody answers a DISCONNECT. What is answered later is on disk later, though.
    RawClient::with(stile.mqtt, &Connect::persistent(V5, "later")).subscribe(&[("a", 1)], &[]);
    stile.kill_and_start();
    let (_client, present) = come_back(&stile, &Connect::persistent(V5, "leaver"));
    assert!(!present);
}

#[test]
fn a_clean_start_with_an_expiry_begins_a_session_that_outlives_a_kill() {
    let mut stile = Stile::start("");
    let me = Connect { clean: true, ..persistent(V5) };
    let (mut client, _) = come_back(&stile, &me);
    client.subscribe(&[("old", 1)], &[]);
    let (mut client, present) = come_back(&stile, &me);
    assert!(!present);
    client.subscribe(&[("new", 1)], &[]);
    stile.kill_and_start();
    let mut client = resume(&stile, &persistent(V5));
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    other.publish_acked(false, "old", &[], "old");
    other.publish_acked(false, "new", &[], "new");
    assert_eq!(client.next_acked().text, "new");
    client.expect_nothing();
}

#[test]
fn a_session_expires_although_the_gateway_was_killed_meanwhile() {
    let mut stile = Stile::start("");
    let brief = Connect { properties: session_expiry(1), ..Connect::persistent(V5, "brief") };
    let (mut client, _) = come_back(&stile, &brief);
    client.subscribe(&[("a", 1)], &[]);
    let (mut client, _) = come_back(&stile, &Connect::persistent(V5, "long"));
    client.subscribe(&[("a", 1)], &[]);
    stile.kill_and_start();
    stile.wait_metric("stile_mqtt_sessions", |n| n == 1.0);
    let (_client, present) = come_back(&stile, &brief);
    assert!(!present);
    resume(&stile, &Connect::persistent(V5, "long"));
}

#[test]
fn a_stop_by_the_init_system_forgets_nothing_either() {
    let mut stile = Stile::start("");
    let (mut client, _) = come_back(&stile, &persistent(V311));
    client.subscribe(&[("a", 1)], &[]);
    client.cut();
    wait_connections(&stile, 0.0);
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    other.publish_acked(true, "a", &[], "kept and queued");
    other.disconnect();
    stile.stop();
    stile.start_again();
    let mut client = resume(&stile, &persistent(V311));
    let message = client.next_acked();
    assert_eq!((message.text.as_str(), message.retain), ("kept and queued", false));
    client.expect_nothing();
    let mut reader = RawClient::connect(stile.mqtt, V311, "reader");
    assert_eq!(reader.subscribe(&[("a", 1)], &[]), [1]);
    assert!(reader.next_acked().retain);
}

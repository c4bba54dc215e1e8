//! What the broker remembers of a client: sessions, what waits in them, redelivery, takeover.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use stile_tests::packet::{Connect, V5, V311, ack, publish, session_expiry};
use stile_tests::{RawClient, Stile};

const BOTH: [u8; 2] = [V311, V5];
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

fn dropped(reason: &str) -> String {
    format!("stile_mqtt_deliveries_dropped_total{{reason=\"{reason}\"}}")
}

/// Connects and says whether there was a session.
fn come_back(stile: &Stile, connect: &Connect) -> (RawClient, bool) {
    let (client, connack) = RawClient::meet(stile.mqtt, connect);
    assert_eq!(connack.body[1], 0, "{connack:02x?}");
    (client, connack.body[0] == 1)
}

fn wait_connections(stile: &Stile, count: f64) {
    stile.wait_metric("stile_mqtt_connections", |n| n == count);
}

#[test]
fn messages_with_qos_1_and_2_wait_for_a_client_that_is_away() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    let mut watcher = RawClient::connect(stile.mqtt, V311, "watcher");
    watcher.subscribe(&[("a", 0)], &[]);
    for version in BOTH {
        let me = Connect::persistent(version, &format!("me {version}"));
        let (mut client, present) = come_back(&stile, &me);
        assert!(!present);
        assert_eq!(client.subscribe(&[("a", 2)], &[]), [2]);
        client.cut();
        wait_connections(&stile, 2.0);
        other.publish_acked(false, "a", &[], "1");
        other.publish("a", &[], "lost, for QoS 0 does not wait");
        other.publish_acked(false, "a", &[], "2");
        // Handed on to one, they are handed on to all.
        while watcher.message().text != "2" {}
        let (mut client, present) = come_back(&stile, &me);
        assert!(present);
        for text in ["1", "2"] {
            let message = client.next_acked();
            assert_eq!((message.text.as_str(), message.qos, message.dup), (text, 1, false));
        }
        client.expect_nothing();
        client.disconnect();
        wait_connections(&stile, 2.0);
    }
}

#[test]
fn what_was_not_acknowledged_comes_again_with_the_dup_flag_and_its_number() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    for version in BOTH {
        let me = Connect::persistent(version, &format!("me {version}"));
        let (mut client, _) = come_back(&stile, &me);
        client.subscribe(&[("a", 1)], &[]);
        for text in ["1", "2", "3"] {
            other.publish_acked(false, "a", &[], text);
        }
        let sent = [client.message(), client.message(), client.message()];
        assert!(sent.iter().all(|m| !m.dup && m.qos == 1));
        // In another order than they came: the client may.
        client.send(&ack(PUBACK, sent[1].id));
        client.expect_nothing();
        client.cut();
        let (mut client, _) = come_back(&stile, &me);
        let again = [client.next_acked(), client.next_acked()];
        let shown = again.map(|m| (m.text, m.id, m.dup));
        assert_eq!(shown, [("1".to_owned(), sent[0].id, true), ("3".to_owned(), sent[2].id, true)]);
        client.expect_nothing();
        client.disconnect();
    }
}

#[test]
fn a_qos_2_message_is_finished_step_by_step_across_reconnects() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V311, "other");
    let me = Connect::persistent(V311, "me");
    let (mut client, _) = come_back(&stile, &me);
    client.subscribe(&[("a", 2)], &[]);
    other.send(&publish(V311, 4, "a", 5, &[], "x"));
    assert_eq!(other.packet().first, PUBREC);
    other.send(&ack(PUBREL, 5));
    assert_eq!(other.packet().first, PUBCOMP);
    let first = client.message();
    client.cut();
    let (mut client, _) = come_back(&stile, &me);
    let again = client.message();
    assert_eq!((again.id, again.qos, again.dup), (first.id, 2, true));
    client.send(&ack(PUBREC, again.id));
    assert_eq!(client.packet().first, PUBREL);
    client.cut();
    // The client has the message: only the release may come again.
    let (mut client, _) = come_back(&stile, &me);
    let release = client.packet();
    assert_eq!((release.first, &release.body[..]), (PUBREL, &again.id.to_be_bytes()[..]));
    client.send(&ack(PUBCOMP, again.id));
    client.expect_nothing();
    client.cut();
    let (mut client, _) = come_back(&stile, &me);
    client.expect_nothing();
}

#[test]
fn a_repeated_qos_2_publish_is_delivered_once_even_after_a_reconnect() {
    let stile = Stile::start("");
    let mut watcher = RawClient::connect(stile.mqtt, V311, "watcher");
    watcher.subscribe(&[("a", 0)], &[]);
    for version in BOTH {
        let me = Connect::persistent(version, &format!("me {version}"));
        let (mut client, _) = come_back(&stile, &me);
        client.send(&publish(version, 4, "a", 7, &[], "once"));
        assert_eq!(client.packet().first, PUBREC);
        client.send(&publish(version, 4 | 8, "a", 7, &[], "once"));
        assert_eq!(client.packet().first, PUBREC);
        client.cut();
        let (mut client, _) = come_back(&stile, &me);
        client.send(&publish(version, 4 | 8, "a", 7, &[], "once"));
        assert_eq!(client.packet().first, PUBREC);
        client.send(&ack(PUBREL, 7));
        assert_eq!(client.packet().first, PUBCOMP);
        // Released, the number is free for another message.
        client.send(&publish(version, 4, "a", 7, &[], "another"));
        assert_eq!(client.packet().first, PUBREC);
        assert_eq!((watcher.message().text, watcher.message().text), ("once".to_owned(), "another".to_owned()));
        watcher.expect_nothing();
        client.cut();
    }
}

#[test]
fn a_session_ends_with_its_connection_a_clean_start_or_its_expiry() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    for version in BOTH {
        let me = Connect::persistent(version, &format!("me {version}"));
        let (mut client, _) = come_back(&stile, &me);
        client.subscribe(&[("a", 1)], &[]);
        client.disconnect();
        let (mut client, present) = come_back(&stile, &Connect::new(version, &me.id));
        assert!(!present, "a clean start begins anew");
        other.publish_acked(false, "a", &[], "x");
        client.expect_nothing();
        client.disconnect();
        let (client, present) = come_back(&stile, &me);
        assert!(!present, "a clean session leaves nothing");
        client.cut();
    }
    let brief = Connect { properties: session_expiry(1), ..Connect::persistent(V5, "brief") };
    let (mut client, _) = come_back(&stile, &brief);
    client.subscribe(&[("a", 1)], &[]);
    client.cut();
    wait_connections(&stile, 1.0);
    let before = stile.metric(&dropped("session-ended"));
    other.publish_acked(false, "a", &[], "in vain");
    stile.wait_metric(&dropped("session-ended"), |n| n == before + 1.0);
    assert!(!come_back(&stile, &brief).1, "the session has expired");
}

#[test]
fn a_client_of_mqtt_5_may_change_its_sessions_expiry_when_it_leaves() {
    let stile = Stile::start("");
    let me = Connect::persistent(V5, "me");
    let (mut client, _) = come_back(&stile, &me);
    let mut farewell = vec![0xe0, 7, 0, 5];
    farewell.extend(session_expiry(0));
    client.send(&farewell);
    client.expect_closed();
    stile.wait_metric("stile_mqtt_sessions", |n| n == 0.0);
    assert!(!come_back(&stile, &me).1);
    // The other way is forbidden: a session that was to end can't be kept after all.
    let mut brief = RawClient::connect(stile.mqtt, V5, "brief");
    farewell[7] = 9;
    brief.send(&farewell);
    let last = brief.expect_closed().pop().unwrap();
    assert_eq!((last.first, last.body[0]), (0xe0, 0x82));
}

#[test]
fn a_newcomer_with_the_same_client_id_takes_the_session_over() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    for version in BOTH {
        let me = Connect::persistent(version, &format!("me {version}"));
        let (mut old, _) = come_back(&stile, &me);
        old.subscribe(&[("a", 1)], &[]);
        other.publish_acked(false, "a", &[], "1");
        assert_eq!(old.message().text, "1");
        let (mut new, present) = come_back(&stile, &me);
        assert!(present);
        let last = old.expect_closed().pop().map(|packet| (packet.first, packet.body[0]));
        assert_eq!(last, (version == V5).then_some((0xe0, 0x8e)), "session taken over");
        assert_eq!(new.next_acked().text, "1");
        other.publish_acked(false, "a", &[], "2");
        assert_eq!(new.next_acked().text, "2");
        new.expect_nothing();
        new.cut();
    }
}

#[test]
fn a_session_that_ends_with_its_connection_is_not_taken_over() {
    let stile = Stile::start("");
    for version in BOTH {
        let (mut clean, _) = come_back(&stile, &Connect::new(version, "me"));
        clean.subscribe(&[("a", 1)], &[]);
        let (mut new, present) = come_back(&stile, &Connect::persistent(version, "me"));
        assert!(!present);
        new.publish_acked(false, "a", &[], "x");
        new.expect_nothing();
        // Nor the other way round: a newcomer that wants a clean session gets one.
        new.subscribe(&[("a", 1)], &[]);
        let (mut clean, present) = come_back(&stile, &Connect::new(version, "me"));
        assert!(!present);
        clean.publish_acked(false, "a", &[], "x");
        clean.expect_nothing();
        clean.disconnect();
    }
}

#[test]
fn many_takeovers_of_one_session_at_once_leave_one_connection_and_lose_nothing() {
    let stile = Stile::start("");
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    let me = Connect::persistent(V311, "me");
    let (mut first, _) = come_back(&stile, &me);
    first.subscribe(&[("a", 1)], &[]);
    let rivals: Vec<_> = (0..20)
        .map(|_| {
            let (address, me) = (stile.mqtt, me.clone());
            std::thread::spawn(move || {
                let mut rival = RawClient::open(address, V311);
                let _ = std::io::Write::write_all(&mut rival.stream, &me.bytes());
                // Each has had its turn, or one that the gateway takes up late would come after the last.
                assert_eq!(rival.packet().kind(), 2);
                rival
            })
        })
        .collect();
    let rivals: Vec<_> = rivals.into_iter().map(|thread| thread.join().unwrap()).collect();
    wait_connections(&stile, 2.0);
    drop(rivals);
    wait_connections(&stile, 1.0);
    other.publish_acked(false, "a", &[], "still here");
    let (mut last, present) = come_back(&stile, &me);
    assert!(present);
    assert_eq!(last.next_acked().text, "still here");
}

//! Acknowledgements that SIGKILL cuts off, at each step and in both directions, go on by the book (MQTT 5.0, section 4.3.3
//! and 4.4): with the same packet identifier, and never back a step.

use stile_tests::packet::{Connect, RawPublish, V5, ack, publish};
use stile_tests::{RawClient, Stile};

use super::{BOTH, PUBACK, PUBCOMP, PUBREC, PUBREL, come_back, resume};

const ID: u16 = 700;

/// The daemon, and the session of a client with a subscription to `a` that tells what was delivered.
fn watched(version: u8) -> (Stile, Connect, Connect) {
    let stile = Stile::start("");
    let watcher = Connect::persistent(version, "watcher");
    let (mut client, _) = come_back(&stile, &watcher);
    assert_eq!(client.subscribe(&[("a", 1)], &[]), [1]);
    client.cut();
    (stile, watcher, Connect::persistent(version, "me"))
}

/// Sends a packet and gives the first byte and the reason of the answer, which must be about the same message.
#[track_caller]
fn answer(client: &mut RawClient, packet: &[u8]) -> (u8, u8) {
    client.send(packet);
    let answer = client.packet();
    assert_eq!(answer.body[..2], ID.to_be_bytes(), "{answer:02x?}");
    (answer.first, answer.body.get(2).copied().unwrap_or(0))
}

/// All that the watcher gets is this.
#[track_caller]
fn expect_delivered(stile: &Stile, watcher: &Connect, texts: &[&str]) {
    let mut client = resume(stile, watcher);
    for text in texts {
        assert_eq!(client.next_acked().text, *text);
    }
    client.expect_nothing();
    client.cut();
}

/// PUBREL is answered, whether or not it was known; then the number is free.
#[track_caller]
fn release_and_use_again(client: &mut RawClient, version: u8) {
    let (first, reason) = answer(client, &ack(PUBREL, ID));
    assert!(first == PUBCOMP && [0, 0x92].contains(&reason), "{first:02x} {reason:02x}");
    assert_eq!(answer(client, &publish(version, 4, "a", ID, &[], "another")), (PUBREC, 0));
    assert_eq!(answer(client, &ack(PUBREL, ID)), (PUBCOMP, 0));
}

#[test]
fn a_publish_that_was_received_is_known_after_a_kill_when_it_comes_again() {
    for version in BOTH {
        let (mut stile, watcher, me) = watched(version);
        let (mut client, _) = come_back(&stile, &me);
        assert_eq!(answer(&mut client, &publish(version, 4, "a", ID, &[], "once")), (PUBREC, 0));
        for _ in 0..2 {
            stile.kill_and_start();
            client = resume(&stile, &me);
            assert_eq!(answer(&mut client, &publish(version, 4 | 8, "a", ID, &[], "once")), (PUBREC, 0));
        }
        release_and_use_again(&mut client, version);
        expect_delivered(&stile, &watcher, &["once", "another"]);
    }
}

#[test]
fn a_publish_whose_pubrec_was_cut_off_is_delivered_once() {
    for version in BOTH {
        let (mut stile, watcher, me) = watched(version);
        let (mut client, _) = come_back(&stile, &me);
        client.send(&publish(version, 4, "a", ID, &[], "once"));
        // The answer may be on its way or not.
        stile.kill_and_start();
        let (mut client, _) = come_back(&stile, &me);
        assert_eq!(answer(&mut client, &publish(version, 4 | 8, "a", ID, &[], "once")), (PUBREC, 0));
        release_and_use_again(&mut client, version);
        expect_delivered(&stile, &watcher, &["once", "another"]);
    }
}

#[test]
fn a_release_that_was_cut_off_is_completed_and_its_number_is_free() {
    for (version, wait) in BOTH.into_iter().flat_map(|version| [(version, false), (version, true)]) {
        let (mut stile, watcher, me) = watched(version);
        let (mut client, _) = come_back(&stile, &me);
        assert_eq!(answer(&mut client, &publish(version, 4, "a", ID, &[], "once")), (PUBREC, 0));
        client.send(&ack(PUBREL, ID));
        if wait {
            assert_eq!(client.packet().first, PUBCOMP);
        }
        stile.kill_and_start();
        let mut client = resume(&stile, &me);
        release_and_use_again(&mut client, version);
        expect_delivered(&stile, &watcher, &["once", "another"]);
    }
}

#[test]
fn a_completed_number_stays_free_after_a_kill() {
    for version in BOTH {
        let (mut stile, watcher, me) = watched(version);
        let (mut client, _) = come_back(&stile, &me);
        assert_eq!(answer(&mut client, &publish(version, 4, "a", ID, &[], "one")), (PUBREC, 0));
        assert_eq!(answer(&mut client, &ack(PUBREL, ID)), (PUBCOMP, 0));
        stile.kill_and_start();
        let mut client = resume(&stile, &me);
        assert_eq!(answer(&mut client, &publish(version, 4, "a", ID, &[], "two")), (PUBREC, 0));
        assert_eq!(answer(&mut client, &ack(PUBREL, ID)), (PUBCOMP, 0));
        expect_delivered(&stile, &watcher, &["one", "two"]);
    }
}

/// A daemon whose client has been sent a message with this QoS.
fn sent(version: u8, qos: u8) -> (Stile, Connect, RawClient, RawPublish) {
    let stile = Stile::start("");
    let me = Connect::persistent(version, "me");
    let (mut client, _) = come_back(&stile, &me);
    assert_eq!(client.subscribe(&[("a", qos)], &[]), [qos]);
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.send(&publish(version, qos << 1, "a", 5, &[], "x"));
    assert_eq!(other.packet().first, if qos == 1 { PUBACK } else { PUBREC });
    let message = client.message();
    assert_eq!((message.text.as_str(), message.qos, message.dup), ("x", qos, false));
    (stile, me, client, message)
}

#[test]
fn a_message_that_was_sent_comes_again_after_a_kill_with_dup_and_its_number() {
    for (version, qos) in BOTH.into_iter().flat_map(|version| [(version, 1), (version, 2)]) {
        let (mut stile, me, _client, message) = sent(version, qos);
        for _ in 0..2 {
            stile.kill_and_start();
            let again = resume(&stile, &me).message();
            assert_eq!(again, RawPublish { dup: true, ..message.clone() }, "{version} {qos}");
        }
    }
}

#[test]
fn a_message_that_the_client_has_received_is_released_after_a_kill_and_not_sent_again() {
    for (version, wait) in BOTH.into_iter().flat_map(|version| [(version, false), (version, true)]) {
        let (mut stile, me, mut client, message) = sent(version, 2);
        client.send(&ack(PUBREC, message.id));
        if wait {
            assert_eq!(client.packet().first, PUBREL);
        }
        stile.kill_and_start();
        let mut client = resume(&stile, &me);
        let mut next = client.packet();
        if !wait && next.kind() == 3 {
            // The PUBREC did not get through.
            assert_eq!(next.publish(version), RawPublish { dup: true, ..message.clone() });
            client.send(&ack(PUBREC, message.id));
            next = client.packet();
        }
        assert_eq!((next.first, &next.body[..2]), (PUBREL, &message.id.to_be_bytes()[..]), "{version} {wait}");
        client.send(&ack(PUBCOMP, message.id));
        client.expect_nothing();
    }
}

#[test]
fn a_message_that_was_acknowledged_to_the_end_is_not_sent_again_as_a_message_of_qos_2() {
    for version in BOTH {
        let (mut stile, me, mut client, message) = sent(version, 2);
        client.send(&ack(PUBREC, message.id));
        assert_eq!(client.packet().first, PUBREL);
        client.send(&ack(PUBCOMP, message.id));
        client.expect_nothing();
        stile.kill_and_start();
        let mut client = resume(&stile, &me);
        // Nobody acknowledges a PUBCOMP, so the release may come once more.
        client.send(&[0xc0, 0]);
        let next = client.packet();
        if next.first == PUBREL {
            assert_eq!(next.body[..2], message.id.to_be_bytes());
            client.send(&ack(PUBCOMP, message.id));
            assert_eq!(client.packet().first, 0xd0);
        } else {
            assert_eq!(next.first, 0xd0, "{next:02x?}");
        }
        client.expect_nothing();
    }
}

#[test]
fn a_qos_2_message_that_a_member_of_a_group_may_have_is_given_to_no_other_after_a_kill() {
    let mut stile = Stile::start("");
    let me = Connect::persistent(V5, "me");
    let (mut client, _) = come_back(&stile, &me);
    assert_eq!(client.subscribe(&[("$share/g/a", 2)], &[]), [2]);
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    for id in [5, 6] {
        other.send(&publish(V5, 4, "a", id, &[], id.to_string()));
        assert_eq!(other.packet().first, PUBREC);
    }
    let sent = [client.message(), client.message()];
    stile.kill_and_start();
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    assert_eq!(other.subscribe(&[("$share/g/a", 2)], &[]), [2]);
    // With Receive Maximum 1, one of the two still waits when the client is lost again.
    let properties = [&me.properties[..], &[0x21, 0, 1]].concat();
    let mut client = resume(&stile, &Connect { properties, ..me.clone() });
    assert_eq!(client.message().text, "5");
    client.cut();
    stile.wait_metric("stile_mqtt_connections", |n| n == 1.0);
    let mut client = resume(&stile, &me);
    let again = [client.message(), client.message()];
    assert_eq!(again, sent.map(|message| RawPublish { dup: true, ..message }));
    other.expect_nothing();
}

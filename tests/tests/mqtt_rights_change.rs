//! Users and rights that change while clients are connected or away: what holds from that moment.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;

use stile_tests::packet::{Connect, RawPacket, V5, V311, ack, publish};
use stile_tests::{RawClient, Stile};

/// A user with rights of his own.
fn user(name: &str, password: &str, publish: &str, subscribe: &str) -> String {
    format!(
        "[[broker.user]]\nname = {name:?}\npassword = {password:?}\npublish = [{publish}]\nsubscribe = [{subscribe}]\n"
    )
}

const OPS: &str = "[[broker.user]]\nname = \"ops\"\npassword = \"p\"\n";

fn start(users: &str) -> Stile {
    Stile::start_in(tempfile::tempdir().unwrap(), "", &format!("{OPS}{users}"))
}

#[track_caller]
fn reload(stile: &Stile, users: &str) {
    let verdict = stile.reload("", &format!("{OPS}{users}"));
    assert_eq!(verdict["message"], "reload done", "{verdict}");
}

#[track_caller]
fn connect(stile: &Stile, version: u8, user: &'static str, id: &str) -> RawClient {
    RawClient::with(stile.mqtt, &Connect::new(version, id).by(user, "p"))
}

/// DISCONNECT with "administrative action".
fn dismissal() -> RawPacket {
    RawPacket { first: 0xe0, body: vec![0x98] }
}

#[test]
fn the_next_publish_is_judged_by_the_new_rights() {
    let stile = start(&user("dev", "p", "'a', 'b'", ""));
    let mut dev = connect(&stile, V5, "dev", "c");
    assert_eq!(dev.publish_coded(1, "b", ""), Some(0));
    reload(&stile, &user("dev", "p", "'a'", ""));
    assert_eq!(dev.publish_coded(1, "b", ""), Some(0x87));
    assert_eq!(dev.publish_coded(2, "a", ""), Some(0));
    reload(&stile, &user("dev", "p", "'b'", ""));
    assert_eq!(dev.publish_coded(2, "a", ""), Some(0x87));
    assert_eq!(dev.publish_coded(1, "b", ""), Some(0));
}

#[test]
fn what_was_taken_with_qos_2_is_not_judged_again_and_its_identifier_is_free_only_at_its_end() {
    let stile = start(&user("dev", "p", "'a', 'b'", ""));
    let mut ops = connect(&stile, V5, "ops", "ops");
    assert_eq!(ops.subscribe(&[("a", 0), ("b", 0)], &[]), [0, 0]);
    for version in [V311, V5] {
        reload(&stile, &user("dev", "p", "'a', 'b'", ""));
        let persistent = Connect::persistent(version, "c").by("dev", "p");
        let mut dev = RawClient::with(stile.mqtt, &persistent);
        dev.send(&publish(version, 4, "a", 77, &[], "once"));
        assert_eq!(dev.packet().first, 0x50);
        // To the client, that never came.
        dev.cut();
        assert_eq!(ops.message().text, "once");
        reload(&stile, &user("dev", "p", "'b'", ""));
        let mut dev = RawClient::with(stile.mqtt, &persistent);
        dev.send(&publish(version, 4 | 8, "a", 77, &[], "once"));
        let pubrec = dev.packet();
        assert_eq!((pubrec.first, pubrec.body.get(2).unwrap_or(&0)), (0x50, &0), "version {version}");
        dev.send(&ack(0x62, 77));
        assert_eq!(dev.packet().first, 0x70);
        assert_eq!(dev.publish_coded(2, "b", "next"), Some(0));
        assert_eq!(ops.message().text, "next", "and nothing before it");
        dev.disconnect();
    }
}

#[test]
fn a_subscription_delivers_only_what_is_still_allowed_and_again_what_is_allowed_again() {
    let stile = start(&user("dev", "p", "", "'a/#', 'b', 'end'"));
    let mut ops = connect(&stile, V5, "ops", "ops");
    assert_eq!(ops.subscribe(&[("b", 0)], &[]), [0]);
    let mut dev = connect(&stile, V5, "dev", "c");
    assert_eq!(dev.subscribe(&[("a/#", 0), ("b", 0), ("end", 0)], &[]), [0; 3]);
    let seen = |ops: &mut RawClient, dev: &mut RawClient| {
        ["a/x", "a/y", "b"].iter().for_each(|topic| ops.publish_acked(false, topic, &[], ""));
        // Messages of different subscriptions come in no order: the last one waits until the others are through.
        assert_eq!(ops.message().topic, "b");
        ops.publish_acked(false, "end", &[], "");
        std::iter::from_fn(|| Some(dev.message().topic).filter(|topic| topic != "end")).collect::<Vec<_>>()
    };
    assert_eq!(seen(&mut ops, &mut dev).len(), 3);
    // The subscription to a/# is wider now than a right, and would be refused. What it has is not taken from it.
    reload(&stile, &user("dev", "p", "", "'a/x', 'b', 'end'"));
    let got: BTreeSet<_> = seen(&mut ops, &mut dev).into_iter().collect();
    assert_eq!(got, BTreeSet::from(["a/x".to_owned(), "b".to_owned()]));
    reload(&stile, &user("dev", "p", "", "'+/x', 'end'"));
    assert_eq!(seen(&mut ops, &mut dev), ["a/x"], "it overlaps");
    reload(&stile, &user("dev", "p", "", "'#'"));
    assert_eq!(seen(&mut ops, &mut dev).len(), 3);
}

#[test]
fn a_new_right_under_a_granted_subscription_takes_nothing_from_it() {
    let mut stile = start(&user("dev", "p", "", "'devices/+/k/#'"));
    let persistent = Connect::persistent(V5, "c").by("dev", "p");
    let mut dev = RawClient::with(stile.mqtt, &persistent);
    assert_eq!(dev.subscribe(&[("+/1/k/#", 0)], &[]), [0]);
    let more = user("dev", "p", "", "'devices/+/k/#', 'news/1/k/#'");
    reload(&stile, &more);
    for restarted in [false, true] {
        let mut ops = connect(&stile, V5, "ops", "ops");
        for topic in ["devices/1/k/a", "news/1/k/a"] {
            ops.publish_acked(false, topic, &[], "");
            assert_eq!(dev.message().topic, topic, "restarted: {restarted}");
        }
        if !restarted {
            stile.kill();
            let path = stile.dir.path();
            std::fs::write(path.join("stile.toml"), Stile::settings(path, "", &format!("{OPS}{more}"))).unwrap();
            stile.start_again();
            dev = RawClient::with(stile.mqtt, &persistent);
        }
    }
}

#[test]
fn a_session_whose_client_is_away_loses_what_is_no_longer_allowed() {
    let stile = start(&user("dev", "p", "", "'a', 'b'"));
    let mut ops = connect(&stile, V5, "ops", "ops");
    for version in [V311, V5] {
        reload(&stile, &user("dev", "p", "", "'a', 'b'"));
        let persistent = Connect::persistent(version, "away").by("dev", "p");
        let mut dev = RawClient::with(stile.mqtt, &persistent);
        assert_eq!(dev.subscribe(&[("a", 1), ("b", 1)], &[]), [1, 1]);
        // One of each is in flight, and one of each waits.
        ops.publish_acked(false, "a", &[], "1");
        ops.publish_acked(false, "b", &[], "1");
        let in_flight = BTreeSet::from([dev.message().topic, dev.message().topic]);
        assert_eq!(in_flight, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        dev.cut();
        stile.wait_metric("stile_mqtt_connections", |count| count == 1.0);
        ops.publish_acked(false, "a", &[], "2");
        ops.publish_acked(false, "b", &[], "2");
        reload(&stile, &user("dev", "p", "", "'b'"));
        ops.publish_acked(false, "a", &[], "3");
        ops.publish_acked(false, "b", &[], "3");
        let (mut dev, connack) = RawClient::meet(stile.mqtt, &persistent);
        assert_eq!(connack.body[..2], [1, 0], "the session is there");
        let got: Vec<_> = (0..3).map(|_| dev.next_acked()).map(|m| (m.topic, m.text)).collect();
        assert_eq!(got, ["1", "2", "3"].map(|text| ("b".to_owned(), text.to_owned())), "{version}");
        dev.expect_nothing();
        dev.send(&Connect::new(version, "x").bytes());
        dev.expect_closed();
        RawClient::with(stile.mqtt, &Connect::new(version, "away").by("dev", "p")).disconnect();
    }
}

#[test]
fn of_a_message_with_qos_2_whose_right_is_gone_only_the_end_of_its_handshake_is_sent() {
    let mut stile = start(&user("dev", "p", "", "'a', 'b'"));
    for (version, restart) in [(V311, false), (V5, false), (V5, true)] {
        reload(&stile, &user("dev", "p", "", "'a', 'b'"));
        let mut ops = connect(&stile, V5, "ops", "ops");
        let persistent = Connect::persistent(version, "away").by("dev", "p");
        let mut dev = RawClient::with(stile.mqtt, &persistent);
        assert_eq!(dev.subscribe(&[("a", 2), ("b", 2)], &[]), [2, 2]);
        assert_eq!(ops.publish_coded(2, "a", "secret"), Some(0));
        let begun = dev.message();
        assert_eq!((begun.qos, &*begun.text), (2, "secret"));
        dev.cut();
        stile.wait_metric("stile_mqtt_connections", |count| count == 1.0);
        if restart {
            stile.kill();
            let path = stile.dir.path();
            let rights = user("dev", "p", "", "'b'");
            std::fs::write(path.join("stile.toml"), Stile::settings(path, "", &format!("{OPS}{rights}"))).unwrap();
            stile.start_again();
            ops = connect(&stile, V5, "ops", "ops");
        } else {
            reload(&stile, &user("dev", "p", "", "'b'"));
        }
        assert_eq!(ops.publish_coded(2, "b", "next"), Some(0));
        let mut dev = RawClient::with(stile.mqtt, &persistent);
        let packets = [dev.packet(), dev.packet()];
        let released = |packet: &&RawPacket| packet.first == 0x62 && packet.body == begun.id.to_be_bytes();
        assert_eq!(packets.iter().filter(released).count(), 1, "{version} {restart}: {packets:02x?}");
        let next = packets.iter().find(|packet| packet.kind() == 3).unwrap().publish(version);
        assert_eq!(next.text, "next");
        dev.send(&ack(0x70, begun.id));
        dev.send(&ack(0x50, next.id));
        assert_eq!(dev.packet().first, 0x62);
        dev.send(&ack(0x70, next.id));
        dev.expect_nothing();
        RawClient::with(stile.mqtt, &Connect::new(version, "away").by("dev", "p")).disconnect();
    }
}

#[test]
fn what_a_member_of_a_group_may_no_longer_get_goes_to_another_who_may() {
    let stile = start(&user("dev", "p", "", "'job'"));
    let persistent = Connect::persistent(V5, "away").by("dev", "p");
    let mut dev = RawClient::with(stile.mqtt, &persistent);
    assert_eq!(dev.subscribe(&[("$share/g/job", 1)], &[]), [1]);
    let mut ops = connect(&stile, V5, "ops", "ops");
    ops.publish_acked(false, "job", &[], "1");
    assert_eq!(dev.message().text, "1");
    dev.cut();
    stile.wait_metric("stile_mqtt_connections", |count| count == 1.0);
    ops.publish_acked(false, "job", &[], "2");
    let mut survivor = connect(&stile, V5, "ops", "survivor");
    assert_eq!(survivor.subscribe(&[("$share/g/job", 1)], &[]), [1]);
    reload(&stile, &user("dev", "p", "", ""));
    RawClient::with(stile.mqtt, &persistent).expect_nothing();
    let got = BTreeSet::from([survivor.next_acked().text, survivor.next_acked().text]);
    assert_eq!(got, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
}

#[test]
fn a_user_who_is_removed_or_has_another_password_is_sent_away_and_others_stay() {
    let stile = start(&(user("dev", "p", "'#'", "") + &user("old", "p", "'#'", "") + &user("same", "p", "", "'#'")));
    let mut same = connect(&stile, V5, "same", "same");
    assert_eq!(same.subscribe(&[("will/#", 0)], &[]), [0]);
    let with_will = |user, topic| {
        let connect = Connect::new(V5, user).by(user, "p").with_will(topic, &[]);
        RawClient::with(stile.mqtt, &connect)
    };
    let (dev, old, dev3) =
        (with_will("dev", "will/dev"), with_will("old", "will/old"), connect(&stile, V311, "dev", "3"));
    reload(&stile, &(user("old", "another", "'#'", "") + &user("same", "p", "", "'#'")));
    assert_eq!(dev.expect_closed(), [dismissal()]);
    assert_eq!(old.expect_closed(), [dismissal()]);
    assert_eq!(dev3.expect_closed(), [], "there is no word for it in 3.1.1");
    // Who is gone publishes nothing, not even his will.
    assert_eq!(same.message().topic, "will/old");
    stile.wait_metric("stile_mqtt_publishes_refused_total", |count| count == 1.0);
    same.expect_nothing();
    let refused = "stile_mqtt_clients_refused_total{reason=\"no-longer-allowed\"}";
    assert_eq!(stile.metric(refused), 3.0);
    let (_, connack) = RawClient::meet(stile.mqtt, &Connect::new(V5, "old").by("old", "p"));
    assert_eq!(connack.body[1], 0x86);
    RawClient::with(stile.mqtt, &Connect::new(V5, "old").by("old", "another")).disconnect();
}

#[test]
fn a_will_that_waits_is_judged_again_when_its_time_has_come() {
    let stile = start(&user("dev", "p", "'will/#'", ""));
    let mut ops = connect(&stile, V5, "ops", "ops");
    assert_eq!(ops.subscribe(&[("will/#", 0)], &[]), [0]);
    let delay = [0x18, 0, 0, 0, 1];
    for (id, topic) in [("one", "will/one"), ("two", "will/two")] {
        let connect = Connect::persistent(V5, id).by("dev", "p").with_will(topic, &delay);
        RawClient::with(stile.mqtt, &connect).cut();
    }
    stile.wait_metric("stile_mqtt_connections", |count| count == 1.0);
    reload(&stile, &user("dev", "p", "'will/two'", ""));
    assert_eq!(ops.message().topic, "will/two");
    stile.wait_metric("stile_mqtt_publishes_refused_total", |count| count == 1.0);
    ops.expect_nothing();
}

#[test]
fn the_first_user_ends_what_clients_without_a_name_may_do() {
    let stile = Stile::start("");
    let nameless = RawClient::connect(stile.mqtt, V5, "nameless");
    reload(&stile, "");
    assert_eq!(nameless.expect_closed(), [dismissal()]);
    let (_, connack) = RawClient::meet(stile.mqtt, &Connect::new(V5, "nameless"));
    assert_eq!(connack.body[1], 0x87);
    let verdict = stile.reload("", "");
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    RawClient::connect(stile.mqtt, V5, "nameless").disconnect();
}

#[test]
fn a_session_is_not_given_to_another_user_with_the_same_client_id() {
    let stile = start(&user("dev", "p", "", "'#'"));
    let mut dev = RawClient::with(stile.mqtt, &Connect::persistent(V5, "shared").by("dev", "p"));
    assert_eq!(dev.subscribe(&[("secret", 1)], &[]), [1]);
    dev.disconnect();
    let mut ops = connect(&stile, V5, "ops", "ops");
    ops.publish_acked(false, "secret", &[], "for dev");
    let (mut thief, connack) = RawClient::meet(stile.mqtt, &Connect::persistent(V5, "shared").by("ops", "p"));
    assert_eq!(connack.body[..2], [0, 0], "no session is there");
    ops.publish_acked(false, "secret", &[], "and again");
    assert_eq!(thief.subscribe(&[("end", 0)], &[]), [0]);
    ops.publish_acked(false, "end", &[], "");
    assert_eq!(thief.message().topic, "end", "and nothing before it");
}

#[test]
fn another_user_who_takes_a_client_id_silences_neither_the_will_nor_the_shared_subscription() {
    let stile = start(&(user("dev", "p", "'will'", "'job'") + &user("thief", "p", "", "")));
    let mut ops = connect(&stile, V5, "ops", "ops");
    let mut survivor = connect(&stile, V5, "ops", "survivor");
    assert_eq!(survivor.subscribe(&[("will", 0)], &[]), [0]);
    let delay = [0x18, 0, 0, 1, 0];
    let connect = Connect::persistent(V5, "taken").by("dev", "p").with_will("will", &delay);
    let mut dev = RawClient::with(stile.mqtt, &connect);
    assert_eq!(dev.subscribe(&[("$share/g/job", 1)], &[]), [1]);
    ops.publish_acked(false, "job", &[], "not acknowledged");
    assert_eq!(dev.message().text, "not acknowledged");
    assert_eq!(survivor.subscribe(&[("$share/g/job", 1)], &[]), [1]);
    let _thief = RawClient::with(stile.mqtt, &Connect::persistent(V5, "taken").by("thief", "p"));
    assert_eq!(dev.expect_closed(), [RawPacket { first: 0xe0, body: vec![0x8e] }]);
    let got = BTreeSet::from([survivor.next_acked().text, survivor.next_acked().text]);
    assert_eq!(got, BTreeSet::from(["gone".to_owned(), "not acknowledged".to_owned()]));
}

#[test]
fn a_session_keeps_its_user_and_is_judged_by_his_rights_after_a_restart() {
    let mut stile = start(&user("dev", "p", "", "'a', 'b'"));
    let persistent = |user, id| Connect::persistent(V5, id).by(user, "p");
    for id in ["one", "two"] {
        let mut dev = RawClient::with(stile.mqtt, &persistent("dev", id));
        assert_eq!(dev.subscribe(&[("a", 1), ("b", 1)], &[]), [1, 1]);
        dev.disconnect();
    }
    let say = |stile: &Stile| {
        let mut ops = connect(stile, V5, "ops", "ops");
        ["a", "b"].iter().for_each(|topic| ops.publish_acked(false, topic, &[], ""));
    };
    say(&stile);
    stile.kill();
    let path = stile.dir.path();
    let rights = user("dev", "p", "", "'b'");
    std::fs::write(path.join("stile.toml"), Stile::settings(path, "", &format!("{OPS}{rights}"))).unwrap();
    stile.start_again();
    say(&stile);
    let (_, connack) = RawClient::meet(stile.mqtt, &persistent("ops", "two"));
    assert_eq!(connack.body[..2], [0, 0], "it is dev's");
    let (mut dev, connack) = RawClient::meet(stile.mqtt, &persistent("dev", "one"));
    assert_eq!(connack.body[..2], [1, 0]);
    assert_eq!((dev.next_acked().topic, dev.next_acked().topic), ("b".to_owned(), "b".to_owned()));
    dev.expect_nothing();
}

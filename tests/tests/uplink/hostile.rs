//! Remotes that refuse, have limits, break rules, or say nothing: played packet by packet.

use std::time::Duration;

use rumqttc::QoS;
use stile_tests::packet::{V5, ack, counted, packet};
use stile_tests::{Client, PlayedBroker, PlayedClient, Stile};

use super::{EVERYTHING, dropped, start, uplink, wait_drained};

const PUBACK: u8 = 0x40;

/// CONNACK of MQTT 5: a reason, and properties as bytes.
fn connack(reason: u8, properties: &[u8]) -> Vec<u8> {
    packet(0x20, &[&[0, reason, properties.len() as u8][..], properties].concat())
}

/// A played remote, and a daemon that it has let in.
fn joined(properties: &[u8], topics: &str, more: &str) -> (PlayedBroker, Stile, PlayedClient) {
    let remote = PlayedBroker::start();
    let stile = start(&uplink("up", remote.address(), topics, more));
    let (mut client, _) = remote.meet();
    client.send(&connack(0, properties));
    (remote, stile, client)
}

/// The next PUBLISH that is no state.
#[track_caller]
fn message(client: &mut PlayedClient) -> stile_tests::packet::RawPublish {
    loop {
        let publish = client.publish(V5);
        if !publish.topic.starts_with("stile/") {
            return publish;
        }
    }
}

#[test]
fn refusals_are_told_of_with_a_remedy_and_nothing_is_lost_meanwhile() {
    let remote = PlayedBroker::start();
    let stile = start(&uplink("up", remote.address(), EVERYTHING, "[uplink.spool]\ninterval = \"1ms\""));
    let (mut client, _) = remote.meet();
    client.send(&connack(0x87, &[]));
    let line = stile.wait_log("no connection to the remote; it is tried again, and messages are kept");
    assert!(line["error"].as_str().unwrap().contains("not authorized; ask there for the right"), "{line}");
    Client::connect(stile.mqtt, "here").publish("n/1", QoS::AtLeastOnce, false, "kept");
    // What is no CONNACK, and what is no MQTT.
    for bytes in [packet(0xd0, &[]), vec![0xff; 100], packet(0x20, &[1, 0x87, 0])] {
        let (mut client, _) = remote.meet();
        client.send(&bytes);
        assert!(client.packet_within(Duration::from_secs(20)).is_none(), "it hangs up");
    }
    let (mut client, _) = remote.meet();
    client.send(&connack(0, &[]));
    let publish = message(&mut client);
    assert_eq!(publish.text, "kept");
    client.send(&ack(PUBACK, publish.id));
    wait_drained(&stile, "up");
}

#[test]
fn limits_of_the_remote_are_kept_and_what_they_forbid_is_told_of_on_dead() {
    // Receive maximum 2, no retained messages, packets of 400 bytes.
    let limits = [&[0x21, 0, 2][..], &[0x25, 0], &[0x27, 0, 0, 1, 0x90]].concat();
    let (_remote, stile, mut client) = joined(&limits, EVERYTHING, "[uplink.spool]\ninterval = \"1ms\"");
    let here = Client::connect(stile.mqtt, "here");
    here.subscribe("stile/test/uplink/up/dead", QoS::AtLeastOnce);
    here.publish("n/large", QoS::AtLeastOnce, false, "x".repeat(500));
    let dead = here.next().json();
    assert_eq!((&dead["reason"], &dead["topic"]), (&"too-large".into(), &"n/large".into()), "{dead}");
    for number in 1..=4 {
        here.publish("n/1", QoS::AtLeastOnce, true, number.to_string());
    }
    let two = [message(&mut client), message(&mut client)];
    assert!(two.iter().all(|publish| publish.qos == 1 && !publish.retain));
    assert!(client.packet_within(Duration::from_millis(300)).is_none(), "no more than two are under way");
    client.send(&ack(PUBACK, two[0].id));
    assert_eq!(message(&mut client).text, "3");
    // Refused for good: told of, and the next one comes.
    client.send(&packet(PUBACK, &[&two[1].id.to_be_bytes()[..], &[0x87]].concat()));
    let dead = here.next().json();
    assert_eq!((&dead["reason"], &dead["payload"]), (&"refused".into(), &"2".into()), "{dead}");
    assert_eq!(message(&mut client).text, "4");
    assert_eq!((dropped(&stile, "up", "too-large"), dropped(&stile, "up", "refused")), (1.0, 1.0));
}

#[test]
fn limits_that_the_settings_or_a_profile_name_are_kept_without_a_word_of_the_remotes() {
    let more = "[uplink.spool]\ninterval = \"1ms\"\n[uplink.limits]\npayload = 100\ntopic-levels = 3\nretain = false";
    let (_remote, stile, mut client) = joined(&[], EVERYTHING, more);
    let here = Client::connect(stile.mqtt, "here");
    here.subscribe("stile/test/uplink/up/dead", QoS::AtLeastOnce);
    here.publish("n/large", QoS::AtLeastOnce, false, "x".repeat(101));
    assert_eq!(here.next().json()["reason"], "too-large");
    here.publish("n/a/b/c", QoS::AtLeastOnce, false, "deep");
    assert_eq!(here.next().json()["reason"], "bad-topic");
    here.publish("n/1", QoS::AtLeastOnce, true, "good");
    let publish = message(&mut client);
    assert_eq!((publish.text.as_str(), publish.retain), ("good", false));
}

#[test]
fn acknowledgements_for_nothing_end_no_message() {
    let (remote, stile, mut client) = joined(&[], EVERYTHING, "[uplink.spool]\ninterval = \"1ms\"");
    Client::connect(stile.mqtt, "here").publish("n/1", QoS::AtLeastOnce, false, "one");
    let publish = message(&mut client);
    for id in [publish.id + 1, 60_000, 0xffff] {
        client.send(&ack(PUBACK, id));
    }
    for first in [0x50, 0x70] {
        client.send(&ack(first, publish.id));
    }
    drop(client);
    let line = stile.wait_log("no connection to the remote; it is tried again, and messages are kept");
    assert!(line["error"].as_str().unwrap().contains("acknowledged anything, at `n/1`"), "{line}");
    let (mut client, _) = remote.meet();
    client.send(&connack(0, &[]));
    let again = message(&mut client);
    assert_eq!((again.text.as_str(), again.dup), ("one", false), "the remote has forgotten the session");
    client.send(&ack(PUBACK, again.id));
    wait_drained(&stile, "up");
}

#[test]
fn a_message_of_qos_2_is_known_again_after_a_kill_where_the_remote_has_the_session() {
    let remote = PlayedBroker::start();
    let rules = "{ filter = \"n/#\", qos = 2 }";
    let mut stile = start(&uplink("up", remote.address(), rules, "[uplink.spool]\ninterval = \"1ms\""));
    let (mut client, connect) = remote.meet();
    assert_eq!(connect.body[7] & 2, 0, "it wants the session that there is");
    client.send(&connack(0, &[]));
    let here = Client::connect(stile.mqtt, "here");
    here.publish("n/1", QoS::AtLeastOnce, false, "one");
    here.publish("n/1", QoS::AtLeastOnce, false, "two");
    let sent = [message(&mut client), message(&mut client)];
    stile.kill();
    stile.start_again();
    let (mut client, _) = remote.meet();
    client.send(&packet(0x20, &[1, 0, 0]));
    let again = [message(&mut client), message(&mut client)];
    assert_eq!(again.each_ref().map(|publish| publish.id), sent.each_ref().map(|publish| publish.id));
    for publish in &again {
        client.send(&ack(0x50, publish.id));
        let release = client.packet();
        assert_eq!((release.kind(), &release.body[..2]), (6, &publish.id.to_be_bytes()[..]));
    }
    // Released, and the connection is lost: only the release comes again.
    drop(client);
    let (mut client, _) = remote.meet();
    client.send(&packet(0x20, &[1, 0, 0]));
    let mut released = Vec::new();
    while released.len() < 2 {
        let packet = client.packet();
        match packet.kind() {
            6 => released.push(u16::from_be_bytes([packet.body[0], packet.body[1]])),
            kind => assert!(kind == 3 && packet.publish(V5).topic.starts_with("stile/"), "{packet:?}"),
        }
    }
    assert_eq!(released, sent.each_ref().map(|publish| publish.id));
    released.iter().for_each(|id| client.send(&ack(0x70, *id)));
    wait_drained(&stile, "up");
}

#[test]
fn a_remote_that_takes_no_acknowledged_messages_is_told_of() {
    let (_remote, stile, _client) = joined(&[0x24, 0], EVERYTHING, "");
    let line = stile.wait_log("no connection to the remote; it is tried again, and messages are kept");
    assert!(line["error"].as_str().unwrap().contains("write `qos = 0`"), "{line}");
}

#[test]
fn a_remote_that_says_nothing_any_more_is_given_up_and_tried_again() {
    // Server keep alive: one second.
    let (remote, stile, mut client) = joined(&[0x13, 0, 1], EVERYTHING, "");
    let ping = std::iter::from_fn(|| Some(client.packet())).find(|packet| packet.kind() == 12);
    assert!(ping.is_some());
    let (_again, _) = remote.meet();
    let line = stile.wait_log("no connection to the remote; it is tried again, and messages are kept");
    assert!(line["error"].as_str().unwrap().contains("nothing was heard"), "{line}");
}

#[test]
fn what_the_remote_may_not_send_is_let_go_or_ends_the_connection() {
    let rules = "{ filter = \"in/#\", direction = \"in\" }";
    let (remote, stile, mut client) = joined(&[], rules, "max-packet-size = 1024");
    let here = Client::connect(stile.mqtt, "here");
    here.subscribe("#", QoS::AtLeastOnce);
    let publish = |topic: &str, payload: &str| packet(0x30, &[&counted(topic)[..], &[0], payload.as_bytes()].concat());
    let deep = format!("in/{}", "x/".repeat(200));
    for topic in ["$SYS/in", "other", &deep] {
        client.send(&publish(topic, "no"));
    }
    client.send(&publish("in/1", "yes"));
    assert_eq!(here.next_where(|message| !message.topic.starts_with("stile/")).text(), "yes");
    assert_eq!(stile.metric("stile_uplink_unwanted_total{uplink=\"up\"}"), 3.0);
    client.send(&publish("in/1", &"x".repeat(2000)));
    let (_again, _) = remote.meet();
    let line = stile.wait_log("no connection to the remote; it is tried again, and messages are kept");
    assert!(line["error"].as_str().unwrap().contains("raise `max-packet-size`"), "{line}");
}

//! Messages that are held for a plugin, over the end of the process too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::Path;
use std::time::Duration;

use stile_tests::packet::{Connect, V5, V311, ack, publish};
use stile_tests::{RawClient, Stile, SwitchedPort, counter, serial, within};

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;
const WAITING: &str = "stile_plugin_held{plugin=\"counter\",place=\"waiting\"}";
const APART: &str = "stile_plugin_held{plugin=\"counter\",place=\"apart\"}";

/// A gateway with this component under the name of the counter, and a client's session that waits for what comes of it.
fn start(component: &[u8], limits: &str) -> (Stile, Connect) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("counter.wasm"), component).unwrap();
    let settings = settings(dir.path(), "t", limits);
    let stile = Stile::start_in(dir, "", &settings);
    let me = Connect::persistent(V5, "me");
    let mut client = RawClient::with(stile.mqtt, &me);
    assert_eq!(client.subscribe(&[("t", 1)], &[]), [1]);
    client.cut();
    stile.wait_metric("stile_mqtt_connections", |n| n == 0.0);
    (stile, me)
}

fn settings(dir: &Path, topic: &str, limits: &str) -> String {
    let file = dir.join("counter.wasm");
    format!(
        "[[plugin]]\nname = \"counter\"\nfile = {file:?}\ntopics = [{topic:?}]\ngrants = [\"kv\"]\non-failure = \"hold\"\n\
         [plugin.limits]\n{limits}\n"
    )
}

fn send(stile: &Stile, payloads: &[&str]) {
    let mut client = RawClient::connect(stile.mqtt, V5, "sends");
    for payload in payloads {
        client.publish_acked(false, "t", &[], payload);
    }
    client.disconnect();
}

/// What came to the session, until so many have. What it had acknowledged may come once more after a kill, as DUP: that it
/// was is written within a second.
#[track_caller]
fn came(stile: &Stile, me: &Connect, count: usize) -> Vec<String> {
    let mut client = RawClient::with(stile.mqtt, me);
    let messages = std::iter::repeat_with(|| client.next_acked()).filter(|message| !message.dup);
    let came = messages.take(count).map(|message| message.text).collect();
    client.expect_nothing();
    client.disconnect();
    came
}

fn held(stile: &Stile) -> u64 {
    stile.ledger()["ledger"]["held"].as_u64().unwrap()
}

/// Waits until so many are held: after a start a plugin that loads is asked about each once more, and the message is under
/// way meanwhile.
fn wait_held(stile: &Stile, count: u64) {
    within("so many are held", || (held(stile) == count).then_some(()));
}

#[test]
fn a_message_that_the_plugin_fails_at_is_acknowledged_outlives_a_kill_and_goes_on_when_another_version_can_judge_it() {
    let (mut stile, me) = start(&counter("(unreachable)"), "");
    send(&stile, &["a", "x1", "b", "x2"]);
    assert_eq!(came(&stile, &me, 2), ["a", "b"], "it holds up no other");
    assert_eq!((stile.metric(APART), stile.metric(WAITING), held(&stile)), (2.0, 0.0, 2));
    stile.kill_and_start();
    stile.wait_metric("stile_plugin_failed_total{plugin=\"counter\"}", |failed| failed == 2.0);
    stile.wait_metric(APART, |apart| apart == 2.0);
    send(&stile, &["c"]);
    assert_eq!(came(&stile, &me, 1), ["c"]);
    std::fs::write(stile.dir.path().join("counter.wasm"), counter("(nop)")).unwrap();
    let verdict = stile.reload("", &settings(stile.dir.path(), "t", ""));
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    assert_eq!(came(&stile, &me, 2), ["x1", "x2"]);
    wait_held(&stile, 0);
    stile.wait_metric(APART, |apart| apart == 0.0);
    stile.stop();
    stile.start_again();
    assert_eq!(held(&stile), 0, "they are let go on disk too");
}

#[test]
fn while_a_plugin_can_t_be_loaded_its_messages_wait_in_order_and_go_on_before_newer_ones() {
    let (mut stile, me) = start(b"no component", "");
    send(&stile, &["1", "2", "3"]);
    assert_eq!(stile.metric(WAITING), 3.0);
    stile.kill_and_start();
    send(&stile, &["4"]);
    assert_eq!((stile.metric(WAITING), held(&stile)), (4.0, 4));
    assert_eq!(stile.metric("stile_messages_received_total{door=\"held\"}"), 3.0);
    assert!(came(&stile, &me, 0).is_empty());
    stile.stop();
    std::fs::write(stile.dir.path().join("counter.wasm"), counter("(nop)")).unwrap();
    stile.start_again();
    send(&stile, &["5"]);
    assert_eq!(came(&stile, &me, 5), ["1", "2", "3", "4", "5"]);
    stile.stop();
    stile.start_again();
    assert!(came(&stile, &me, 0).is_empty(), "nothing comes twice");
    assert_eq!(held(&stile), 0);
}

#[test]
fn where_there_is_no_room_the_newest_is_dropped_with_a_reason_and_not_acknowledged() {
    let (stile, _) = start(b"no component", "held-bytes = 512");
    send(&stile, &["1", "2"]);
    let mut client = RawClient::connect(stile.mqtt, V5, "sends");
    client.send(&publish(V5, 2, "t", 9, &[], "3"));
    let answer = client.packet_within(Duration::from_secs(20));
    assert!(answer.as_ref().is_none_or(|answer| answer.first != PUBACK), "{answer:02x?}");
    assert_eq!((stile.dropped("held-full"), held(&stile)), (1, 2));
}

/// Sends a packet of a handshake and gives the first byte of the answer, which is about the same message and no refusal.
#[track_caller]
fn answer(client: &mut RawClient, packet: &[u8]) -> u8 {
    client.send(packet);
    let answer = client.packet();
    assert!(answer.body[..2] == [0, 9] && answer.body.get(2).is_none_or(|reason| *reason == 0), "{answer:02x?}");
    answer.first
}

#[test]
fn a_publication_of_qos_2_that_is_held_comes_once_however_often_it_is_sent_and_the_gateway_killed() {
    for (version, component) in [(V311, b"no component".to_vec()), (V5, counter("(unreachable)"))] {
        let (mut stile, me) = start(&component, "");
        let publisher = Connect::persistent(version, "exactly once");
        let message = |dup: u8| publish(version, dup | 4, "t", 9, &[], "x");
        let mut client = RawClient::with(stile.mqtt, &publisher);
        assert_eq!(answer(&mut client, &message(0)), PUBREC);
        for _ in 0..2 {
            stile.kill_and_start();
            client = RawClient::with(stile.mqtt, &publisher);
            assert_eq!(answer(&mut client, &message(8)), PUBREC, "it is known");
        }
        wait_held(&stile, 1);
        assert!(came(&stile, &me, 0).is_empty());
        std::fs::write(stile.dir.path().join("counter.wasm"), counter("(nop)")).unwrap();
        stile.kill_and_start();
        assert_eq!(came(&stile, &me, 1), ["x"]);
        client = RawClient::with(stile.mqtt, &publisher);
        assert_eq!(answer(&mut client, &message(8)), PUBREC, "it is known though it is held no more");
        assert_eq!(answer(&mut client, &ack(PUBREL, 9)), PUBCOMP);
        stile.stop();
        stile.start_again();
        assert!(came(&stile, &me, 0).is_empty());
        assert_eq!(held(&stile), 0);
    }
}

#[test]
fn a_command_for_a_radio_that_was_held_over_a_kill_is_sent_once_when_the_plugin_works() {
    let dir = tempfile::tempdir().unwrap();
    let component = dir.path().join("counter.wasm");
    std::fs::write(&component, b"no component").unwrap();
    let port = SwitchedPort::plugged(dir.path());
    let settings = settings(dir.path(), "serial/+/down", "") + &serial("a", &port, "framing = \"line\"");
    let mut stile = Stile::start_in(dir, "", &settings);
    let mut client = RawClient::connect(stile.mqtt, V5, "sends");
    for command in ["open", "close"] {
        client.publish_acked(false, "serial/a/down", &[], command);
    }
    client.cut();
    assert_eq!(held(&stile), 2);
    stile.kill_and_start();
    stile.wait_online("a");
    wait_held(&stile, 2);
    assert!(port.pty().read_some(1).is_empty());
    std::fs::write(&component, counter("(nop)")).unwrap();
    stile.kill_and_start();
    assert_eq!(port.pty().read(11), b"open\nclose\n");
    wait_held(&stile, 0);
    stile.stop();
    stile.start_again();
    stile.wait_online("a");
    assert_eq!(stile.metric("stile_messages_received_total{door=\"held\"}"), 0.0);
    assert!(port.pty().read_until_silent(Duration::from_millis(300)).is_empty());
}

#[test]
fn where_plugins_change_places_each_judges_a_held_message_once() {
    for broken in ["first", "second"] {
        let dir = tempfile::tempdir().unwrap();
        let plugin = |name: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, if name == broken { b"no component".to_vec() } else { counter("(nop)") }).unwrap();
            format!(
                "[[plugin]]\nname = {name:?}\nfile = {file:?}\ntopics = [\"t\", \"{name}\"]\ngrants = [\"kv\"]\n\
                 on-failure = \"hold\"\n"
            )
        };
        let (first, second) = (plugin("first"), plugin("second"));
        let mut stile = Stile::start_in(dir, "", &format!("{first}{second}"));
        send(&stile, &["c"]);
        assert_eq!(held(&stile), 1);
        stile.kill();
        std::fs::write(stile.dir.path().join(broken), counter("(nop)")).unwrap();
        let settings = Stile::settings(stile.dir.path(), "", &format!("{second}{first}"));
        std::fs::write(stile.dir.path().join("stile.toml"), settings).unwrap();
        stile.start_again();
        wait_held(&stile, 0);
        let mut client = RawClient::connect(stile.mqtt, V5, "asks");
        for name in ["first", "second"] {
            client.subscribe(&[(name, 0)], &[]);
            client.publish(name, &[], "?");
            assert_eq!(client.message().text, "1/1", "what {name} has counted, when {broken} was broken");
        }
    }
}

//! Messages that are held for a plugin, over the end of the process too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::Path;
use std::time::Duration;

use stile_tests::packet::{Connect, V5, publish};
use stile_tests::{RawClient, Stile, counter};

const PUBACK: u8 = 0x40;
const WAITING: &str = "stile_plugin_held{plugin=\"counter\",place=\"waiting\"}";
const APART: &str = "stile_plugin_held{plugin=\"counter\",place=\"apart\"}";

/// A gateway with this component under the name of the counter, and a client's session that waits for what comes of it.
fn start(component: &[u8], limits: &str) -> (Stile, Connect) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("counter.wasm"), component).unwrap();
    let settings = settings(dir.path(), limits);
    let stile = Stile::start_in(dir, "", &settings);
    let me = Connect::persistent(V5, "me");
    let mut client = RawClient::with(stile.mqtt, &me);
    assert_eq!(client.subscribe(&[("t", 1)], &[]), [1]);
    client.cut();
    stile.wait_metric("stile_mqtt_connections", |n| n == 0.0);
    (stile, me)
}

fn settings(dir: &Path, limits: &str) -> String {
    let file = dir.join("counter.wasm");
    format!(
        "[[plugin]]\nname = \"counter\"\nfile = {file:?}\ntopics = [\"t\"]\ngrants = [\"kv\"]\non-failure = \"hold\"\n\
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
    let verdict = stile.reload("", &settings(stile.dir.path(), ""));
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    assert_eq!(came(&stile, &me, 2), ["x1", "x2"]);
    assert_eq!((stile.metric(APART), held(&stile)), (0.0, 0));
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

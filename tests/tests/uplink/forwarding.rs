//! What goes to a remote and comes from there, under what name, and what is said of it.

use std::time::Duration;

use rumqttc::QoS;
use stile_tests::{Client, Mosquitto, V5Client, check, within};

use super::{EVERYTHING, dropped, keep, sink, start, uplink, wait_drained, wait_online};

#[test]
fn messages_go_out_under_the_remote_prefix_and_come_in_under_the_local_one() {
    let remote = Mosquitto::start();
    let rules = "{ filter = \"a/#\", remote-prefix = \"site/\" }, \
        { filter = \"b/#\", direction = \"in\", qos = 2, local-prefix = \"cloud/\" }";
    let stile = start(&uplink("up", remote.address, rules, ""));
    wait_online(&stile, "up");
    let (there, here) = (V5Client::connect(remote.address, "there"), V5Client::connect(stile.mqtt, "here"));
    there.subscribe("site/#", QoS::ExactlyOnce);
    here.subscribe("cloud/#", QoS::ExactlyOnce);
    here.publish("c/1", QoS::AtLeastOnce, false, "not for there");
    here.publish("a/1", QoS::ExactlyOnce, false, "out");
    let out = there.next();
    assert_eq!((out.topic.as_str(), out.text(), out.qos), ("site/a/1", "out", 1));
    assert_eq!(out.property("stile-origin"), Some("client:here"));
    for (qos, number) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 1), (QoS::ExactlyOnce, 2)] {
        there.publish("b/1", qos, false, "in");
        let message = here.next();
        assert_eq!((message.topic.as_str(), message.text(), message.qos), ("cloud/b/1", "in", number));
        assert_eq!(message.property("stile-origin"), Some("uplink:up"));
    }
    wait_drained(&stile, "up");
    let ledger = stile.ledger();
    assert_eq!(ledger["ledger"]["received"]["uplink"], 3, "{ledger:#}");
}

#[test]
fn what_goes_both_ways_does_not_come_back() {
    let remote = Mosquitto::start();
    let stile =
        start(&uplink("up", remote.address, "{ filter = \"#\", direction = \"both\", local-prefix = \"x/\" }", ""));
    wait_online(&stile, "up");
    let (there, here) = (Client::connect(remote.address, "there"), Client::connect(stile.mqtt, "here"));
    there.subscribe("#", QoS::AtLeastOnce);
    here.subscribe("x/#", QoS::AtLeastOnce);
    here.publish("x/1", QoS::AtLeastOnce, false, "from here");
    assert_eq!(here.next().text(), "from here");
    there.next_where(|message| message.topic == "1");
    there.publish("2", QoS::AtLeastOnce, false, "from there");
    assert_eq!(here.next().topic, "x/2");
    there.next_where(|message| message.topic == "2");
    here.expect_silence(Duration::from_millis(300));
    there.expect_silence(Duration::from_millis(300));
}

#[test]
fn each_side_is_told_whether_the_other_is_there() {
    let remote = Mosquitto::start();
    let mut stile = start(&uplink("up", remote.address, EVERYTHING, ""));
    wait_online(&stile, "up");
    let (there, here) = (Client::connect(remote.address, "there"), Client::connect(stile.mqtt, "here"));
    let topic = "stile/test/uplink/up/state";
    there.subscribe(topic, QoS::AtLeastOnce);
    let state = there.next();
    assert_eq!((state.retain, &state.json()["state"]), (true, &"online".into()));
    here.subscribe(topic, QoS::AtLeastOnce);
    assert_eq!(here.next().json()["state"], "online");
    stile.kill();
    assert_eq!(there.next().json()["state"], "offline", "the will");
    stile.start_again();
    assert_eq!(there.next().json()["state"], "online");
    stile.stop();
    let goodbye = there.next().json();
    assert_eq!((&goodbye["state"], &goodbye["reason"]), (&"offline".into(), &"stopped".into()));
}

#[test]
fn retained_messages_are_retained_there_and_those_of_the_remote_here() {
    let remote = Mosquitto::start();
    let there = Client::connect(remote.address, "there");
    there.publish("in/1", QoS::AtLeastOnce, true, "kept there");
    let rules = "{ filter = \"out/#\" }, { filter = \"in/#\", direction = \"in\" }";
    let stile = start(&uplink("up", remote.address, rules, ""));
    let here = Client::connect(stile.mqtt, "here");
    here.publish("out/1", QoS::AtLeastOnce, true, "kept here");
    wait_online(&stile, "up");
    wait_drained(&stile, "up");
    there.subscribe("out/#", QoS::AtLeastOnce);
    let kept = there.next();
    assert_eq!((kept.text(), kept.retain), ("kept here", true));
    here.subscribe("in/#", QoS::AtLeastOnce);
    assert_eq!(here.next().text(), "kept there");
}

#[test]
fn an_uplink_that_changes_goes_on_with_its_spool_and_one_that_goes_leaves_it() {
    let remote = Mosquitto::start();
    let there = sink(remote.address, "n/#");
    let stile = start("");
    let here = Client::connect(stile.mqtt, "here");
    here.publish("n/1", QoS::AtLeastOnce, false, "before there is one");
    // Nobody listens there: what goes out waits.
    let nowhere = Mosquitto::prepare().address;
    assert_eq!(stile.reload("", &uplink("up", nowhere, EVERYTHING, ""))["message"], "reload done");
    here.publish("n/2", QoS::AtLeastOnce, false, "waits");
    assert_eq!(stile.reload("", &uplink("up", remote.address, EVERYTHING, ""))["message"], "reload done");
    assert_eq!(there.next().text(), "waits");
    assert_eq!(stile.reload("", &uplink("up", nowhere, EVERYTHING, ""))["message"], "reload done");
    here.publish("n/3", QoS::AtLeastOnce, false, "stays on disk");
    assert_eq!(stile.reload("", "")["message"], "reload done");
    here.publish("n/4", QoS::AtLeastOnce, false, "while there is none");
    assert_eq!(stile.reload("", &uplink("up", remote.address, EVERYTHING, ""))["message"], "reload done");
    assert_eq!(there.next().text(), "stays on disk");
    wait_drained(&stile, "up");
    there.expect_silence(Duration::from_millis(200));
}

#[test]
fn alarms_leave_before_what_waits_longer() {
    let mut remote = Mosquitto::start();
    keep(remote.address, "n/#");
    remote.stop();
    let more = "in-flight = 1\n[uplink.spool]\nalarms = [\"n/alarm\"]";
    let stile = start(&uplink("up", remote.address, EVERYTHING, more));
    let here = Client::connect(stile.mqtt, "here");
    for topic in ["n/1", "n/2", "n/alarm"] {
        here.publish(topic, QoS::AtLeastOnce, false, topic);
    }
    remote.start_again();
    let there = sink(remote.address, "n/#");
    assert_eq!([there.next().topic, there.next().topic, there.next().topic], ["n/alarm", "n/1", "n/2"]);
    drop(stile);
}

#[test]
fn the_command_line_shows_uplinks_and_tries_one() {
    let remote = Mosquitto::start();
    let nowhere = Mosquitto::prepare().address;
    let settings = uplink("up", remote.address, EVERYTHING, "") + &uplink("down", nowhere, EVERYTHING, "");
    let stile = start(&settings);
    wait_online(&stile, "up");
    Client::connect(stile.mqtt, "here").publish("n/1", QoS::AtLeastOnce, false, "x");
    wait_drained(&stile, "up");
    within("the first try of the other has failed", || {
        (stile.metric("stile_uplink_failed_total{uplink=\"down\"}") > 0.0).then_some(())
    });
    let file = stile.dir.path().join("stile.toml");
    let file = file.to_str().unwrap();
    let (code, table, _) = check(&["uplink", "status", "--config", file]);
    assert_eq!(code, 0, "{table}");
    let line = |name: &str| {
        table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap().split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("up")[2], "online", "{table}");
    assert_eq!((line("down")[2], line("down")[4]), ("offline", "1"), "{table}");
    assert!(table.contains("down, last error: ") && table.contains("can't be reached"), "{table}");
    let (code, said, _) = check(&["uplink", "test", "up", "--config", file]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("let in") && said.contains("was acknowledged"), "{said}");
    let (code, _, error) = check(&["uplink", "test", "down", "--config", file]);
    assert!(code == 1 && error.contains("can't be reached"), "{code} {error}");
    let (code, _, error) = check(&["uplink", "test", "none", "--config", file]);
    assert!(code == 1 && error.contains("there are: up, down"), "{code} {error}");
    assert_eq!(dropped(&stile, "up", "refused"), 0.0);
}

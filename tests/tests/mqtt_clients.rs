//! Stock MQTT clients of every version: Debian's mosquitto_pub and mosquitto_sub, and the library rumqttc.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use rumqttc::{LastWill, MqttOptions, QoS, v5};
use stile_tests::packet::V5;
use stile_tests::{Client, MosquittoSub, RawClient, Stile, V5Client, mosquitto_pub};

const VERSIONS: [&str; 3] = ["mqttv31", "mqttv311", "mqttv5"];
const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Starts `mosquitto_sub` and waits until its subscription is there.
fn subscribed(stile: &Stile, version: &str, arguments: &[&str]) -> MosquittoSub {
    let filters = stile.metric("stile_mqtt_filters");
    let sub = MosquittoSub::start(stile.mqtt, version, arguments);
    stile.wait_metric("stile_mqtt_filters", |n| n > filters);
    sub
}

#[track_caller]
fn publish(stile: &Stile, version: &str, arguments: &[&str]) {
    let output = mosquitto_pub(stile.mqtt, version, arguments);
    assert!(output.status.success(), "{version} {arguments:?}: {output:?}");
}

#[test]
fn mosquitto_clients_of_every_version_publish_and_subscribe_at_every_qos() {
    let stile = Stile::start("");
    for (from, to) in [("mqttv31", "mqttv5"), ("mqttv311", "mqttv31"), ("mqttv5", "mqttv311"), ("mqttv5", "mqttv5")] {
        for qos in ["0", "1", "2"] {
            let topic = format!("{from}/{to}/{qos}");
            let sub = subscribed(&stile, to, &["-t", &topic, "-q", qos, "-C", "1", "-F", "%t %q %r %p"]);
            publish(&stile, from, &["-t", &topic, "-q", qos, "-m", "hello"]);
            assert_eq!(sub.finish(), (Some(0), format!("{topic} {qos} 0 hello\n")));
        }
    }
}

#[test]
fn the_lower_qos_of_publisher_and_subscriber_is_used() {
    let stile = Stile::start("");
    let client = Client::connect(stile.mqtt, "sub");
    for (i, granted) in ALL_QOS.into_iter().enumerate() {
        client.subscribe(&format!("{i}"), granted);
        for published in ALL_QOS {
            client.publish(&format!("{i}"), published, false, "x");
            assert_eq!(client.next().qos, (granted as u8).min(published as u8));
        }
    }
}

#[test]
fn a_long_stream_of_lines_through_mosquitto_arrives_whole_and_in_order() {
    let stile = Stile::start("");
    let sub = subscribed(&stile, "mqttv5", &["-t", "lines", "-q", "2", "-C", "500", "-F", "%p"]);
    let lines: String = (0..500).map(|i| format!("line {i}\n")).collect();
    let file = stile.dir.path().join("lines");
    std::fs::write(&file, &lines).unwrap();
    let (address, file) = (stile.mqtt, file.to_str().unwrap());
    let script = format!("mosquitto_pub -p {} -V mqttv311 -t lines -q 2 -l < {file}", address.port());
    let status = std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success(), "{script}");
    assert_eq!(sub.finish(), (Some(0), lines));
}

#[test]
fn a_retained_message_is_set_replaced_and_cleared() {
    let stile = Stile::start("");
    for version in VERSIONS {
        let topic = format!("kept/{version}");
        let last = |count: &str| {
            let arguments = ["-t", &topic, "-q", "1", "-C", count, "-W", "1", "-F", "%r %p"];
            MosquittoSub::start(stile.mqtt, version, &arguments).finish().1
        };
        publish(&stile, version, &["-t", &topic, "-q", "1", "-r", "-m", "one"]);
        assert_eq!(last("1"), "1 one\n");
        publish(&stile, version, &["-t", &topic, "-q", "1", "-r", "-m", "two"]);
        publish(&stile, version, &["-t", &topic, "-q", "1", "-m", "not kept"]);
        publish(&stile, version, &["-t", &topic, "-q", "1", "-n"]);
        assert_eq!(last("1"), "1 two\n", "a message without the flag, empty or not, changes nothing");
        publish(&stile, version, &["-t", &topic, "-q", "1", "-r", "-n"]);
        assert_eq!(stile.metric("stile_mqtt_retained_messages"), 0.0);
        assert!(last("1").contains("Timed out"), "{version}");
    }
}

#[test]
fn a_will_is_published_when_its_client_is_killed_and_not_when_it_says_goodbye() {
    let stile = Stile::start("");
    let watcher = Client::connect(stile.mqtt, "watcher");
    watcher.subscribe("will/#", QoS::ExactlyOnce);
    for version in VERSIONS {
        let topic = format!("will/{version}");
        let wanted = format!("for/{version}");
        let arguments = ["-t", &wanted, "-C", "1", "--will-topic", &topic, "--will-payload", "gone", "--will-qos", "1"];
        let polite = subscribed(&stile, version, &arguments);
        publish(&stile, version, &["-t", &wanted, "-q", "1", "-m", "go"]);
        assert_eq!(polite.finish(), (Some(0), "go\n".to_owned()));
        let mut killed = subscribed(&stile, version, &[&arguments[..2], &arguments[4..], &["-t", &topic]].concat());
        killed.kill();
        let will = watcher.next();
        assert_eq!((will.topic.as_str(), will.text(), will.qos), (topic.as_str(), "gone", 1));
        watcher.publish("will/next", QoS::AtLeastOnce, false, "");
        assert_eq!(watcher.next().topic, "will/next", "one will only");
    }
}

#[test]
fn properties_of_mqtt_5_pass_through_mosquitto_whole() {
    let stile = Stile::start("");
    let format = "%C|%D|%F|%R|%S|%p";
    let arguments = ["-t", "p", "-C", "1", "-F", format, "-D", "subscribe", "subscription-identifier", "77"];
    let sub = subscribed(&stile, "mqttv5", &arguments);
    let old = subscribed(&stile, "mqttv311", &["-t", "+", "-C", "1", "-F", "%t %p"]);
    let said = [
        ["content-type", "text/plain"],
        ["correlation-data", "c0ffee"],
        ["payload-format-indicator", "1"],
        ["response-topic", "answer/here"],
    ];
    let mut arguments = vec!["-t", "p", "-m", "grüezi"];
    arguments.extend(said.iter().flat_map(|[name, value]| ["-D", "publish", name, value]));
    publish(&stile, "mqttv5", &arguments);
    assert_eq!(sub.finish(), (Some(0), "text/plain|c0ffee|1|answer/here|77|grüezi\n".to_owned()));
    assert_eq!(old.finish(), (Some(0), "p grüezi\n".to_owned()), "a client of 3.1.1 gets the message alone");
}

#[test]
fn rumqttc_5_gets_user_properties_and_correlation_data_as_they_were_sent() {
    let stile = Stile::start("");
    let client = V5Client::connect(stile.mqtt, "five");
    client.subscribe("p", QoS::AtLeastOnce);
    let properties = v5::mqttbytes::v5::PublishProperties {
        user_properties: vec![("a".into(), "1".into()), ("a".into(), "2".into()), ("stile-id".into(), "forged".into())],
        correlation_data: Some(vec![0, 255, 7].into()),
        ..Default::default()
    };
    let qos = v5::mqttbytes::QoS::AtLeastOnce;
    client.inner.publish_with_properties("p", qos, false, "x", properties).unwrap();
    let message = client.next();
    let values: Vec<_> = message.user.iter().filter(|(name, _)| name == "a").map(|(_, v)| v.as_str()).collect();
    assert_eq!(values, ["1", "2"], "in their order, both of one name");
    assert_eq!(message.correlation, Some(vec![0, 255, 7]));
    assert_eq!(message.property("stile-origin"), Some("client:five"));
    assert_ne!(message.property("stile-id"), Some("forged"), "the gateway's own properties can't be forged");
}

#[test]
fn rumqttc_finds_what_came_while_it_was_away_in_both_versions() {
    let stile = Stile::start("");
    let other = Client::connect(stile.mqtt, "other");
    let mut old = MqttOptions::new("old", stile.mqtt.ip().to_string(), stile.mqtt.port());
    old.set_clean_session(false);
    let mut new = v5::MqttOptions::new("new", stile.mqtt.ip().to_string(), stile.mqtt.port());
    new.set_clean_start(false).set_session_expiry_interval(Some(600));
    let first = (Client::with(old.clone()), V5Client::with(new.clone()));
    first.0.subscribe("away", QoS::AtLeastOnce);
    first.1.subscribe("away", QoS::ExactlyOnce);
    first.0.inner.disconnect().unwrap();
    first.1.inner.disconnect().unwrap();
    stile.wait_metric("stile_mqtt_connections", |n| n == 1.0);
    for i in 0..20 {
        other.publish("away", QoS::ExactlyOnce, false, format!("{i}"));
    }
    let second = (Client::with(old), V5Client::with(new));
    for i in 0..20 {
        assert_eq!((second.0.next().text(), second.1.next().text()), (&*format!("{i}"), &*format!("{i}")));
    }
}

#[test]
fn a_will_of_rumqttc_is_kept_for_late_subscribers_when_it_asks_for_that() {
    let stile = Stile::start("");
    let mut options = MqttOptions::new("doomed", stile.mqtt.ip().to_string(), stile.mqtt.port());
    options.set_last_will(LastWill::new("will", "gone", QoS::AtLeastOnce, true));
    options.set_keep_alive(Duration::from_secs(30));
    let _first = Client::with(options.clone());
    options.set_last_will(LastWill::new("other", "x", QoS::AtLeastOnce, false));
    // Taken over by its own double: the first connection ends without its DISCONNECT.
    let _second = Client::with(options);
    stile.wait_metric("stile_mqtt_retained_messages", |n| n == 1.0);
    let late = Client::connect(stile.mqtt, "late");
    late.subscribe("will", QoS::AtLeastOnce);
    let will = late.next();
    assert_eq!((will.text(), will.retain), ("gone", true));
}

#[test]
fn the_brokers_own_figures_come_at_once_and_again() {
    let stile = Stile::start("");
    let mut client = RawClient::connect(stile.mqtt, V5, "me");
    client.subscribe(&[("$SYS/broker/clients/connected", 0), ("$SYS/broker/version", 0)], &[]);
    let figures = [client.message(), client.message()].map(|m| (m.topic, m.text, m.retain));
    assert_eq!(figures[0], ("$SYS/broker/clients/connected".to_owned(), "1".to_owned(), true));
    assert!(figures[1].1.starts_with("stile version "), "{figures:?}");
    let (_another, later) = (RawClient::connect(stile.mqtt, V5, "another"), client.message());
    assert!(later.topic.starts_with("$SYS/broker/") && !later.retain, "{later:?}");
}

//! Serial radios end to end: real ports, real clients, the built daemon.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use rumqttc::QoS;
use stile_tests::{Client, Stile, SwitchedPort, V5Client};

fn line_radio(port: &SwitchedPort) -> String {
    format!("[[radio]]\nname = \"a\"\nkind = \"serial\"\ndevice = {:?}\nbaud = 115200\n", port.link())
}

#[test]
fn a_line_from_the_port_reaches_a_subscriber_and_a_publish_reaches_the_port() {
    let dir = tempfile::tempdir().unwrap();
    let port = SwitchedPort::plugged(dir.path());
    let radio = line_radio(&port);
    let stile = Stile::start_in(dir, "", &radio);
    let client = Client::connect(stile.mqtt, "test");
    client.subscribe("serial/a/#", QoS::AtLeastOnce);
    stile.wait_metric("stile_radio_online{radio=\"a\"}", |v| v == 1.0);
    port.pty().write(b"hello\nworld\n");
    let up = |text: &str| client.next_where(|m| m.topic == "serial/a/up" && m.text() == text);
    up("hello");
    up("world");
    client.publish("serial/a/down", QoS::AtLeastOnce, false, "go");
    assert_eq!(port.pty().read(3), b"go\n");
    let ack = client.next_where(|m| m.topic == "serial/a/ack").json();
    assert_eq!((ack["result"].as_str(), ack["bytes"].as_u64()), (Some("sent"), Some(3)));
}

#[test]
fn a_client_of_mqtt_5_sees_when_and_where_a_frame_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let port = SwitchedPort::plugged(dir.path());
    let radio = line_radio(&port);
    let stile = Stile::start_in(dir, "", &radio);
    let client = V5Client::connect(stile.mqtt, "test");
    client.subscribe("serial/a/up", QoS::AtLeastOnce);
    stile.wait_metric("stile_radio_online{radio=\"a\"}", |v| v == 1.0);
    port.pty().write(b"x\n");
    let message = client.next();
    assert_eq!(message.property("stile-origin"), Some("radio:a"));
    assert!(message.property("stile-received-at").is_some_and(|at| at.ends_with('Z')));
    assert!(message.property("stile-clock").is_some());
}

#[test]
fn an_answer_that_comes_at_once_is_the_answer() {
    // At this rate it is there before the driver has been asked a second time whether all is sent.
    let radio = "[[radio]]\nname = \"a\"\nkind = \"simulated\"\ndevice = \"line\"\nbaud = 4000000\nperiod = \"1h\"\n\
                 response-timeout = \"2s\"\n";
    let stile = Stile::start(radio);
    let client = Client::connect(stile.mqtt, "test");
    client.subscribe("serial/a/ack", QoS::AtLeastOnce);
    stile.wait_metric("stile_radio_frames_received_total{radio=\"a\"}", |v| v == 1.0);
    for _ in 0..10 {
        client.publish("serial/a/down", QoS::AtLeastOnce, false, "hello");
        assert_eq!(client.next().json()["result"], "answered");
    }
}

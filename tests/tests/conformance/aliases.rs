//! Topic aliases, each way (3.1.2.11.5, 3.2.2.3.8, 3.3.2.3.4).

use stile_tests::RawClient;
use stile_tests::packet::{Connect, RawPacket, V5, Value, publish};

use crate::common::*;

const ALIAS: u8 = 0x23;
const ALIAS_MAXIMUM: u8 = 0x22;

statements! {
    v5 {
        mqtt_3_1_2_26_no_alias_is_above_the_clients_maximum => aliases_for_the_client();
        mqtt_3_1_2_27_no_alias_without_a_maximum => no_alias_unasked();
        mqtt_3_3_2_7_aliases_end_with_their_connection => aliases_end_with_the_connection();
        mqtt_3_3_2_8_alias_0_ends_the_connection => alias_0();
        mqtt_3_3_2_11_no_alias_is_above_what_connect_said => aliases_for_the_client();
        mqtt_3_3_2_12_each_alias_up_to_the_servers_maximum_is_taken => aliases_of_the_client();
    }
}

fn alias(n: u16) -> Vec<u8> {
    [&[ALIAS][..], &n.to_be_bytes()].concat()
}

fn taking(maximum: u16) -> Connect {
    let properties = [&[ALIAS_MAXIMUM][..], &maximum.to_be_bytes()].concat();
    Connect { properties, clean: true, ..Connect::new(V5, "me") }
}

fn servers_maximum(connack: &RawPacket) -> u16 {
    let found = connack.connack_properties().into_iter().find(|(kind, _)| *kind == ALIAS_MAXIMUM);
    let Some((_, Value::Number(n))) = found else { panic!("no maximum in {connack:02x?}") };
    n as u16
}

/// Over more topics than it takes aliases: each message can be told by what it says.
fn aliases_for_the_client() {
    let stile = gateway();
    let mut client = RawClient::with(stile.mqtt, &taking(2));
    client.subscribe(&[("#", 0)], &[]);
    let mut known = std::collections::HashMap::new();
    for round in 0..3 {
        for topic in ["a", "b", "c", "d"] {
            client.publish(topic, &[], topic);
            let got = client.message();
            if let Some(alias) = got.number(ALIAS) {
                assert!((1..=2).contains(&alias), "{alias}");
                if !got.topic.is_empty() {
                    known.insert(alias, got.topic.clone());
                }
                assert_eq!(known[&alias], topic, "round {round}");
            } else {
                assert_eq!(got.topic, topic);
            }
        }
    }
    assert_eq!(known.len(), 2, "they are used");
}

fn no_alias_unasked() {
    let stile = gateway();
    for connect in [taking(0), Connect::new(V5, "me")] {
        let mut client = RawClient::with(stile.mqtt, &connect);
        client.subscribe(&[("a", 0)], &[]);
        for _ in 0..3 {
            client.publish("a", &[], "x");
            let got = client.message();
            assert_eq!((got.topic.as_str(), got.number(ALIAS)), ("a", None));
        }
        client.disconnect();
    }
}

/// Neither side's go on with the session.
fn aliases_end_with_the_connection() {
    let stile = gateway();
    let mut connect = Connect::persistent(V5, "me");
    connect.properties.extend([ALIAS_MAXIMUM, 0, 9]);
    let (mut client, _) = come_back(&stile, &connect);
    client.subscribe(&[("a", 1)], &[]);
    for topic in ["a", ""] {
        client.publish(topic, &alias(1), "x");
        assert_eq!(client.message().text, "x");
    }
    client.disconnect();
    wait_connections(&stile, 0);
    let (mut client, present) = come_back(&stile, &connect);
    assert!(present);
    RawClient::connect(stile.mqtt, V5, "other").publish("a", &[], "y");
    assert_eq!(client.message().topic, "a", "told again");
    client.send(&publish(V5, 0, "", 0, &alias(1), "z"));
    expect_ended(client, V5, 0x82);
}

fn alias_0() {
    let stile = gateway();
    let all = ["a", ""].map(|topic| publish(V5, 0, topic, 0, &alias(0), "x"));
    expect_each_ends(&stile, V5, 0x94, &all);
}

fn aliases_of_the_client() {
    let stile = gateway();
    let (mut client, connack) = RawClient::meet(stile.mqtt, &Connect::new(V5, "me"));
    let maximum = servers_maximum(&connack);
    client.subscribe(&[("#", 0)], &[]);
    for n in 1..=maximum {
        client.publish(&n.to_string(), &alias(n), "named");
        assert_eq!(client.message().topic, n.to_string());
    }
    for n in 1..=maximum {
        client.publish("", &alias(n), "aliased");
        assert_eq!(client.message().topic, n.to_string());
    }
    client.publish("another", &alias(1), "changed");
    client.publish("", &alias(1), "aliased");
    assert_eq!([client.message().topic, client.message().topic], ["another", "another"]);
    client.send(&publish(V5, 0, "a", 0, &alias(maximum + 1), "x"));
    expect_ended(client, V5, 0x94);
}

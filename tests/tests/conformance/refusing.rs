//! Errors (4.8 of 3.1.1, 4.13 of 5): they end the connection that they came on and no other.

use stile_tests::packet::{Connect, RawPacket, V5, V311, counted, packet, publish, section, subscribe};
use stile_tests::{Neighbour, RawClient};

use crate::common::*;

statements! {
    v311 {
        mqtt_4_8_0_1_a_violation_ends_its_connection_alone => violations(V311);
    }
    v5 {
        mqtt_4_13_1_1_malformed_packets_and_protocol_errors_end_the_connection => violations(V5);
        mqtt_4_13_2_1_a_code_of_80_or_above_ends_the_connection => codes_end_it();
    }
}

/// What each version forbids with one voice, by its reason in 5.
fn violations(version: u8) {
    let stile = gateway();
    let mut neighbour = Neighbour::of(&stile);
    let none = section(version, &[]);
    let malformed = [
        vec![0x00, 0],
        vec![0x10 | 1, 0],
        vec![0xc0, 0xff, 0xff, 0xff, 0xff, 0x7f],
        packet(0x40, &[0]),
        packet(0x82, &[vec![0, 1], none.clone(), vec![0, 9, b'a']].concat()),
        packet(0x82, &[vec![0, 1], none.clone(), counted("a")].concat()),
        packet(0xc0, &[0]),
        publish(version, 6, "a", 1, &[], ""),
    ];
    let errors = [
        packet(0x20, &[0, 0]),
        packet(0x90, &[vec![0, 1], none.clone(), vec![0]].concat()),
        vec![0xd0, 0],
        Connect::new(version, "me").bytes(),
        subscribe(version, &[], &[]),
        publish(version, 2, "a", 0, &[], ""),
    ];
    for bytes in malformed.iter().chain(&errors) {
        let mut client = RawClient::connect(stile.mqtt, version, "me");
        client.send(bytes);
        let packets = client.expect_closed();
        let kinds: Vec<_> = packets.iter().map(RawPacket::kind).collect();
        assert_eq!(kinds, if version == V5 { vec![14] } else { vec![] }, "{bytes:02x?}");
        assert!(packets.iter().all(|packet| [0x81, 0x82].contains(&packet.body[0])), "{bytes:02x?} {packets:02x?}");
        neighbour.is_well();
    }
}

fn codes_end_it() {
    let stile = gateway();
    let repeated = Connect { properties: vec![0x21, 0, 1, 0x21, 0, 1], ..Connect::new(V5, "me") };
    expect_refused(&stile, V5, &repeated.bytes(), 0x82);
    expect_each_ends(&stile, V5, 0x82, &[vec![0xd0, 0]]);
    // A client that says so itself is gone as well.
    let client = {
        let mut client = RawClient::connect(stile.mqtt, V5, "me");
        client.send(&[0xe0, 1, 0x82]);
        client
    };
    assert_eq!(client.expect_closed(), []);
}

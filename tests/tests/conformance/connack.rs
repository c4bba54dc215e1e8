//! CONNACK (3.2), and the authentication methods that there are not (4.12).

use stile_tests::packet::{Connect, RawPacket, V5, V311, counted, publish, subscribe};
use stile_tests::{RawClient, Stile};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_2_0_1_connack_comes_before_everything_else => connack_comes_first(V311);
        mqtt_3_2_2_1_a_clean_session_has_none_present => session_present(V311);
        mqtt_3_2_2_2_a_session_that_goes_on_is_present => session_present(V311);
        mqtt_3_2_2_3_a_session_that_begins_is_not => session_present(V311);
        mqtt_3_2_2_4_a_refusal_has_no_session_present => a_refusal_ends_it(V311, &[0, 4]);
        mqtt_3_2_2_5_a_refusal_ends_the_connection => a_refusal_ends_it(V311, &[0, 4]);
        mqtt_3_2_2_6_without_a_fitting_code_there_is_no_connack => no_code_for_a_wrong_will();
    }
    v5 {
        mqtt_3_2_0_1_connack_comes_before_everything_else => connack_comes_first(V5);
        mqtt_3_2_0_2_there_is_one_connack => connack_comes_first(V5);
        mqtt_3_2_2_1_reserved_flags_are_0 => reserved_flags_are_0();
        mqtt_3_2_2_2_a_clean_start_has_none_present => session_present(V5);
        mqtt_3_2_2_3_session_present_says_whether_there_was_one => session_present(V5);
        mqtt_3_2_2_6_a_refusal_has_no_session_present => a_refusal_ends_it(V5, &[0, 0x86, 0]);
        mqtt_3_2_2_7_a_refusal_ends_the_connection => a_refusal_ends_it(V5, &[0, 0x86, 0]);
        mqtt_3_2_2_8_refusals_have_codes_of_the_table => codes_are_of_the_table();
        mqtt_3_1_2_28_no_response_information_unasked => no_response_information();
        mqtt_4_12_0_1_an_authentication_method_is_refused_with_8c => no_method_is_supported();
        mqtt_4_12_0_6_without_a_method_there_is_none_in_connack => connack_has_no(&[0x15, 0x16]);
    }
}

fn connack_comes_first(version: u8) {
    let stile = gateway();
    let mut other = RawClient::connect(stile.mqtt, version, "other");
    other.publish_acked(true, "a", &[], "kept");
    let mut client = RawClient::open(stile.mqtt, version);
    // All in one breath: nothing of it may be answered sooner.
    let connect = Connect::new(version, "me").bytes();
    client.send(&[connect, subscribe(version, &[("a", 0)], &[]), publish(version, 2, "b", 3, &[], "x")].concat());
    let mut kinds: Vec<_> = (0..4).map(|_| client.packet().kind()).collect();
    assert_eq!(kinds.remove(0), 2);
    kinds.sort_unstable();
    assert_eq!(kinds, [3, 4, 9]);
    client.expect_quiet();
}

fn session_present(version: u8) {
    let stile = gateway();
    let kept = Connect::persistent(version, "me");
    let clean = Connect { clean: true, ..kept.clone() };
    for (connect, expected) in [(&kept, false), (&kept, true), (&clean, false)] {
        let (client, present) = come_back(&stile, connect);
        assert_eq!(present, expected, "{connect:?}");
        client.disconnect();
    }
}

fn guarded() -> Stile {
    let user = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret\"\n";
    Stile::start_in(tempfile::tempdir().unwrap(), "", user)
}

fn as_ops(version: u8, password: &[u8]) -> Connect {
    Connect { user: Some("ops"), password: Some(password.to_vec()), ..Connect::persistent(version, "me") }
}

/// Even where a session is waiting.
fn a_refusal_ends_it(version: u8, expected: &[u8]) {
    let stile = guarded();
    RawClient::with(stile.mqtt, &as_ops(version, b"s3cret")).disconnect();
    let packets = answer(&stile, version, &as_ops(version, b"guess").bytes());
    assert_eq!(packets, [RawPacket { first: 0x20, body: expected.to_vec() }]);
    assert!(come_back(&stile, &as_ops(version, b"s3cret")).1);
}

fn no_code_for_a_wrong_will() {
    let stile = gateway();
    let fields = [counted("me"), will_fields(V311, b"a/#", b"x")];
    assert_eq!(answer(&stile, V311, &raw_connect(V311, CLEAN | WILL, &fields)), []);
    let fields = [counted("me"), will_fields(V311, b"$SYS/x", b"x")];
    let packets = answer(&stile, V311, &raw_connect(V311, CLEAN | WILL, &fields));
    assert_eq!(packets, [RawPacket { first: 0x20, body: vec![0, 5] }], "not authorised has a code");
}

fn reserved_flags_are_0() {
    let stile = gateway();
    for connect in [Connect::persistent(V5, "me"), Connect::persistent(V5, "me"), Connect::new(V5, "you")] {
        let (client, connack) = RawClient::meet(stile.mqtt, &connect);
        assert_eq!(connack.body[0] & 0xfe, 0);
        client.disconnect();
    }
}

fn codes_are_of_the_table() {
    let stile = guarded();
    let authenticating = Connect { properties: [vec![0x15], counted("x")].concat(), ..Connect::new(V5, "me") };
    let malformed = raw_connect(V5, CLEAN | 1, &[counted("me")]);
    let repeated = Connect { properties: vec![0x21, 0, 1, 0x21, 0, 1], ..Connect::new(V5, "me") };
    let cases = [
        (as_ops(V5, b"guess").bytes(), 0x86),
        (Connect::new(V5, "me").bytes(), 0x87),
        (authenticating.bytes(), 0x8c),
        (malformed, 0x81),
        (repeated.bytes(), 0x82),
        (Connect { id: "x".repeat(2000), ..as_ops(V5, b"s3cret") }.bytes(), 0x85),
    ];
    for (connect, reason) in cases {
        expect_refused(&stile, V5, &connect, reason);
    }
}

fn connack_has_no(kinds: &[u8]) {
    let stile = gateway();
    let (_client, connack) = RawClient::meet(stile.mqtt, &Connect::new(V5, "me"));
    let properties = connack.connack_properties();
    assert!(properties.iter().all(|(kind, _)| !kinds.contains(kind)), "{properties:?}");
}

fn no_response_information() {
    connack_has_no(&[0x1a]);
    let stile = gateway();
    let connect = Connect { properties: vec![0x19, 0], ..Connect::new(V5, "me") };
    let (_client, connack) = RawClient::meet(stile.mqtt, &connect);
    assert!(connack.connack_properties().iter().all(|(kind, _)| *kind != 0x1a));
}

fn no_method_is_supported() {
    let stile = gateway();
    let connect = Connect { properties: [vec![0x15], counted("SCRAM-SHA-1")].concat(), ..Connect::new(V5, "me") };
    expect_refused(&stile, V5, &connect.bytes(), 0x8c);
}

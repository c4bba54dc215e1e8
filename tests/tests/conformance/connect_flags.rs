//! CONNECT: its flags and the fields that they announce (3.1.2, 3.1.3, 3.1.4).

use stile_tests::packet::{Connect, V5, V311, counted, packet};
use stile_tests::{RawClient, Stile};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_1_2_3_the_reserved_flag_ends_the_connection => the_reserved_flag_is_0(V311);
        mqtt_3_1_2_9_a_will_has_topic_and_message => a_will_is_whole(V311);
        mqtt_3_1_2_11_without_its_flag_there_is_no_trace_of_a_will => no_trace_of_a_will(V311);
        mqtt_3_1_2_13_without_a_will_its_qos_is_0 => flags_are_refused(V311, &[0x08, 0x10, 0x18]);
        mqtt_3_1_2_14_a_will_at_qos_3_ends_the_connection => will_qos_is_checked(V311);
        mqtt_3_1_2_15_without_a_will_it_is_not_retained => flags_are_refused(V311, &[WILL_RETAIN]);
        mqtt_3_1_2_18_a_user_name_without_its_flag_ends_the_connection => fields_need_flags(V311);
        mqtt_3_1_2_19_the_flag_without_a_user_name_ends_the_connection => flags_need_fields(V311, USER);
        mqtt_3_1_2_20_a_password_without_its_flag_ends_the_connection => a_password_needs_its_flag(V311);
        mqtt_3_1_2_21_the_flag_without_a_password_ends_the_connection => flags_need_fields(V311, USER | PASSWORD);
        mqtt_3_1_2_22_a_password_without_a_user_name_ends_the_connection => a_password_needs_a_user();
        mqtt_3_1_3_1_fields_are_read_in_their_order => fields_have_an_order(V311);
        mqtt_3_1_3_10_a_will_topic_that_is_no_utf_8_ends_the_connection => will_topic_is_utf8(V311);
        mqtt_3_1_3_11_a_user_name_that_is_no_utf_8_ends_the_connection => user_name_is_utf8(V311);
        mqtt_3_1_4_1_a_connect_that_breaks_the_rules_gets_no_connack => broken_connects(V311);
    }
    v5 {
        mqtt_3_1_2_3_the_reserved_flag_ends_the_connection => the_reserved_flag_is_0(V5);
        mqtt_3_1_2_9_a_will_has_properties_topic_and_payload => a_will_is_whole(V5);
        mqtt_3_1_2_11_without_a_will_its_qos_is_0 => flags_are_refused(V5, &[0x08, 0x10, 0x18]);
        mqtt_3_1_2_12_a_will_at_qos_3_ends_the_connection => will_qos_is_checked(V5);
        mqtt_3_1_2_13_without_a_will_it_is_not_retained => flags_are_refused(V5, &[WILL_RETAIN]);
        mqtt_3_1_2_16_a_user_name_without_its_flag_ends_the_connection => fields_need_flags(V5);
        mqtt_3_1_2_17_the_flag_without_a_user_name_ends_the_connection => flags_need_fields(V5, USER);
        mqtt_3_1_2_18_a_password_without_its_flag_ends_the_connection => a_password_needs_its_flag(V5);
        mqtt_3_1_2_19_the_flag_without_a_password_ends_the_connection => flags_need_fields(V5, PASSWORD);
        mqtt_3_1_3_1_fields_are_read_in_their_order => fields_have_an_order(V5);
        mqtt_3_1_3_11_a_will_topic_that_is_no_utf_8_ends_the_connection => will_topic_is_utf8(V5);
        mqtt_3_1_3_12_a_user_name_that_is_no_utf_8_ends_the_connection => user_name_is_utf8(V5);
        mqtt_3_1_4_1_a_connect_that_breaks_the_rules_is_refused => broken_connects(V5);
        mqtt_3_1_4_2_a_wrong_password_ends_the_connection => a_wrong_password_is_refused();
    }
}

fn flags_are_refused(version: u8, flags: &[u8]) {
    let stile = gateway();
    for flag in flags {
        expect_refused(&stile, version, &raw_connect(version, CLEAN | flag, &[counted("me")]), 0x81);
    }
    expect_welcome(&stile, version, &raw_connect(version, CLEAN, &[counted("me")]));
}

fn the_reserved_flag_is_0(version: u8) {
    flags_are_refused(version, &[1]);
}

fn a_will_is_whole(version: u8) {
    let stile = gateway();
    let whole = will_fields(version, b"gone", b"x");
    for missing in 1..=whole.len() {
        let cut = whole[..whole.len() - missing].to_vec();
        expect_refused(&stile, version, &raw_connect(version, CLEAN | WILL, &[counted("me"), cut]), 0x81);
    }
    expect_welcome(&stile, version, &raw_connect(version, CLEAN | WILL, &[counted("me"), whole]));
}

fn no_trace_of_a_will(version: u8) {
    let stile = gateway();
    let fields = [counted("me"), will_fields(version, b"gone", b"x")];
    expect_refused(&stile, version, &raw_connect(version, CLEAN, &fields), 0x81);
    flags_are_refused(version, &[0x08, WILL_RETAIN]);
}

fn will_qos_is_checked(version: u8) {
    let stile = gateway();
    let fields = [counted("me"), will_fields(version, b"gone", b"x")];
    for qos in 0..3 {
        expect_welcome(&stile, version, &raw_connect(version, CLEAN | WILL | qos << 3, &fields));
    }
    expect_refused(&stile, version, &raw_connect(version, CLEAN | WILL | 3 << 3, &fields), 0x81);
}

fn fields_need_flags(version: u8) {
    let stile = gateway();
    expect_refused(&stile, version, &raw_connect(version, CLEAN, &[counted("me"), counted("user")]), 0x81);
}

fn a_password_needs_its_flag(version: u8) {
    let stile = gateway();
    let fields = [counted("me"), counted("user"), counted("password")];
    expect_refused(&stile, version, &raw_connect(version, CLEAN | USER, &fields), 0x81);
}

fn flags_need_fields(version: u8, flags: u8) {
    let stile = gateway();
    let before = if flags & USER != 0 && flags & PASSWORD != 0 { counted("user") } else { vec![] };
    expect_refused(&stile, version, &raw_connect(version, CLEAN | flags, &[counted("me"), before]), 0x81);
}

fn a_password_needs_a_user() {
    let stile = gateway();
    let fields = [counted("me"), counted("password")];
    expect_refused(&stile, V311, &raw_connect(V311, CLEAN | PASSWORD, &fields), 0);
}

/// Each field is what its place says, though all could be read as any other.
fn fields_have_an_order(version: u8) {
    let user = "[[broker.user]]\nname = \"third\"\npassword = \"fourth\"\n";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", user);
    let ops = |id| Connect { user: Some("third"), password: Some(b"fourth".to_vec()), ..Connect::new(version, id) };
    let mut watcher = RawClient::with(stile.mqtt, &ops("watcher"));
    watcher.subscribe(&[("#", 1)], &[]);
    let fields = [counted("first"), will_fields(version, b"second", b"payload"), counted("third"), counted("fourth")];
    let client = expect_welcome(&stile, version, &raw_connect(version, CLEAN | WILL | USER | PASSWORD, &fields));
    client.cut();
    let will = watcher.next_acked();
    assert_eq!((will.topic.as_str(), will.text.as_str()), ("second", "payload"));
    let turned = [counted("first"), will_fields(version, b"second", b"payload"), counted("fourth"), counted("third")];
    let packets = answer(&stile, version, &raw_connect(version, CLEAN | WILL | USER | PASSWORD, &turned));
    assert_ne!(packets[0].body[1], 0);
}

fn will_topic_is_utf8(version: u8) {
    let stile = gateway();
    let fields = |topic: &[u8]| [counted("me"), will_fields(version, topic, b"x")];
    for topic in [&b"\xff"[..], b"a\xc0\xaf", b"\xed\xa0\x80", b"a\0"] {
        expect_refused(&stile, version, &raw_connect(version, CLEAN | WILL, &fields(topic)), 0x81);
    }
    expect_welcome(&stile, version, &raw_connect(version, CLEAN | WILL, &fields("ä".as_bytes())));
}

fn user_name_is_utf8(version: u8) {
    let stile = gateway();
    for name in [&b"\xff"[..], b"a\xc0\xaf", b"\xed\xbf\xbf", b"a\0"] {
        expect_refused(&stile, version, &raw_connect(version, CLEAN | USER, &[counted("me"), counted(name)]), 0x81);
    }
}

fn broken_connects(version: u8) {
    let stile = gateway();
    let good = Connect::new(version, "me").bytes();
    for flags in 1..16 {
        let wrong = [vec![good[0] | flags], good[1..].to_vec()].concat();
        expect_refused(&stile, version, &wrong, 0x81);
    }
    let longer = packet(0x10, &[&good[2..], b"more"].concat());
    expect_refused(&stile, version, &longer, 0x81);
    for kept in 8..good.len() - 2 {
        expect_refused(&stile, version, &packet(0x10, &good[2..2 + kept]), 0x81);
    }
}

fn a_wrong_password_is_refused() {
    let user = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret\"\n";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", user);
    let fields = [counted("me"), counted("ops"), counted("guess")];
    expect_refused(&stile, V5, &raw_connect(V5, CLEAN | USER | PASSWORD, &fields), 0x86);
}

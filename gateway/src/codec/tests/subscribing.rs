//! SUBSCRIBE, UNSUBSCRIBE and their answers.

use super::*;

#[test]
fn options_have_their_values() {
    for options in [0x04, 0x08, 0x10, 0x40, 0x80] {
        malformed(Version::V311, &frame(0x82, &[0, 1, 0, 1, b'a', options]));
        assert!(read_one(&frame(0x82, &[0, 1, 0, 1, b'a', options]), Version::V31).is_ok());
    }
    for options in [0x40, 0x80] {
        malformed(Version::V5, &frame(0x82, &[0, 1, 0, 0, 1, b'a', options]));
    }
    for options in [0x03, 0x30] {
        protocol_error(Version::V5, &frame(0x82, &[0, 1, 0, 0, 1, b'a', options]));
    }
}

#[test]
fn there_is_a_filter_and_a_packet_identifier() {
    for first in [0x82, 0xA2] {
        protocol_error(Version::V311, &[first, 2, 0, 1]);
        protocol_error(Version::V5, &[first, 3, 0, 1, 0]);
        protocol_error(Version::V5, &frame(first, &[0, 0, 0, 0, 1, b'a', 0]));
    }
    malformed(Version::V311, &frame(0x82, b"\x00\x01\x00\x01a"));
    malformed(Version::V5, &[0x90, 3, 0, 1, 0]);
    malformed(Version::V5, &[0xB0, 3, 0, 1, 0]);
}

#[test]
fn filters_are_in_order() {
    for filter in ["", "a#", "#/a", "a+/b", "$share/g/a#"] {
        let text = [&[0, filter.len() as u8], filter.as_bytes()].concat();
        let subscribe = frame(0x82, &[&[0, 1], &text[..], &[0]].concat());
        refused(Version::V311, &subscribe, ReasonCode::TopicFilterInvalid);
        let unsubscribe = frame(0xA2, &[&[0, 1, 0], &text[..]].concat());
        refused(Version::V5, &unsubscribe, ReasonCode::TopicFilterInvalid);
    }
}

#[test]
fn a_subscription_identifier_comes_once_and_is_not_0() {
    protocol_error(Version::V5, &frame(0x82, b"\x00\x01\x02\x0B\x00\x00\x01a\x00"));
    protocol_error(Version::V5, &frame(0x82, b"\x00\x01\x04\x0B\x01\x0B\x02\x00\x01a\x00"));
    malformed(Version::V5, &frame(0xA2, b"\x00\x01\x02\x0B\x01\x00\x01a"));
}

#[test]
fn suback_codes_of_3_x_are_four() {
    for code in [3, 0x7F, 0x81, 0x87] {
        protocol_error(Version::V311, &[0x90, 3, 0, 1, code]);
    }
    assert!(read_one(&[0x90, 3, 0, 1, 0x80], Version::V311).is_ok());
}

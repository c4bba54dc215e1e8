//! CONNECT, CONNACK and AUTH: what is refused, and how it is answered.

use super::*;

#[test]
fn an_unknown_level_tells_in_which_version_to_answer() {
    let cases: [(&[u8], Option<Version>); 7] = [
        (b"\x00\x04MQTT\x06", Some(Version::V5)),
        (b"\x00\x04MQTT\x03", Some(Version::V311)),
        (b"\x00\x04MQTT\x84", Some(Version::V311)),
        (b"\x00\x06MQIsdp\x04", Some(Version::V311)),
        (b"\x00\x06MQIsdp\x83", Some(Version::V311)),
        (b"\x00\x04mqtt\x04", None),
        (b"\x00\x04HTTP\x04", None),
    ];
    for (start, answer) in cases {
        let bytes = frame(0x10, &[start, b"\x02\x00\x0A\x00\x01c"].concat());
        let error = refused(Version::V5, &bytes, ReasonCode::UnsupportedProtocolVersion);
        assert_eq!(error.answer_version(), answer, "{start:?}");
    }
}

#[test]
fn a_faulty_connect_of_a_known_version_is_answered_in_it() {
    let bytes = frame(0x10, b"\x00\x04MQTT\x04\x03\x00\x0A\x00\x01c");
    assert_eq!(refused(Version::V311, &bytes, ReasonCode::MalformedPacket).answer_version(), Some(Version::V311));
    let error = refused(Version::V5, &connect_v5(3, b"", b"\x00\x01c"), ReasonCode::MalformedPacket);
    assert_eq!(error.answer_version(), Some(Version::V5));
    assert_eq!(error.to_string(), "connect flags have the reserved bit set (malformed packet, 0x81)");
}

#[test]
fn flags_and_payload_agree() {
    for flags in [0x08, 0x10, 0x18, 0x20] {
        malformed(Version::V5, &connect_v5(flags, b"", b"\x00\x01c"));
    }
    malformed(Version::V5, &connect_v5(0x1C, b"", b"\x00\x01c\x00\x00\x01w\x00\x00"));
    malformed(Version::V5, &connect_v5(0x80, b"", b"\x00\x01c"));
    protocol_error(Version::V311, &frame(0x10, b"\x00\x04MQTT\x04\x42\x00\x0A\x00\x01c\x00\x01p"));
    assert!(read_one(&connect_v5(0x42, b"", b"\x00\x01c\x00\x01p"), Version::V5).is_ok());
}

#[test]
fn a_3_1_client_may_leave_out_the_user_name_it_announces() {
    let bytes = frame(0x10, b"\x00\x06MQIsdp\x03\xC2\x00\x0A\x00\x01c");
    let Ok(Some(Packet::Connect(connect))) = read_one(&bytes, Version::V31) else { panic!("is a CONNECT") };
    assert_eq!((connect.user_name, connect.password), (None, None));
}

#[test]
fn an_empty_client_identifier_needs_a_clean_session_in_3_1_1() {
    let with = |flags: u8| frame(0x10, &[&b"\x00\x04MQTT\x04"[..], &[flags, 0, 10, 0, 0]].concat());
    assert!(read_one(&with(2), Version::V311).is_ok());
    refused(Version::V311, &with(0), ReasonCode::ClientIdentifierNotValid);
    let v31 = frame(0x10, b"\x00\x06MQIsdp\x03\x02\x00\x0A\x00\x00");
    refused(Version::V31, &v31, ReasonCode::ClientIdentifierNotValid);
    assert!(read_one(&connect_v5(0, b"", b"\x00\x00"), Version::V5).is_ok());
}

#[test]
fn a_will_goes_to_a_topic_name() {
    for topic in ["+", "a/#", ""] {
        let payload = [b"\x00\x01c\x00\x00", &[topic.len() as u8][..], topic.as_bytes(), b"\x00\x00"].concat();
        let payload = [&payload[..3], &[0], &payload[3..]].concat();
        refused(Version::V5, &connect_v5(0x06, b"", &payload), ReasonCode::TopicNameInvalid);
    }
}

#[test]
fn zero_is_no_limit_that_a_peer_may_set() {
    for properties in [&b"\x21\x00\x00"[..], b"\x27\x00\x00\x00\x00", b"\x17\x02", b"\x19\x02"] {
        protocol_error(Version::V5, &connect_v5(2, properties, b"\x00\x01c"));
    }
}

#[test]
fn authentication_data_need_a_method() {
    protocol_error(Version::V5, &connect_v5(2, b"\x16\x00\x01d", b"\x00\x01c"));
    assert!(read_one(&connect_v5(2, b"\x16\x00\x01d\x15\x00\x01m", b"\x00\x01c"), Version::V5).is_ok());
    protocol_error(Version::V5, &[0xF0, 2, 0x18, 0]);
}

#[test]
fn a_refusal_has_no_session_and_no_flags_beyond_it() {
    for version in [Version::V311, Version::V5] {
        malformed(version, &[0x20, 3, 2, 0, 0]);
    }
    protocol_error(Version::V311, &[0x20, 2, 1, 5]);
    protocol_error(Version::V5, &[0x20, 3, 1, 0x87, 0]);
    protocol_error(Version::V311, &[0x20, 2, 0, 6]);
    protocol_error(Version::V5, &[0x20, 3, 0, 5, 0]);
}

#[test]
fn secrets_are_not_in_the_debug_text() {
    let mut connect = Connect::new(Version::V5, utf8("c"));
    connect.password = Some(Bytes::from_static(b"hunter2"));
    connect.authentication = Some(Authentication { method: utf8("m"), data: Some(Bytes::from_static(b"hunter2")) });
    assert!(!format!("{connect:?}").contains("hunter2"));
}

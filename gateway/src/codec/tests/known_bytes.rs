//! Packets as the specifications print them, or nearly so.

use super::*;

/// The variable header of figure 3.6 of the 3.1.1 specification, with a payload for its flags.
#[test]
fn the_connect_of_the_3_1_1_specification() {
    let bytes = frame(0x10, b"\x00\x04MQTT\x04\xCE\x00\x0A\x00\x02id\x00\x01w\x00\x01p\x00\x01u\x00\x02pw");
    let mut connect = Connect::new(Version::V311, utf8("id"));
    connect.keep_alive = 10;
    connect.will = Some(Will {
        topic: utf8("w"),
        payload: Bytes::from_static(b"p"),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay: None,
        properties: PublishProperties::default(),
    });
    connect.user_name = Some(utf8("u"));
    connect.password = Some(Bytes::from_static(b"pw"));
    same(Version::V311, &bytes, &Packet::Connect(Box::new(connect)));
}

/// The variable header of figure 3-6 of the 5.0 specification: session expiry interval 10.
#[test]
fn the_connect_of_the_5_0_specification() {
    let bytes = connect_v5(0xC2, b"\x11\x00\x00\x00\x0A", b"\x00\x00\x00\x01u\x00\x01p");
    let mut connect = Connect::new(Version::V5, Utf8::default());
    connect.keep_alive = 10;
    connect.session_expiry = Some(10);
    connect.user_name = Some(utf8("u"));
    connect.password = Some(Bytes::from_static(b"p"));
    same(Version::V5, &bytes, &Packet::Connect(Box::new(connect)));
}

#[test]
fn a_connect_of_3_1() {
    let bytes = frame(0x10, b"\x00\x06MQIsdp\x03\x02\x00\x3C\x00\x01c");
    let mut connect = Connect::new(Version::V31, utf8("c"));
    connect.keep_alive = 60;
    same(Version::V31, &bytes, &Packet::Connect(Box::new(connect)));
}

#[test]
fn connack_has_return_codes_in_3_x_and_reason_codes_in_5_0() {
    let refusal = Packet::ConnAck(Box::new(ConnAck::new(false, ReasonCode::NotAuthorized)));
    same(Version::V31, &[0x20, 2, 0, 5], &refusal);
    same(Version::V311, &[0x20, 2, 0, 5], &refusal);
    same(Version::V5, &[0x20, 3, 0, 0x87, 0], &refusal);
    let resumed = Packet::ConnAck(Box::new(ConnAck::new(true, ReasonCode::Success)));
    same(Version::V311, &[0x20, 2, 1, 0], &resumed);
    same(Version::V5, &[0x20, 3, 1, 0, 0], &resumed);
}

/// Figure 3.11 of 3.1.1 and figure 3-9 of 5.0: topic `a/b`, packet identifier 10.
#[test]
fn the_publish_of_both_specifications() {
    let publish = Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: utf8("a/b"),
        packet_id: Some(id(10)),
        payload: Bytes::from_static(b"hi"),
        properties: None,
    });
    same(Version::V311, b"\x33\x09\x00\x03a/b\x00\x0Ahi", &publish);
    same(Version::V5, b"\x33\x0A\x00\x03a/b\x00\x0A\x00hi", &publish);
}

#[test]
fn acknowledgements_take_their_short_forms() {
    let success = Ack::new(id(0x1234), ReasonCode::Success);
    for version in ALL {
        same(version, &[0x40, 2, 0x12, 0x34], &Packet::PubAck(success.clone()));
        same(version, &[0x50, 2, 0x12, 0x34], &Packet::PubRec(success.clone()));
        same(version, &[0x62, 2, 0x12, 0x34], &Packet::PubRel(success.clone()));
        same(version, &[0x70, 2, 0x12, 0x34], &Packet::PubComp(success.clone()));
    }
    same(Version::V5, &[0x40, 3, 0, 1, 0x87], &Packet::PubAck(Ack::new(id(1), ReasonCode::NotAuthorized)));
    let long = read_one(&[0x40, 4, 0x12, 0x34, 0, 0], Version::V5);
    assert_eq!(long, Ok(Some(Packet::PubAck(success))));
}

/// Figures 3.23 of 3.1.1 and 3-21 of 5.0: `a/b` with QoS 1 and `c/d` with QoS 2.
#[test]
fn the_subscribe_of_both_specifications() {
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: id(10),
        subscription_id: None,
        user: Vec::new(),
        subscriptions: vec![
            Subscription::new(utf8("a/b"), QoS::AtLeastOnce),
            Subscription::new(utf8("c/d"), QoS::ExactlyOnce),
        ],
    });
    same(Version::V311, &frame(0x82, b"\x00\x0A\x00\x03a/b\x01\x00\x03c/d\x02"), &subscribe);
    same(Version::V5, &frame(0x82, b"\x00\x0A\x00\x00\x03a/b\x01\x00\x03c/d\x02"), &subscribe);
}

#[test]
fn suback_says_0x80_for_every_failure_in_3_x() {
    let reasons = vec![ReasonCode::Success, ReasonCode::GrantedQoS2, ReasonCode::NotAuthorized];
    let suback = Packet::SubAck(SubAck { packet_id: id(10), details: Details::default(), reasons });
    same(Version::V5, &[0x90, 6, 0, 10, 0, 0, 2, 0x87], &suback);
    assert_eq!(written(&suback, Version::V311), [0x90, 5, 0, 10, 0, 2, 0x80]);
}

#[test]
fn unsubscribe_and_unsuback() {
    let filters = vec![utf8("a/b"), utf8("c/d")];
    let unsubscribe = Packet::Unsubscribe(Unsubscribe { packet_id: id(10), user: Vec::new(), filters });
    same(Version::V311, &frame(0xA2, b"\x00\x0A\x00\x03a/b\x00\x03c/d"), &unsubscribe);
    let mut unsuback = UnsubAck { packet_id: id(10), details: Details::default(), reasons: Vec::new() };
    same(Version::V311, &[0xB0, 2, 0, 10], &Packet::UnsubAck(unsuback.clone()));
    unsuback.reasons = vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
    same(Version::V5, &[0xB0, 5, 0, 10, 0, 0, 0x11], &Packet::UnsubAck(unsuback));
}

#[test]
fn the_packets_without_a_body() {
    for version in ALL {
        same(version, &[0xC0, 0], &Packet::PingReq);
        same(version, &[0xD0, 0], &Packet::PingResp);
        same(version, &[0xE0, 0], &Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        malformed(version, &[0xC0, 1, 0]);
    }
    same(Version::V5, &[0xE0, 1, 0x8E], &Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver)));
    let none = Auth { reason: ReasonCode::Success, authentication: None, details: Details::default() };
    same(Version::V5, &[0xF0, 0], &Packet::Auth(none));
}

/// Table 2.4 of 3.1.1 and table 1-1 of 5.0: where the remaining length grows by a byte.
#[test]
fn the_remaining_length_takes_one_to_four_bytes() {
    for (payload, header) in [(124, 2), (125, 3), (16_380, 3), (16_381, 4), (2_097_148, 4), (2_097_149, 5)] {
        let publish = PublishRef {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: "t",
            packet_id: None,
            payload: &vec![0; payload],
            properties: &PublishProperties::default(),
        };
        let mut out = BytesMut::new();
        write_publish(Version::V311, &publish, &mut out).unwrap();
        assert_eq!(out.len(), header + 3 + payload);
        assert_eq!(publish_len(Version::V311, &publish), Ok(out.len()));
        assert!(matches!(read(&mut out, Some(Version::V311), 1 << 22), Ok(Some(Packet::Publish(_)))));
        assert!(out.is_empty());
    }
}

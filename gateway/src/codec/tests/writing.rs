//! What cannot be written.

use super::*;

/// Writing fails and leaves what was there before.
#[track_caller]
fn unwritable(version: Version, packet: &Packet) {
    let mut out = BytesMut::from(&b"before"[..]);
    assert!(write(packet, version, &mut out).is_err());
    assert_eq!(&out[..], b"before");
}

#[test]
fn what_a_version_cannot_say_is_an_error() {
    let auth = Auth { reason: ReasonCode::Success, authentication: None, details: Details::default() };
    unwritable(Version::V311, &Packet::Auth(auth));
    unwritable(Version::V311, &Packet::ConnAck(Box::new(ConnAck::new(false, ReasonCode::PacketTooLarge))));
    let mut connect = Connect::new(Version::V311, utf8("c"));
    connect.password = Some(Bytes::from_static(b"p"));
    unwritable(Version::V311, &Packet::Connect(Box::new(connect)));
}

#[test]
fn fields_that_are_too_long_are_errors() {
    let mut connect = Connect::new(Version::V5, utf8("c"));
    connect.password = Some(Bytes::from(vec![0; 65_536]));
    unwritable(Version::V5, &Packet::Connect(Box::new(connect)));
    assert!(Utf8::new(&"x".repeat(65_536)).is_err());
    assert!(Utf8::new("a\0").is_err());
}

#[test]
fn a_publish_has_a_packet_identifier_exactly_when_it_is_acknowledged() {
    let mut publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: utf8("t"),
        packet_id: Some(id(1)),
        payload: Bytes::new(),
        properties: None,
    };
    unwritable(Version::V5, &Packet::Publish(publish.clone()));
    publish.qos = QoS::ExactlyOnce;
    publish.packet_id = None;
    unwritable(Version::V5, &Packet::Publish(publish.clone()));
    publish.qos = QoS::AtMostOnce;
    publish.dup = true;
    assert_eq!(written(&Packet::Publish(publish), Version::V311), b"\x30\x03\x00\x01t");
}

#[test]
fn the_usual_packets_are_small_in_memory() {
    assert!(size_of::<Publish>() <= 96, "{}", size_of::<Publish>());
    assert!(size_of::<Packet>() <= 144, "{}", size_of::<Packet>());
}

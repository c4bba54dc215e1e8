//! The fixed header, and where packets begin and end.

use super::*;

#[test]
fn a_packet_larger_than_allowed_is_refused_at_its_length() {
    let mut buf = BytesMut::from(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F][..]);
    let error = read(&mut buf, Some(Version::V5), MAX).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::PacketTooLarge);
    assert!(read(&mut BytesMut::from(&[0x30, 98][..]), Some(Version::V5), 100).is_ok());
    assert!(read(&mut BytesMut::from(&[0x30, 99][..]), Some(Version::V5), 100).is_err());
}

#[test]
fn an_announced_length_alone_costs_little_memory() {
    let mut buf = BytesMut::from(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F][..]);
    assert_eq!(read(&mut buf, Some(Version::V5), usize::MAX), Ok(None));
    assert!(buf.capacity() < 10_000, "{}", buf.capacity());
    let mut buf = BytesMut::from(&[0x30, 20][..]);
    assert_eq!(read(&mut buf, Some(Version::V5), usize::MAX), Ok(None));
    assert!(buf.capacity() < 64, "{}", buf.capacity());
}

#[test]
fn the_remaining_length_has_four_bytes_at_most_and_none_to_spare_in_5_0() {
    for version in ALL {
        malformed(version, &[0x30, 0x80, 0x80, 0x80, 0x80]);
    }
    malformed(Version::V5, &[0xC0, 0x80, 0x00]);
    assert_eq!(read_one(&[0xC0, 0x80, 0x00], Version::V311), Ok(Some(Packet::PingReq)));
    let long = [&[0x10, 0x8F, 0x00], &connect_v5(2, b"", b"\x00\x02ab")[2..]].concat();
    malformed(Version::V5, &long);
}

#[test]
fn flags_have_their_one_value_but_mean_nothing_in_3_1() {
    for version in [Version::V311, Version::V5] {
        for first in [0x41, 0x58, 0x60, 0x63, 0x80, 0x8A, 0x92, 0xA0, 0xB1, 0xC1, 0xD2, 0xE4] {
            malformed(version, &[first, 0]);
        }
    }
    malformed(Version::V5, &[0xF1, 0]);
    malformed(Version::V311, &frame(0x11, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"));
    assert!(read_one(&frame(0x11, b"\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01c"), Version::V31).is_ok());
    assert!(read_one(&[0x6A, 2, 0, 1], Version::V31).is_ok());
    malformed(Version::V31, &[0x60, 2, 0, 1]);
}

#[test]
fn types_that_a_version_does_not_have_are_refused_at_the_first_byte() {
    for version in ALL {
        malformed(version, &[0x00]);
    }
    for version in V3 {
        malformed(version, &[0xF0]);
    }
}

#[test]
fn connect_comes_first_and_once() {
    let ping = read(&mut BytesMut::from(&[0xC0][..]), None, MAX).unwrap_err();
    assert_eq!((ping.reason(), ping.answer_version()), (ReasonCode::ProtocolError, None));
    let second = read(&mut BytesMut::from(&[0x10][..]), Some(Version::V5), MAX).unwrap_err();
    assert_eq!(second.reason(), ReasonCode::ProtocolError);
}

#[test]
fn a_packet_ends_with_its_last_field() {
    malformed(Version::V311, &[0x40, 3, 0, 1, 0]);
    malformed(Version::V311, &[0x40, 1, 0]);
    malformed(Version::V5, &[0x40, 5, 0, 1, 0, 0, 0]);
    malformed(Version::V311, &[0xE0, 1, 0]);
    malformed(Version::V311, &[0xB0, 3, 0, 1, 0]);
    malformed(Version::V5, &connect_v5(2, b"", b"\x00\x01cx"));
    malformed(Version::V5, &[0xF0, 1, 0]);
}

#[test]
fn packets_are_taken_off_one_by_one() {
    let mut buf = BytesMut::from(&[0xC0, 0, 0x40, 2, 0, 7, 0xD0][..]);
    assert_eq!(read(&mut buf, Some(Version::V5), MAX), Ok(Some(Packet::PingReq)));
    let ack = Packet::PubAck(Ack::new(id(7), ReasonCode::Success));
    assert_eq!(read(&mut buf, Some(Version::V5), MAX), Ok(Some(ack)));
    assert_eq!(read(&mut buf, Some(Version::V5), MAX), Ok(None));
    assert_eq!(&buf[..], [0xD0]);
}

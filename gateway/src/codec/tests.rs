//! The codec against bytes written by hand after the specifications, and against arbitrary ones.

mod connecting;
mod framing;
mod known_bytes;
mod messages;
mod subscribing;
mod writing;

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::strategies::{self, versioned_packet};
use super::*;
use crate::message::QoS;

const MAX: usize = 1 << 20;
const ALL: [Version; 3] = [Version::V31, Version::V311, Version::V5];
const V3: [Version; 2] = [Version::V31, Version::V311];

/// What a server or client in the right state reads: CONNECT is read without a version.
fn read_one(bytes: &[u8], version: Version) -> Result<Option<Packet>, CodecError> {
    let first = bytes.first().is_some_and(|byte| byte >> 4 == 1);
    read(&mut BytesMut::from(bytes), (!first).then_some(version), MAX)
}

fn written(packet: &Packet, version: Version) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(packet, version, &mut out).unwrap();
    assert_eq!(encoded_len(packet, version), Ok(out.len()));
    out.to_vec()
}

/// `bytes` and `packet` say the same, both ways.
#[track_caller]
fn same(version: Version, bytes: &[u8], packet: &Packet) {
    assert_eq!(read_one(bytes, version), Ok(Some(packet.clone())), "reading as {version:?}");
    assert_eq!(written(packet, version), bytes, "writing as {version:?}");
}

/// `bytes` are refused with `reason`.
#[track_caller]
fn refused(version: Version, bytes: &[u8], reason: ReasonCode) -> CodecError {
    let error = read_one(bytes, version).expect_err("the packet is wrong");
    assert_eq!(error.reason(), reason, "{error}");
    error
}

#[track_caller]
fn malformed(version: Version, bytes: &[u8]) {
    refused(version, bytes, ReasonCode::MalformedPacket);
}

#[track_caller]
fn protocol_error(version: Version, bytes: &[u8]) {
    refused(version, bytes, ReasonCode::ProtocolError);
}

fn utf8(text: &str) -> Utf8 {
    Utf8::new(text).unwrap()
}

fn id(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).unwrap()
}

/// A packet around `body`, which is shorter than 128 bytes.
fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(body.len()).unwrap()], body].concat()
}

/// A CONNECT of 5.0 with the given flags, properties and payload.
fn connect_v5(flags: u8, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let len = [u8::try_from(properties.len()).unwrap()];
    frame(0x10, &[&b"\x00\x04MQTT\x05"[..], &[flags, 0, 10], &len[..], properties, payload].concat())
}

/// A QoS 0 PUBLISH of 5.0 to `t` with the given properties and no payload.
fn publish_v5(properties: &[u8]) -> Vec<u8> {
    frame(0x30, &[b"\x00\x01t", &[u8::try_from(properties.len()).unwrap()][..], properties].concat())
}

proptest! {
    #[test]
    fn what_is_written_is_read_back((version, packet) in versioned_packet()) {
        let bytes = written(&packet, version);
        prop_assert_eq!(read_one(&bytes, version), Ok(Some(packet)));
    }

    #[test]
    fn a_packet_that_is_cut_short_waits_for_the_rest((version, packet) in versioned_packet()) {
        let bytes = written(&packet, version);
        let known = (!matches!(packet, Packet::Connect(_))).then_some(version);
        for end in 0..bytes.len() {
            let mut buf = BytesMut::from(&bytes[..end]);
            prop_assert_eq!(read(&mut buf, known, MAX), Ok(None));
            prop_assert_eq!(&buf[..], &bytes[..end]);
        }
        // The same in one buffer that grows.
        let mut buf = BytesMut::new();
        for (index, byte) in bytes.iter().enumerate() {
            buf.extend_from_slice(&[*byte]);
            prop_assert_eq!(read(&mut buf, known, MAX)?.is_some(), index + 1 == bytes.len());
        }
    }

    #[test]
    fn no_packet_is_read_beyond_the_largest_allowed((version, packet) in versioned_packet()) {
        let bytes = written(&packet, version);
        let known = (!matches!(packet, Packet::Connect(_))).then_some(version);
        let mut buf = BytesMut::from(&bytes[..]);
        let error = read(&mut buf, known, bytes.len() - 1).unwrap_err();
        prop_assert_eq!(error.reason(), ReasonCode::PacketTooLarge);
        prop_assert!(read(&mut BytesMut::from(&bytes[..]), known, bytes.len()).is_ok());
    }

    /// Whatever is accepted after a change has one meaning: written again, it is read as the same.
    #[test]
    fn a_changed_packet_is_refused_or_has_one_meaning(
        (version, packet) in versioned_packet(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = written(&packet, version);
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(Some(packet)) = read_one(&bytes, version) {
            let version = if let Packet::Connect(connect) = &packet { connect.version } else { version };
            prop_assert_eq!(read_one(&written(&packet, version), version), Ok(Some(packet)));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_take_much_memory(
        first in any::<u8>(),
        body in prop::collection::vec(any::<u8>(), 0..100),
        framed in any::<bool>(),
        version in prop::option::of(strategies::version()),
    ) {
        let bytes = if framed { frame(first, &body) } else { [&[first][..], &body].concat() };
        let mut buf = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = read(&mut buf, version, 1000) {}
        prop_assert!(buf.capacity() <= 2 * 1000);
    }
}

//! The MQTT codec: bytes to packets and back, for MQTT 3.1, 3.1.1 and 5.0, in both directions.
//!
//! Owns every rule of the wire that one packet's bytes decide. Never does I/O, keeps no state between packets and
//! so knows neither the session nor the direction. What needs them stays with the session: which peer may send which
//! packet or property, alias and receive limits, `$share/…` filters, and whether an UTF-8 payload is one
//! ([`Publish::check_payload_format`]).
//!
//! The map: `header` cuts packets out of the stream, `reader` and `writer` know the data types, `property` the
//! properties of 5.0; then one file for each family of packets. `carried` makes properties of a message's, and back.
//!
//! Sources: OASIS "MQTT Version 5.0" (7 March 2019) and "MQTT Version 3.1.1" (29 October 2014); IBM and Eurotech
//! "MQTT V3.1 Protocol Specification". Sections are those of 5.0 unless another version is named.

mod byte_enum;

mod ack;
mod carried;
mod connack;
mod connect;
mod disconnect;
mod error;
mod header;
mod property;
mod publish;
mod reader;
mod reason;
#[cfg(test)]
pub(crate) mod strategies;
mod suback;
mod subscribe;
#[cfg(test)]
mod tests;
mod utf8;
mod will;
mod writer;

use bytes::{Bytes, BytesMut};

pub use ack::Ack;
pub use carried::{is_own, own_properties, properties_of, said};
pub use connack::ConnAck;
pub use connect::Connect;
pub use disconnect::{Auth, Disconnect};
pub use error::CodecError;
pub use property::{Authentication, Details, UserProperties};
pub use publish::{Publish, PublishProperties, PublishRef};
pub use reason::ReasonCode;
pub use suback::{SubAck, UnsubAck};
pub use subscribe::{RetainHandling, Subscribe, Subscription, Unsubscribe};
pub use utf8::Utf8;
pub use will::Will;

use header::{Header, Kind};
use reader::Reader;
use writer::Writer;

/// A version of the protocol, as CONNECT names it (section 3.1.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1: `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1: `MQTT`, level 4.
    V311,
    /// MQTT 5.0: `MQTT`, level 5.
    V5,
}

impl Version {
    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V31 => "3.1",
            Self::V311 => "3.1.1",
            Self::V5 => "5",
        }
    }
}

/// One control packet (section 2.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A client asks for a connection.
    Connect(Box<Connect>),
    /// The server's answer to CONNECT.
    ConnAck(Box<ConnAck>),
    /// A message, either way.
    Publish(Publish),
    /// Answers a QoS 1 PUBLISH.
    PubAck(Ack),
    /// Answers a QoS 2 PUBLISH.
    PubRec(Ack),
    /// Answers PUBREC.
    PubRel(Ack),
    /// Answers PUBREL.
    PubComp(Ack),
    /// A client asks for subscriptions.
    Subscribe(Subscribe),
    /// Answers SUBSCRIBE.
    SubAck(SubAck),
    /// A client gives subscriptions up.
    Unsubscribe(Unsubscribe),
    /// Answers UNSUBSCRIBE.
    UnsubAck(UnsubAck),
    /// A client's sign of life.
    PingReq,
    /// Answers PINGREQ.
    PingResp,
    /// The last packet on a connection.
    Disconnect(Disconnect),
    /// A step of extended authentication, 5.0 only.
    Auth(Auth),
}

/// Takes one whole packet off the front of `buf`; `None` when more bytes are needed.
///
/// `version` is what CONNECT agreed. Before it, `None`: then only CONNECT is accepted, and after it no other CONNECT.
/// `max` is the largest packet in bytes, fixed header included; a larger one is refused as soon as its length is
/// known. While bytes are missing, room is made in `buf` for no more than this packet still needs, and in steps that
/// follow what has arrived, so an announced length alone costs 4 KiB at most.
///
/// Texts and payloads share the memory of `buf`; CONNECT, which lives as long as the connection, has a copy of its own.
/// A packet's lists (user properties, filters, reason codes) take up to 32 bytes of memory for each byte received.
///
/// # Errors
/// What is wrong with the packet. The stream cannot be read on after one; `buf` is then in no defined state.
pub fn read(buf: &mut BytesMut, version: Option<Version>, max: usize) -> Result<Option<Packet>, CodecError> {
    let Some(header) = Header::peek(buf, version)? else { return Ok(None) };
    let Some(body) = header.split_body(buf, max)? else { return Ok(None) };
    let Some(version) = version else {
        let mut reader = Reader::new(Bytes::copy_from_slice(&body));
        let connect = Connect::read(header, &mut reader)?;
        return Ok(Some(Packet::Connect(Box::new(connect))));
    };
    let mut reader = Reader::new(body);
    let packet = read_body(header, version, &mut reader)?;
    reader.finish()?;
    Ok(Some(packet))
}

fn read_body(header: Header, version: Version, r: &mut Reader) -> Result<Packet, CodecError> {
    Ok(match header.kind {
        Kind::Connect => return Err(CodecError::protocol("CONNECT", "comes a second time")),
        Kind::ConnAck => Packet::ConnAck(Box::new(ConnAck::read(version, r)?)),
        Kind::Publish => Packet::Publish(Publish::read(header.flags, version, r)?),
        Kind::PubAck => Packet::PubAck(Ack::read(version, r, ack::RECEIVED)?),
        Kind::PubRec => Packet::PubRec(Ack::read(version, r, ack::RECEIVED)?),
        Kind::PubRel => Packet::PubRel(Ack::read(version, r, ack::RELEASED)?),
        Kind::PubComp => Packet::PubComp(Ack::read(version, r, ack::RELEASED)?),
        Kind::Subscribe => Packet::Subscribe(Subscribe::read(version, r)?),
        Kind::SubAck => Packet::SubAck(SubAck::read(version, r)?),
        Kind::Unsubscribe => Packet::Unsubscribe(Unsubscribe::read(version, r)?),
        Kind::UnsubAck => Packet::UnsubAck(UnsubAck::read(version, r)?),
        Kind::PingReq => Packet::PingReq,
        Kind::PingResp => Packet::PingResp,
        Kind::Disconnect => Packet::Disconnect(Disconnect::read(version, r)?),
        Kind::Auth => Packet::Auth(Auth::read(r)?),
    })
}

/// Appends `packet` as `version` writes it; CONNECT is written in the version that it names itself.
///
/// For 3.1 and 3.1.1, properties are left out and reason codes become what these versions have: a return code in
/// CONNACK, 0x80 in SUBACK, nothing elsewhere.
///
/// # Errors
/// When the version has no way to write this packet; `out` is then as it was.
pub fn write(packet: &Packet, version: Version, out: &mut BytesMut) -> Result<(), CodecError> {
    writer::frame(packet.first_byte(), out, |w| packet.write_body(version, w))
}

/// How many bytes [`write()`] would append, fixed header included, so that the peer's Maximum Packet Size can be kept
/// (section 3.1.2.11.4).
///
/// # Errors
/// As [`write()`].
pub fn encoded_len(packet: &Packet, version: Version) -> Result<usize, CodecError> {
    writer::frame_len(|w| packet.write_body(version, w))
}

/// Appends a PUBLISH without making a [`Packet`] of it: the hot path of the fan-out.
///
/// # Errors
/// When the version has no way to write it; `out` is then as it was.
pub fn write_publish(version: Version, publish: &PublishRef<'_>, out: &mut BytesMut) -> Result<(), CodecError> {
    writer::frame(publish.first_byte(), out, |w| publish.write_body(version, w))
}

/// How many bytes [`write_publish`] would append, fixed header included.
///
/// # Errors
/// As [`write_publish`].
pub fn publish_len(version: Version, publish: &PublishRef<'_>) -> Result<usize, CodecError> {
    writer::frame_len(|w| publish.write_body(version, w))
}

impl Packet {
    /// The first byte on the wire: type and flags (section 2.1.1).
    fn first_byte(&self) -> u8 {
        match self {
            Self::Connect(_) => Kind::Connect.first_byte(),
            Self::ConnAck(_) => Kind::ConnAck.first_byte(),
            Self::Publish(publish) => publish.as_ref().first_byte(),
            Self::PubAck(_) => Kind::PubAck.first_byte(),
            Self::PubRec(_) => Kind::PubRec.first_byte(),
            Self::PubRel(_) => Kind::PubRel.first_byte(),
            Self::PubComp(_) => Kind::PubComp.first_byte(),
            Self::Subscribe(_) => Kind::Subscribe.first_byte(),
            Self::SubAck(_) => Kind::SubAck.first_byte(),
            Self::Unsubscribe(_) => Kind::Unsubscribe.first_byte(),
            Self::UnsubAck(_) => Kind::UnsubAck.first_byte(),
            Self::PingReq => Kind::PingReq.first_byte(),
            Self::PingResp => Kind::PingResp.first_byte(),
            Self::Disconnect(_) => Kind::Disconnect.first_byte(),
            Self::Auth(_) => Kind::Auth.first_byte(),
        }
    }

    fn write_body(&self, version: Version, w: &mut Writer<'_>) -> Result<(), CodecError> {
        match self {
            Self::Connect(connect) => connect.write_body(w),
            Self::ConnAck(connack) => connack.write_body(version, w),
            Self::Publish(publish) => publish.as_ref().write_body(version, w),
            Self::PubAck(ack) | Self::PubRec(ack) => ack.write_body(version, w, ack::RECEIVED),
            Self::PubRel(ack) | Self::PubComp(ack) => ack.write_body(version, w, ack::RELEASED),
            Self::Subscribe(subscribe) => subscribe.write_body(version, w),
            Self::SubAck(suback) => suback.write_body(version, w),
            Self::Unsubscribe(unsubscribe) => unsubscribe.write_body(version, w),
            Self::UnsubAck(unsuback) => unsuback.write_body(version, w),
            Self::PingReq | Self::PingResp => Ok(()),
            Self::Disconnect(disconnect) => disconnect.write_body(version, w),
            Self::Auth(auth) => auth.write_body(version, w),
        }
    }
}

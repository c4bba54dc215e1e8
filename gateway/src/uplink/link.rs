//! The first talk on a connection to a remote, CONNECT and CONNACK.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::dial::Link;
use super::trouble::{Trouble, repeated};
use super::who::Who;
use crate::codec::{self, ConnAck, Connect, Disconnect, Packet, PublishProperties, ReasonCode, Utf8, Version, Will};
use crate::config::{Protocol, Uplink};
use crate::message::QoS;

/// How long the remote may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages of the remote that may be under way without acknowledgement.
const RECEIVE_MAXIMUM: NonZeroU16 = NonZeroU16::MIN.saturating_add(63);
/// How long the remote is asked to keep what is for the gateway, in seconds: a week.
const SESSION_EXPIRY: u32 = 7 * 24 * 3600;

/// A connection on which the remote has let the gateway in.
pub(super) struct Joined {
    pub(super) link: Link,
    /// What came behind CONNACK.
    pub(super) inbox: BytesMut,
    pub(super) session_present: bool,
    pub(super) limits: Limits,
}

/// What the remote takes, by its CONNACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Messages under way without acknowledgement.
    pub receive_maximum: u16,
    /// The highest quality of service.
    pub maximum_qos: u8,
    /// Whether messages can be retained there.
    pub retain_available: bool,
    /// The longest packet in bytes; `None`: as long as MQTT allows.
    pub maximum_packet_size: Option<u32>,
    /// The keep-alive that holds, in seconds.
    pub keep_alive: u16,
    /// Topic aliases that it takes. None are used.
    pub topic_alias_maximum: u16,
}

impl Limits {
    fn of(connack: &ConnAck, asked: u16) -> Self {
        Self {
            receive_maximum: connack.receive_maximum.map_or(u16::MAX, NonZeroU16::get),
            maximum_qos: connack.maximum_qos.map_or(2, |qos| qos as u8),
            retain_available: connack.retain_available.unwrap_or(true),
            maximum_packet_size: connack.maximum_packet_size.map(NonZeroU32::get),
            keep_alive: connack.server_keep_alive.unwrap_or(asked),
            topic_alias_maximum: connack.topic_alias_maximum.unwrap_or(0),
        }
    }

    /// The quality of service in whose place another can't be put.
    pub(super) fn qos(&self) -> QoS {
        QoS::from_u8(self.maximum_qos).unwrap_or(QoS::AtMostOnce)
    }
}

pub(super) fn version(protocol: Protocol) -> Version {
    match protocol {
        Protocol::V311 => Version::V311,
        Protocol::V5 => Version::V5,
    }
}

/// What the remote is to remember of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remembers {
    /// Nothing, once the connection is over.
    Nothing,
    /// What it does, and from now on.
    Session,
    /// From now on, and nothing of before. With 3.1.1 that takes two connections: the session of the first ends with it.
    Anew,
}

/// The request to be let in. `will` is the topic and payload that the remote is to publish when it loses the gateway, and to
/// retain where it retains messages.
pub(super) fn request(
    uplink: &Uplink,
    who: &Who,
    remembers: Remembers,
    will: Option<(&str, &str)>,
) -> Result<Connect, Trouble> {
    let text = |text: &str| Utf8::new(text).map_err(|error| Trouble::Protocol(error.to_string()));
    let version = version(uplink.protocol);
    let mut connect = Connect::new(version, text(&uplink.client_id)?);
    connect.clean_start = remembers != Remembers::Session;
    connect.keep_alive = u16::try_from(uplink.keep_alive.as_secs()).unwrap_or(u16::MAX);
    connect.user_name = who.user.as_deref().map(text).transpose()?;
    connect.password = who.password.as_ref().map(|password| Bytes::copy_from_slice(password.as_bytes()));
    if let Some((topic, payload)) = will {
        connect.will = Some(Will {
            topic: text(topic)?,
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            qos: QoS::AtLeastOnce,
            // A hub retains nothing, and takes a will for telemetry.
            retain: uplink.hub.is_none(),
            delay: None,
            properties: PublishProperties::default(),
        });
    }
    if version == Version::V5 {
        connect.session_expiry = (remembers != Remembers::Nothing).then_some(SESSION_EXPIRY);
        connect.receive_maximum = Some(RECEIVE_MAXIMUM);
        connect.maximum_packet_size = u32::try_from(uplink.max_packet_size).ok().and_then(NonZeroU32::new);
    }
    Ok(connect)
}

/// Says goodbye, without a look at what comes of it.
pub(super) async fn part(mut link: Link, version: Version) -> Result<(), Trouble> {
    let mut out = BytesMut::new();
    codec::write(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)), version, &mut out)?;
    let goodbye = async {
        link.stream.write_all(&out).await?;
        link.stream.shutdown().await
    };
    Ok(timeout_at(Instant::now() + PATIENCE, goodbye).await.map_err(|_| Trouble::TooSlow("to take DISCONNECT"))??)
}

/// Asks to be let in.
pub(super) async fn join(mut link: Link, connect: Connect, max_packet: usize) -> Result<Joined, Trouble> {
    let deadline = Instant::now() + PATIENCE;
    let (version, asked) = (connect.version, connect.keep_alive);
    let mut out = BytesMut::new();
    codec::write(&Packet::Connect(Box::new(connect)), version, &mut out)?;
    let joining = async {
        link.stream.write_all(&out).await?;
        link.stream.flush().await?;
        let mut inbox = BytesMut::new();
        loop {
            if let Some(packet) = codec::read(&mut inbox, Some(version), max_packet)? {
                return Ok((packet, inbox));
            }
            if link.stream.read_buf(&mut inbox).await? == 0 {
                return Err(Trouble::ClosedAtConnect);
            }
        }
    };
    let (packet, inbox) = timeout_at(deadline, joining).await.map_err(|_| Trouble::TooSlow("to answer CONNECT"))??;
    let Packet::ConnAck(connack) = packet else { return Err(Trouble::Protocol("no CONNACK comes first".to_owned())) };
    if connack.reason.is_error() {
        let details = connack.details.reason_string.as_ref().map(|reason| repeated(reason.as_str()));
        return Err(Trouble::Refused { reason: connack.reason, details, version });
    }
    let limits = Limits::of(&connack, asked);
    Ok(Joined { link, inbox, session_present: connack.session_present, limits })
}

//! One try of a remote: every step on the way to an acknowledged message, and what it found.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::dial::{Dialer, Link, Stream};
use super::flight::SUBSCRIBE;
use super::link::{self, Limits, Remembers};
use super::reports;
use super::routes::Routes;
use super::trouble::Trouble;
use super::who::Who;
use crate::codec::{self, Disconnect, Packet, Publish, ReasonCode, Utf8, Version};
use crate::config::Uplink;
use crate::message::{QoS, Received};
use crate::tls;

/// How long the remote may take to acknowledge a message.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was found on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The path of this name is tried.
    Path(String),
    /// A connection is open.
    Connected {
        /// To the remote's address, or the proxy's.
        to: SocketAddr,
        /// From this address of the machine.
        from: SocketAddr,
        /// The proxy, which has reached the remote.
        proxy: Option<String>,
    },
    /// What TLS agreed on.
    Tls(tls::Agreed),
    /// The remote agreed to WebSocket, at this path of its.
    WebSocket(String),
    /// The remote let the gateway in, with these limits.
    Joined(Limits),
    /// It acknowledged a message under this topic, after so long.
    Acknowledged(String, Duration),
}

/// What is tried, in this order; what the settings do not want is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its name, or its proxy's, becomes an address.
    Name,
    /// TCP.
    Connection,
    /// The proxy reaches the remote.
    Proxy,
    /// The handshake.
    Tls,
    /// The request that becomes one.
    WebSocket,
    /// CONNECT.
    SignIn,
    /// One message is acknowledged.
    Message,
}

impl Stage {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "the name",
            Self::Connection => "the connection",
            Self::Proxy => "the proxy",
            Self::Tls => "TLS",
            Self::WebSocket => "the WebSocket",
            Self::SignIn => "the sign-in",
            Self::Message => "the message",
        }
    }
}

/// How far a try goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Until MQTT could be spoken.
    Connection,
    /// Until a message is acknowledged.
    Message,
}

/// By which client id a try disturbs nobody, unless the remote is a hub, which knows no other than the gateway's.
pub fn test_client_id(uplink: &Uplink) -> String {
    if uplink.hub.is_some() { uplink.client_id.clone() } else { format!("{}-test", uplink.client_id) }
}

/// Connects as the uplink's client over each of its paths, publishes one message and says goodbye. Each step is told as it is
/// done. `now` is for tokens.
///
/// # Errors
/// In words, what failed and what to do, of each path on which something did.
pub async fn probe(uplink: &Uplink, gateway: &str, now: Received, mut tell: impl FnMut(Step)) -> Result<(), String> {
    let mut dialer = Dialer::new(uplink);
    let mut troubles = Vec::new();
    for path in 0..dialer.count() {
        let label = dialer.label(path);
        if !uplink.paths.is_empty() {
            tell(Step::Path(label.clone()));
        }
        let of = Try { uplink, gateway, now, reach: Reach::Message };
        let tried = of.over(path, &mut dialer, &mut Stage::Name, &mut tell).await;
        troubles.extend(tried.err().map(|why| (label, why)));
    }
    Trouble::of_paths(troubles).map_or(Ok(()), |trouble| Err(trouble.to_string()))
}

/// A try of one remote.
pub(super) struct Try<'a> {
    pub(super) uplink: &'a Uplink,
    pub(super) gateway: &'a str,
    /// For tokens.
    pub(super) now: Received,
    pub(super) reach: Reach,
}

impl Try<'_> {
    /// Over one path. `at` says what is under way, or what it ended on.
    pub(super) async fn over(
        &self,
        path: usize,
        dialer: &mut Dialer,
        at: &mut Stage,
        tell: &mut impl FnMut(Step),
    ) -> Result<(), Trouble> {
        let link = dialer.open_telling(path, at).await?;
        tell(Step::Connected { to: link.peer, from: link.local, proxy: link.proxy.clone() });
        if let Some(agreed) = link.tls.clone() {
            tell(Step::Tls(agreed));
        }
        if let Some(path) = link.websocket.clone() {
            tell(Step::WebSocket(path));
        }
        match self.reach {
            Reach::Connection => Ok(()),
            Reach::Message => run(link, self, at, tell).await,
        }
    }
}

async fn run(link: Link, of: &Try<'_>, at: &mut Stage, tell: &mut impl FnMut(Step)) -> Result<(), Trouble> {
    let Try { uplink, gateway, now, .. } = *of;
    *at = Stage::SignIn;
    let who = Who::of(uplink, now)?;
    // A hub keeps what is for the device in the session that the gateway has.
    let remembers = if uplink.hub.is_none() { Remembers::Nothing } else { Remembers::Session };
    let request = link::request(uplink, &who, remembers, None)?;
    let joined = link::join(link, request, uplink.max_packet_size).await.map_err(|why| who.explained(why))?;
    tell(Step::Joined(joined.limits));
    *at = Stage::Message;
    let topic = format!("{}{}/probe", reports::own(gateway), uplink.name);
    let topic = Routes::new(uplink).said(&topic).map_or(topic, |topic| topic.to_string());
    let version = link::version(uplink.protocol);
    let qos = QoS::AtLeastOnce.min(joined.limits.qos());
    let publish = Publish {
        dup: false,
        qos,
        retain: false,
        topic: Utf8::new(&topic)?,
        packet_id: (qos != QoS::AtMostOnce).then_some(SUBSCRIBE),
        payload: b"stile uplink test"[..].into(),
        properties: None,
    };
    let (mut stream, mut out) = (joined.link.stream, BytesMut::new());
    codec::write(&Packet::Publish(publish), version, &mut out)?;
    let since = std::time::Instant::now();
    let asking = async {
        stream.write_all(&out).await?;
        stream.flush().await?;
        if qos == QoS::AtMostOnce {
            return Ok(());
        }
        acknowledgement(&mut stream, joined.inbox, version, uplink.max_packet_size).await
    };
    timeout(PATIENCE, asking).await.map_err(|_| Trouble::TooSlow("to acknowledge a message"))??;
    tell(Step::Acknowledged(topic, since.elapsed()));
    out.clear();
    codec::write(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)), version, &mut out)?;
    // All that was asked is known.
    let _ = timeout(PATIENCE, stream.write_all(&out)).await;
    let _ = timeout(PATIENCE, stream.shutdown()).await;
    Ok(())
}

/// Waits for the answer to the one message.
async fn acknowledgement(
    stream: &mut Box<dyn Stream>,
    mut inbox: BytesMut,
    version: Version,
    max_packet: usize,
) -> Result<(), Trouble> {
    loop {
        match codec::read(&mut inbox, Some(version), max_packet)? {
            Some(Packet::PubAck(ack)) if ack.reason.is_error() => return Err(Trouble::NotTaken(ack.reason)),
            Some(Packet::PubAck(_)) => return Ok(()),
            Some(Packet::Disconnect(disconnect)) => return Err(Trouble::SentAway(disconnect.reason.to_string())),
            Some(_) => {}
            None if stream.read_buf(&mut inbox).await? == 0 => {
                return Err(Trouble::Lost("closed by the remote, which may not allow the topic".to_owned()));
            }
            None => {}
        }
    }
}

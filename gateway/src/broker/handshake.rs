//! From the first byte to CONNACK: reading CONNECT, deciding, answering.

use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::access::Access;
use super::accounts::Accounts;
use super::aliases::{self, Given};
use super::identify::{Identity, identify};
use super::registry::Will;
use super::session::Terms;
use super::stats::Refusal;
use super::tls::Caller;
use crate::codec::{self, ConnAck, Connect, Packet, ReasonCode, Utf8, Version};
use crate::config::{self, Credential};
use crate::message::Topic;

/// How long a client may take from its connection to its CONNECT.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The largest CONNECT: a stranger gets no more memory than this. Client id, user name, password and a will fit.
const CONNECT_MAX: usize = 64 * 1024;
/// The longest client id that is taken, in bytes.
const CLIENT_ID_MAX: usize = 256;
/// How long the answer to a refused client may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What was agreed with a client.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) client: Arc<str>,
    /// Who it is.
    pub(super) access: Arc<Access>,
    /// What proved it.
    pub(super) proof: Option<Credential>,
    pub(super) clean_start: bool,
    /// How long the session outlives the connection.
    pub(super) expiry: Duration,
    /// Zero: no limit.
    pub(super) keep_alive: Duration,
    pub(super) will: Option<Will>,
    pub(super) terms: Terms,
    assigned: bool,
    server_keep_alive: bool,
}

/// Why a client was sent away.
#[derive(Debug)]
pub(super) struct Rejected {
    /// For the counters.
    pub(super) refusal: Refusal,
    /// For the log.
    pub(super) why: String,
}

impl Rejected {
    pub(super) fn new(refusal: Refusal, why: impl Into<String>) -> Self {
        Self { refusal, why: why.into() }
    }
}

/// Reads CONNECT, until `deadline` at most, and decides on it; its password waits for no longer either. What came behind it is left in `inbox`. A refused client has had its answer.
pub(super) async fn meet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    inbox: &mut BytesMut,
    settings: &config::Broker,
    accounts: &Arc<Accounts>,
    (caller, peer): (&Caller, SocketAddr),
    deadline: Instant,
) -> Result<Agreed, Rejected> {
    let connect = match tokio::time::timeout_at(deadline, read_connect(stream, inbox)).await {
        Ok(Ok(connect)) => connect,
        Ok(Err(Failed::Io(error))) => return Err(Rejected::new(Refusal::NoConnect, error.to_string())),
        Ok(Err(Failed::Codec(error))) => {
            if let Some(version) = error.answer_version() {
                refuse(stream, version, error.reason(), None).await;
            }
            return Err(Rejected::new(Refusal::Protocol, error.to_string()));
        }
        Err(_elapsed) => return Err(Rejected::new(Refusal::NoConnect, format!("no CONNECT within {PATIENCE:?}"))),
    };
    let identity = match connect.authentication {
        Some(_) => Err((Refusal::Protocol, ReasonCode::BadAuthenticationMethod)),
        None => identify(&connect, caller, peer.ip(), accounts, deadline).await,
    };
    let decided = identity.and_then(|identity| decide(&connect, settings, identity, accounts));
    match decided.and_then(|agreed| agreed.if_connack_fits(settings)) {
        Ok(agreed) => Ok(agreed),
        Err((refusal, reason)) => {
            refuse(stream, connect.version, reason, connect.maximum_packet_size).await;
            Err(Rejected::new(refusal, format!("{peer}: {reason}")))
        }
    }
}

enum Failed {
    Io(io::Error),
    Codec(codec::CodecError),
}

async fn read_connect<S: AsyncRead + Unpin>(stream: &mut S, inbox: &mut BytesMut) -> Result<Connect, Failed> {
    loop {
        match codec::read(inbox, None, CONNECT_MAX).map_err(Failed::Codec)? {
            Some(Packet::Connect(connect)) => return Ok(*connect),
            // The codec lets nothing else through before CONNECT.
            Some(_) => return Err(Failed::Io(io::ErrorKind::InvalidData.into())),
            None => {}
        }
        if stream.read_buf(inbox).await.map_err(Failed::Io)? == 0 {
            return Err(Failed::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before CONNECT")));
        }
    }
}

fn decide(
    connect: &Connect,
    settings: &config::Broker,
    identity: Identity,
    accounts: &Arc<Accounts>,
) -> Result<Agreed, (Refusal, ReasonCode)> {
    let protocol = |reason| (Refusal::Protocol, reason);
    let v5 = connect.version == Version::V5;
    let assigned = connect.client_id.is_empty();
    // MQTT 3.1.1, section 3.1.3.1: without a client id there is no session to come back to.
    if connect.client_id.len() > CLIENT_ID_MAX || (assigned && !v5 && !connect.clean_start) {
        return Err(protocol(ReasonCode::ClientIdentifierNotValid));
    }
    let client: Arc<str> = if assigned { unguessable_id()? } else { connect.client_id.as_str().into() };
    let access = Arc::new(Access::new(identity.who, Arc::clone(&client), Arc::clone(accounts)));
    let will = will(connect, &access, settings).map_err(protocol)?;
    let (keep_alive, server_keep_alive) = keep_alive(connect, settings);
    let max_packet = connect.maximum_packet_size.map_or(usize::MAX, |n| n.get() as usize);
    Ok(Agreed {
        client,
        access,
        proof: identity.proof,
        clean_start: connect.clean_start,
        expiry: expiry(connect, settings),
        keep_alive,
        will,
        terms: Terms {
            version: connect.version,
            window: connect.receive_maximum.map_or(u16::MAX, NonZeroU16::get).min(settings.receive_maximum).into(),
            max_packet: max_packet.min(settings.max_packet_size),
            aliases: Given::new(connect.topic_alias_maximum.unwrap_or(0)),
        },
        assigned,
        server_keep_alive,
    })
}

/// A client id for a client without one; nobody can guess it and so take its session over.
fn unguessable_id() -> Result<Arc<str>, (Refusal, ReasonCode)> {
    let number = |_| getrandom::u64().map_err(|_| (Refusal::Protocol, ReasonCode::ServerUnavailable));
    let (high, low) = (number(0)?, number(1)?);
    Ok(format!("auto-{high:016x}{low:016x}").into())
}

fn will(connect: &Connect, access: &Arc<Access>, settings: &config::Broker) -> Result<Option<Will>, ReasonCode> {
    let Some(will) = &connect.will else { return Ok(None) };
    let topic = Topic::new(&will.topic).map_err(|_| ReasonCode::TopicNameInvalid)?;
    if !super::may_publish(&topic, settings) || !access.may_publish(&topic) {
        return Err(ReasonCode::NotAuthorized);
    }
    Ok(Some(Will {
        access: Arc::clone(access),
        topic,
        payload: Bytes::copy_from_slice(&will.payload),
        qos: will.qos,
        retain: will.retain,
        delay: Duration::from_secs(will.delay.unwrap_or(0).into()),
        properties: codec::said(&will.properties),
    }))
}

/// How long the session is kept, never longer than the gateway's own limit.
fn expiry(connect: &Connect, settings: &config::Broker) -> Duration {
    let wanted = match connect.version {
        Version::V5 => Duration::from_secs(connect.session_expiry.unwrap_or(0).into()),
        // 3.1.1 knows only "until it is asked to be clean": as long as the gateway keeps any.
        _ if connect.clean_start => Duration::ZERO,
        _ => Duration::MAX,
    };
    wanted.min(settings.session_expiry_max)
}

/// The keep-alive, and whether the server sets it. Only MQTT 5 lets it (section 3.2.2.3.14).
fn keep_alive(connect: &Connect, settings: &config::Broker) -> (Duration, bool) {
    let wanted = Duration::from_secs(connect.keep_alive.into());
    if connect.version == Version::V5 && wanted > settings.keep_alive_max {
        return (settings.keep_alive_max, true);
    }
    (wanted, false)
}

impl Agreed {
    /// Refuses a client that takes packets so small that it could not even be told the limits (section 3.1.2.11.4).
    fn if_connack_fits(self, settings: &config::Broker) -> Result<Self, (Refusal, ReasonCode)> {
        let len = codec::encoded_len(&self.connack(true, settings), self.terms.version);
        if len.is_ok_and(|len| len <= self.terms.max_packet) {
            Ok(self)
        } else {
            Err((Refusal::Protocol, ReasonCode::PacketTooLarge))
        }
    }

    /// The answer to CONNECT.
    pub(super) fn connack(&self, session_present: bool, settings: &config::Broker) -> Packet {
        let mut connack = ConnAck::new(session_present, ReasonCode::Success);
        connack.session_expiry = u32::try_from(self.expiry.as_secs()).ok();
        connack.receive_maximum = NonZeroU16::new(settings.receive_maximum);
        connack.maximum_packet_size = u32::try_from(settings.max_packet_size).ok().and_then(NonZeroU32::new);
        connack.assigned_client_id = self.assigned.then(|| Utf8::new(&self.client).ok()).flatten();
        connack.server_keep_alive =
            self.server_keep_alive.then(|| u16::try_from(self.keep_alive.as_secs()).unwrap_or(u16::MAX));
        connack.topic_alias_maximum = Some(aliases::MAX);
        Packet::ConnAck(Box::new(connack))
    }
}

/// Tells a client that it can't come in, in words of its version, where that has any, and that are not too many for it.
async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, version: Version, reason: ReasonCode, max: Option<NonZeroU32>) {
    let mut out = BytesMut::new();
    let connack = Packet::ConnAck(Box::new(ConnAck::new(false, reason)));
    let fits = |len: usize| max.is_none_or(|max| len <= max.get() as usize);
    if codec::write(&connack, version, &mut out).is_ok() && fits(out.len()) {
        // It is sent away whether it hears this or not.
        let _ = tokio::time::timeout(FAREWELL, stream.write_all(&out)).await;
        let _ = tokio::time::timeout(FAREWELL, stream.shutdown()).await;
    }
}

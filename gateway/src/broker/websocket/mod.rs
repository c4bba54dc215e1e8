//! MQTT over WebSocket (MQTT 5.0, section 6).
//!
//! `upgrade.rs` is the HTTP request before; frames and the stream of bytes that is made of them are those of the room
//! `websocket`. What comes through the admin port has been upgraded there, and is handed over here as a raw stream.
//!
//! A browser's page may connect only to the host that it comes from.

#[cfg(test)]
mod tests;
mod upgrade;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::upgrade::{Refused, judge};
use super::gate::Pass;
use super::handshake::{self, Rejected};
use super::inventory::Whence;
use super::stats::Refusal;
use super::tls::Caller;
use super::{Broker, Shared, listener};
use crate::accept::{self, Handshaken};
use crate::config::{self, Door};
use crate::supervisor::UnitError;
use crate::wait::Flushing;
pub use crate::websocket::SUBPROTOCOL;
use crate::websocket::{Side, WebSocket};

/// Where it is, on every port that has it.
pub const PATH: &str = "/mqtt";
/// Connections that the admin side has handed over and nobody has taken yet. Beyond it, newcomers are refused.
pub(super) const ARRIVALS: usize = 64;

/// What a request came by.
pub(crate) enum Came {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS.
    Secure(Box<Handshaken>),
}

/// A stream, and what came behind the request; there as soon as the request's answer has been sent.
pub(crate) type Upgrading = Pin<Box<dyn Future<Output = io::Result<(Came, Bytes)>> + Send>>;

/// A client that the admin side has handed over.
pub(super) struct Arrival {
    upgrading: Upgrading,
    peer: SocketAddr,
    pass: Pass,
    settings: Arc<config::Broker>,
}

impl Broker {
    /// Takes a client from the admin port, before its request is answered. To be answered with 101 if it is taken.
    ///
    /// # Errors
    /// In a few words, when it can't be taken now or from there.
    pub(crate) fn take_websocket(&self, upgrading: Upgrading, peer: SocketAddr) -> Result<(), &'static str> {
        let settings = self.shared.settings.get();
        if self.shared.accounts.anonymous_by_mistake(peer.ip()) {
            return Err("from another machine, and there is no user who may connect");
        }
        let pass = self.shared.gate.enter(peer.ip(), &settings).map_err(|refusal| {
            self.shared.stats.refused(refusal);
            refusal.as_str()
        })?;
        let arrival = Arrival { upgrading, peer, pass, settings };
        self.arrivals.try_send(arrival).map_err(|_full_or_closed| "too much to do")
    }
}

/// Serves those that the admin side hands over until told to stop, then lets each of them end.
pub(super) async fn run(
    mut arrivals: mpsc::Receiver<Arrival>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_ended) = clients.join_next(), if !clients.is_empty() => {}
            arrival = arrivals.recv() => match arrival {
                Some(arrival) => {
                    clients.spawn(welcome(arrival, Arc::clone(&shared), stop.clone()));
                }
                None => break,
            },
        }
    }
    drop(arrivals);
    while clients.join_next().await.is_some() {}
    Ok(())
}

async fn welcome(arrival: Arrival, shared: Arc<Shared>, stop: CancellationToken) {
    let Arrival { upgrading, peer, pass: _pass, settings } = arrival;
    let deadline = Instant::now() + handshake::PATIENCE;
    match stop.run_until_cancelled(timeout_at(deadline, upgrading)).await {
        Some(Ok(Ok((stream, input)))) => {
            let input = BytesMut::from(input);
            match stream {
                Came::Plain(stream) => {
                    accept::prepare(&stream, settings.tcp_keep_alive);
                    let stream = WebSocket::new(Side::Server, stream, input, settings.max_packet_size);
                    let whence = Whence { address: peer, door: Door::WebSocket };
                    listener::serve(stream, Caller::Stranger, whence, shared, settings, deadline, &stop).await;
                }
                Came::Secure(stream) => {
                    accept::prepare(stream.get_ref().0, settings.tcp_keep_alive);
                    let stream = WebSocket::new(Side::Server, Flushing::new(*stream), input, settings.max_packet_size);
                    let whence = Whence { address: peer, door: Door::SecureWebSocket };
                    let serving = listener::serve(stream, Caller::Stranger, whence, shared, settings, deadline, &stop);
                    Box::pin(serving).await;
                }
            }
        }
        None => {}
        Some(Ok(Err(_)) | Err(_)) => shared.stats.refused(Refusal::NoConnect),
    }
}

/// Reads and answers the request on a listener of the broker's own.
pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    settings: &config::Broker,
    deadline: Instant,
) -> Result<WebSocket<S>, Rejected> {
    match timeout_at(deadline, upgrade::read(&mut stream)).await {
        Ok(Ok(input)) => Ok(WebSocket::new(Side::Server, stream, input, settings.max_packet_size)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Rejected::new(Refusal::Protocol, format!("no WebSocket: {error}")))
        }
        Ok(Err(error)) => Err(Rejected::new(Refusal::NoConnect, error.to_string())),
        Err(_elapsed) => Err(Rejected::new(Refusal::NoConnect, "no request in time")),
    }
}

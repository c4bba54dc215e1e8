//! Accepting clients on one address. A client that dallies or fails costs its own task and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handshake::Rejected;
use super::inventory::Whence;
use super::stats::Stats;
use super::tls::{self, Caller};
use super::{Shared, connection, handshake, websocket};
use crate::accept::{self, Acceptor};
use crate::config::{self, Door};
use crate::supervisor::UnitError;

/// Opens an address for MQTT.
///
/// # Errors
/// In words that name the setting.
pub async fn bind(door: Door, address: SocketAddr) -> Result<TcpListener, UnitError> {
    TcpListener::bind(address).await.map_err(|error| {
        let (speaks, setting) = (door.speaks(), door.setting());
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => format!("another program has this port; set another in `{setting}`"),
            io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 need a right; set a higher one in `{setting}`")
            }
            _ => format!("check `{setting}`"),
        };
        format!("can't listen for {speaks} on {address}: {error}; {remedy}").into()
    })
}

/// Accepts clients until told to stop, then lets each of them end.
pub(super) async fn run(
    door: Door,
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let mut acceptor = Acceptor::new(listener, door.speaks());
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_ended) = clients.join_next(), if !clients.is_empty() => {}
            (stream, peer) = acceptor.next(&shared.stats.accepts_failed) => {
                clients.spawn(welcome(door, stream, peer, Arc::clone(&shared), stop.clone()));
            }
        }
    }
    drop(acceptor);
    while clients.join_next().await.is_some() {}
    Ok(())
}

async fn welcome(door: Door, stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, stop: CancellationToken) {
    Stats::add(&shared.stats.sockets, 1);
    let settings = shared.settings.get();
    let _pass = match shared.gate.enter(peer.ip(), &settings) {
        Ok(pass) => pass,
        Err(refusal) => {
            shared.stats.refused(refusal);
            log::debug!(peer:% = peer, error = refusal.as_str(); "client turned away");
            return;
        }
    };
    accept::prepare(&stream, settings.tcp_keep_alive);
    let deadline = Instant::now() + handshake::PATIENCE;
    let whence = Whence { address: peer, door };
    match door {
        Door::Plain => serve(stream, Caller::Stranger, whence, shared, settings, deadline, &stop).await,
        // Boxed, so that a plain connection's task does not have the size of these.
        Door::WebSocket => {
            Box::pin(serve_websocket(stream, Caller::Stranger, whence, shared, settings, deadline, &stop)).await;
        }
        Door::Tls | Door::SecureWebSocket => {
            Box::pin(serve_tls(stream, whence, shared, settings, deadline, &stop)).await;
        }
    }
}

async fn serve_tls(
    stream: TcpStream,
    whence: Whence,
    shared: Arc<Shared>,
    settings: Arc<config::Broker>,
    deadline: Instant,
    stop: &CancellationToken,
) {
    // Without `[broker.tls]`, a reload has just closed this door.
    let Some(tls) = &settings.tls else { return };
    match stop.run_until_cancelled(tls::accept(stream, tls, deadline)).await {
        None => {}
        Some(Err(failed)) => {
            shared.stats.handshake_failed(failed.fault);
            let (peer, reason) = (whence.address, failed.fault.as_str());
            log::info!(peer:% = peer, reason = reason, error = failed.why.as_str(); "TLS handshake failed");
        }
        Some(Ok((stream, caller))) if whence.door == Door::SecureWebSocket => {
            Box::pin(serve_websocket(stream, caller, whence, shared, settings, deadline, stop)).await;
        }
        Some(Ok((stream, caller))) => serve(stream, caller, whence, shared, settings, deadline, stop).await,
    }
}

async fn serve_websocket<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    caller: Caller,
    whence: Whence,
    shared: Arc<Shared>,
    settings: Arc<config::Broker>,
    deadline: Instant,
    stop: &CancellationToken,
) {
    match stop.run_until_cancelled(websocket::accept(stream, &settings, deadline)).await {
        None => {}
        Some(Err(rejected)) => refused(&shared, whence.address, &rejected),
        Some(Ok(stream)) => serve(stream, caller, whence, shared, settings, deadline, stop).await,
    }
}

pub(super) fn refused(shared: &Shared, peer: SocketAddr, rejected: &Rejected) {
    shared.accounts.denials.client(peer, rejected);
}

/// Everything behind what lies below MQTT.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    caller: Caller,
    whence: Whence,
    shared: Arc<Shared>,
    settings: Arc<config::Broker>,
    deadline: Instant,
    stop: &CancellationToken,
) {
    let mut inbox = BytesMut::new();
    let met =
        handshake::meet(&mut stream, &mut inbox, &settings, &shared.accounts, (&caller, whence.address), deadline);
    match stop.run_until_cancelled(met).await {
        None => {}
        Some(Err(rejected)) => refused(&shared, whence.address, &rejected),
        Some(Ok(agreed)) => connection::serve(stream, inbox, shared, settings, agreed, whence, stop).await,
    }
}

//! Accepting clients on one address. A client that dallies or fails costs its own task and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Shared, connection, handshake};
use crate::supervisor::UnitError;

/// Pause after a failed accept: running out of file descriptors must not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens an address for MQTT.
///
/// # Errors
/// In words that name the setting.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, UnitError> {
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "another program has this port; set another in `broker.listen`",
            io::ErrorKind::PermissionDenied => "ports below 1024 need a right; set a higher one in `broker.listen`",
            _ => "check `broker.listen`",
        };
        format!("can't listen for MQTT on {address}: {error}; {remedy}").into()
    })
}

/// Accepts clients until told to stop, then lets each of them end.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) -> Result<(), UnitError> {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_ended) = clients.join_next(), if !clients.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    clients.spawn(meet_and_serve(stream, peer, Arc::clone(&shared), stop.clone()));
                }
                Err(error) => {
                    log::warn!(error:% = error; "a client could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
    Ok(())
}

async fn meet_and_serve(mut stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, stop: CancellationToken) {
    let settings = shared.settings.get();
    let _pass = match shared.gate.enter(peer.ip(), &settings) {
        Ok(pass) => pass,
        Err(refusal) => {
            shared.stats.refused(refusal);
            log::debug!(peer:% = peer, error = refusal.as_str(); "client turned away");
            return;
        }
    };
    // Small packets go at once; a failure here only costs speed.
    let _ = stream.set_nodelay(true);
    let mut inbox = BytesMut::new();
    let met = stop.run_until_cancelled(handshake::meet(&mut stream, &mut inbox, &settings, peer)).await;
    match met {
        None => {}
        Some(Err(rejected)) => {
            shared.stats.refused(rejected.refusal);
            log::info!(peer:% = peer, reason = rejected.refusal.as_str(), error = rejected.why.as_str(); "client refused");
        }
        Some(Ok(agreed)) => connection::serve(stream, inbox, shared, settings, agreed, &stop).await,
    }
}

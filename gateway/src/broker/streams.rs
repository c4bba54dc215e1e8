//! Serving a client on a stream that no listener accepted, such as one in memory: what the fuzzer does.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::inventory::Whence;
use super::tls::Caller;
use super::{Broker, handshake, listener, websocket};
use crate::config::Door;

/// What a client's stream begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// MQTT at once.
    Nothing,
    /// The request for a WebSocket.
    WebSocket,
}

impl Broker {
    /// Serves one client until it goes or is told to: the same limits, rules and counters as behind a listener.
    pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        below: Below,
        stream: S,
        peer: SocketAddr,
        stop: &CancellationToken,
    ) {
        let shared = Arc::clone(&self.shared);
        let settings = shared.settings.get();
        let Ok(_pass) = shared.gate.enter(peer.ip(), &settings).map_err(|refusal| shared.stats.refused(refusal)) else {
            return;
        };
        let deadline = Instant::now() + handshake::PATIENCE;
        let door = match below {
            Below::Nothing => Door::Plain,
            Below::WebSocket => Door::WebSocket,
        };
        let whence = Whence { address: peer, door };
        match below {
            Below::Nothing => listener::serve(stream, Caller::Stranger, whence, shared, settings, deadline, stop).await,
            Below::WebSocket => match stop.run_until_cancelled(websocket::accept(stream, &settings, deadline)).await {
                Some(Ok(stream)) => {
                    listener::serve(stream, Caller::Stranger, whence, shared, settings, deadline, stop).await;
                }
                Some(Err(rejected)) => listener::refused(&shared, peer, &rejected),
                None => {}
            },
        }
    }
}

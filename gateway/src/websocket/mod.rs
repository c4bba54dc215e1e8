//! WebSocket (RFC 6455) as a stream of bytes, which is all that MQTT wants of it (MQTT 5.0, section 6), for both sides: the
//! broker's clients, and remotes of uplinks. Knows no HTTP: whoever opens a connection or is asked for one does that.
//!
//! `frames.rs` is the framing, `stream.rs` makes a stream of it.

mod frames;
mod stream;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

pub(crate) use self::frames::{Fault, Side};
pub(crate) use self::stream::WebSocket;

/// What clients offer and servers agree to (MQTT 5.0, section 6, MQTT-6.0.0-3 and -4).
pub const SUBPROTOCOL: &str = "mqtt";

/// What is hashed behind the client's key (section 1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's key: what it puts into `Sec-WebSocket-Key`, new for each connection (section 4.1).
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn new_key() -> std::io::Result<String> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    Ok(STANDARD.encode(key))
}

/// What a server proves with that it has read the client's key (section 4.2.2): `Sec-WebSocket-Accept`.
pub(crate) fn accept_of(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), MAGIC].concat()))
}

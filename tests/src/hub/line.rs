//! MQTT over TLS, or over WebSocket within it: Microsoft, "Communicate with an IoT hub using the MQTT protocol", its section
//! on WebSocket.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::{ServerConnection, StreamOwned};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Message, WebSocket};

use super::connection::STEP;
use crate::PATIENCE;

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// Where a hub's WebSocket is.
const PATH: &str = "/$iothub/websocket";

pub(super) enum Line {
    Plain(Box<Tls>),
    WebSocket(Box<WebSocket<Tls>>),
}

/// Whether there is nothing to read yet.
pub(super) fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Line {
    /// By what the device says first; `None` when it says nothing.
    pub(super) fn answer(mut tls: Tls, stop: &AtomicBool) -> Result<Option<Self>, String> {
        let first = loop {
            match tls.fill_buf() {
                Ok([]) => return Ok(None),
                Ok([first, ..]) => break *first,
                Err(error) if is_early(&error) && !stop.load(Ordering::Relaxed) => {}
                Err(_) => return Ok(None),
            }
        };
        if first != b'G' {
            return Ok(Some(Self::Plain(Box::new(tls))));
        }
        tls.sock.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = tungstenite::accept_hdr(tls, welcome).map_err(|error| format!("no WebSocket: {error}"))?;
        socket.get_ref().sock.set_read_timeout(Some(STEP)).unwrap();
        Ok(Some(Self::WebSocket(Box::new(socket))))
    }

    pub(super) fn tls(&self) -> &Tls {
        match self {
            Self::Plain(tls) => tls,
            Self::WebSocket(socket) => socket.get_ref(),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
            Self::WebSocket(socket) => socket.send(Message::binary(bytes.to_vec())).map_err(io::Error::other),
        }
    }

    /// What has come; nothing: it is over.
    pub(super) fn receive(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(tls) => {
                let mut buffer = vec![0; 16 * 1024];
                let size = tls.read(&mut buffer)?;
                buffer.truncate(size);
                Ok(buffer)
            }
            Self::WebSocket(socket) => match socket.read() {
                Ok(Message::Binary(bytes)) => Ok(bytes.to_vec()),
                Ok(Message::Text(_) | Message::Close(_)) => Ok(Vec::new()),
                Ok(_) => Err(ErrorKind::WouldBlock.into()),
                Err(tungstenite::Error::Io(error)) => Err(error),
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}

#[allow(clippy::result_large_err, reason = "the library's own form")]
fn welcome(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let protocol = request.headers().get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok());
    if request.uri().path() != PATH || protocol != Some("mqtt") {
        let mut refusal = ErrorResponse::new(Some("no such page".to_owned()));
        *refusal.status_mut() = tungstenite::http::StatusCode::NOT_FOUND;
        return Err(refusal);
    }
    response.headers_mut().insert("Sec-WebSocket-Protocol", "mqtt".parse().unwrap());
    Ok(response)
}

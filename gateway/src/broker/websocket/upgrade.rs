//! The HTTP request that becomes a WebSocket (RFC 6455, section 4.2): judged, read from a socket, answered.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{PATH, SUBPROTOCOL};
use crate::websocket::accept_of;

/// The longest request head: a stranger gets no more memory than this.
const HEAD_MAX: usize = 8 * 1024;
/// The most headers that a request may have.
const HEADERS_MAX: usize = 64;

/// Why a request does not become a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It asks for something else.
    NotFound,
    /// It is no request to upgrade, or one without a good key.
    NoUpgrade,
    /// It wants a version other than 13.
    Version,
    /// It does not offer `mqtt`.
    Subprotocol,
    /// A page of another host opened it in a browser.
    Origin,
}

impl Refused {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::NoUpgrade | Self::Version => 426,
            Self::Subprotocol => 400,
            Self::Origin => 403,
        }
    }

    /// What to tell whoever asked.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "MQTT over WebSocket is at /mqtt",
            Self::NoUpgrade => "this is for WebSocket clients",
            Self::Version => "this is for version 13 of WebSocket",
            Self::Subprotocol => "the client must offer the subprotocol mqtt",
            Self::Origin => "pages of other hosts may not connect",
        }
    }
}

/// A host without its port; IPv6 addresses stand in brackets.
fn host_name(host: &str) -> String {
    let name = match host.rfind(']') {
        Some(end) => host.get(..=end),
        None => host.split(':').next(),
    };
    name.unwrap_or_default().to_ascii_lowercase()
}

/// Judges the headers of a GET request; gives the value of `Sec-WebSocket-Accept`.
///
/// # Errors
/// When it can't become a WebSocket for MQTT.
pub fn judge(headers: &[(&str, &[u8])]) -> Result<String, Refused> {
    let values = |wanted: &'static str| {
        let named = headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
        named.filter_map(|(_, value)| str::from_utf8(value).ok()).flat_map(|value| value.split(',')).map(str::trim)
    };
    let asks = |name, wanted: &str| values(name).any(|value| value.eq_ignore_ascii_case(wanted));
    if !asks("upgrade", "websocket") || !asks("connection", "upgrade") {
        return Err(Refused::NoUpgrade);
    }
    if !values("sec-websocket-version").eq(["13"]) {
        return Err(Refused::Version);
    }
    let key = values("sec-websocket-key").next().unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err(Refused::NoUpgrade);
    }
    // Only browsers send an origin, and they open this for whatever page asks: it has to come from this very host.
    let host = values("host").next().map(host_name);
    if values("origin").any(|origin| origin.split_once("://").map(|(_, host)| host_name(host)) != host) {
        return Err(Refused::Origin);
    }
    // Names of subprotocols are told apart by case (section 4.1).
    if !values("sec-websocket-protocol").any(|offered| offered == SUBPROTOCOL) {
        return Err(Refused::Subprotocol);
    }
    Ok(accept_of(key))
}

/// Reads a request and answers it. Gives what came behind it. A refused client has had its answer.
pub(super) async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<BytesMut> {
    let mut input = BytesMut::new();
    let judged = loop {
        if let Some((size, judged)) = head(&input)? {
            input.advance(size);
            break judged;
        }
        if input.len() >= HEAD_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a request that is too long"));
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before a request"));
        }
    };
    match judged {
        Ok(accept) => {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await?;
            Ok(input)
        }
        Err(refused) => {
            let (status, why) = (refused.status(), refused.as_str());
            let answer = format!(
                "HTTP/1.1 {status} Refused\r\nConnection: close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Content-Length: {}\r\n\r\n{why}\n",
                why.len() + 1
            );
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
    }
}

/// The size of a request's head and what is to be said of it; `None` when it is not there as a whole.
fn head(input: &[u8]) -> io::Result<Option<(usize, Result<String, Refused>)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(input).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(size) = parsed else { return Ok(None) };
    let path = request.path.unwrap_or_default().split('?').next();
    let judged = if path != Some(PATH) {
        Err(Refused::NotFound)
    } else if request.method != Some("GET") || request.version != Some(1) {
        Err(Refused::NoUpgrade)
    } else {
        let headers: Vec<_> = request.headers.iter().map(|header| (header.name, header.value)).collect();
        judge(&headers)
    };
    Ok(Some((size, judged)))
}

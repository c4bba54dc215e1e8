//! The request that becomes a WebSocket (RFC 6455, section 4.1), as a client.

use tokio::io::AsyncWriteExt;

use super::Stream;
use super::http::{self, Answer, NoAnswer};
use crate::config::{Url, place};
use crate::uplink::trouble::Trouble;
use crate::websocket::{SUBPROTOCOL, Side, WebSocket, accept_of, new_key};

/// Asks for it, at `at`. A frame may have `frame_max` bytes.
pub(super) async fn upgrade(
    mut stream: Box<dyn Stream>,
    url: &Url,
    at: &str,
    frame_max: usize,
) -> Result<Box<dyn Stream>, Trouble> {
    let key = new_key()?;
    let request = format!(
        "GET {at} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        host(url)
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let answer = http::read(&mut stream).await.map_err(|why| match why {
        NoAnswer::Lost(why) => match Trouble::from(why) {
            Trouble::Lost(why) => Trouble::WebSocket(format!(
                "the remote broke the connection at the request for a WebSocket: {why}; look at the port and the scheme in `url`"
            )),
            other => other,
        },
        NoAnswer::Wrong(what) => {
            Trouble::WebSocket(format!("the remote {what}; look at the port and the scheme in `url`"))
        }
    })?;
    judge(&answer, &key).map_err(Trouble::WebSocket)?;
    Ok(Box::new(WebSocket::new(Side::Client, stream, answer.rest, frame_max)))
}

/// A port that is the usual one is left out: servers that tell hosts apart may not know it with one.
fn host(url: &Url) -> String {
    let usual = if url.tls { 443 } else { 80 };
    let place = place(&url.host, url.port);
    place.strip_suffix(&format!(":{usual}")).filter(|_| url.port == usual).map(str::to_owned).unwrap_or(place)
}

fn judge(answer: &Answer, key: &str) -> Result<(), String> {
    if answer.status != 101 {
        return Err(refusal(answer));
    }
    let says = |name, wanted: &str| answer.values(name).any(|value| value.eq_ignore_ascii_case(wanted));
    if !says("upgrade", "websocket") || !says("connection", "upgrade") {
        return Err("the remote changes to something that is no WebSocket; look at `url`".to_owned());
    }
    // Case counts (section 4.1).
    if !answer.values("sec-websocket-accept").eq([accept_of(key)]) {
        return Err(
            "the remote has not read the request for a WebSocket; is there an old answer of a cache?".to_owned()
        );
    }
    if !answer.values("sec-websocket-protocol").eq([SUBPROTOCOL]) {
        let what =
            "the remote does not agree to the subprotocol mqtt; is it a broker's WebSocket, and at the right path?";
        return Err(what.to_owned());
    }
    if answer.values("sec-websocket-extensions").any(|extension| !extension.is_empty()) {
        return Err("the remote wants an extension of WebSocket that nobody asked for".to_owned());
    }
    Ok(())
}

fn refusal(answer: &Answer) -> String {
    let remedy = match answer.status {
        300..=399 => match answer.text("location") {
            Some(place) => format!("it is elsewhere: {place}; write in `url` where it is"),
            None => "write in `url` where it is".to_owned(),
        },
        401 | 403 => "ask there for the right to connect, and look at the path in `url`".to_owned(),
        404 => "write the path that the remote has in `url`".to_owned(),
        500..=599 => "the fault is there".to_owned(),
        _ => "is there a WebSocket? Look at port and path in `url`".to_owned(),
    };
    format!("the remote answers {} to the request for a WebSocket; {remedy}", answer.verdict())
}

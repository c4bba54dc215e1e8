//! A proxy that speaks HTTP: CONNECT (RFC 9110, section 9.3.6), with a user by Basic (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::http::{self, Answer, NoAnswer};
use crate::config::{Proxy, place};

/// Has it connect to the remote. What goes wrong is said in words that go behind the proxy's name.
pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Proxy,
    stream: &mut S,
    host: &str,
    port: u16,
) -> Result<(), String> {
    let place = place(host, port);
    let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n");
    if let Some(user) = &proxy.user {
        let password = proxy.password.as_ref().map_or("", |password| password.secret().expose());
        let both = STANDARD.encode(format!("{user}:{password}"));
        request.push_str(&format!("Proxy-Authorization: Basic {both}\r\n"));
    }
    request.push_str("\r\n");
    let lost = |why| format!("broke the connection: {why}");
    stream.write_all(request.as_bytes()).await.map_err(lost)?;
    let answer = http::read(stream).await.map_err(|why| match why {
        NoAnswer::Lost(why) => lost(why),
        NoAnswer::Wrong(what) => format!("{what}; look at its `url`"),
    })?;
    match answer.status {
        // The remote says nothing before it is spoken to.
        200..=299 if answer.rest.is_empty() => Ok(()),
        200..=299 => Err("says more than that it is connected; it is no proxy that can be used".to_owned()),
        _ => Err(refusal(&answer, proxy, &place)),
    }
}

fn refusal(answer: &Answer, proxy: &Proxy, place: &str) -> String {
    let remedy = match answer.status {
        // tinyproxy says 401 where 407 is meant.
        401 | 407 if proxy.user.is_some() => "look at its `user` and `password-file`",
        401 | 407 => "write its `user` and `password-file`",
        403 | 405 => "ask whoever runs it to allow that place and port",
        502..=504 => "look at the `url` of the uplink",
        _ => "look at its `url`",
    };
    format!("answers {} to the wish for {place}; {remedy}", answer.verdict())
}

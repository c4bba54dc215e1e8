//! A proxy that speaks SOCKS version 5 (RFC 1928), with a user and a password perhaps (RFC 1929). It resolves names.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::config::{Proxy, place};

const VERSION: u8 = 5;
/// Ways to sign in (section 3).
const NOBODY: u8 = 0;
const USER: u8 = 2;
const NONE_FITS: u8 = 0xff;
/// The version of the talk about users (RFC 1929, section 2).
const USER_VERSION: u8 = 1;
/// The one command that is used (section 4).
const CONNECT: u8 = 1;
/// Kinds of addresses (section 5).
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Has it connect to the remote. What goes wrong is said in words that go behind the proxy's name.
pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Proxy,
    stream: &mut S,
    host: &str,
    port: u16,
) -> Result<(), String> {
    sign_in(proxy, stream).await?;
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(ip)) => request.extend([&[IPV4][..], &ip.octets()].concat()),
        Ok(IpAddr::V6(ip)) => request.extend([&[IPV6][..], &ip.octets()].concat()),
        Err(_) => {
            request.push(NAME);
            push(&mut request, host);
        }
    }
    request.extend(port.to_be_bytes());
    tell(stream, &request).await?;
    let [version, verdict, _, kind] = hear(stream).await?;
    if version != VERSION {
        return Err(other_language());
    }
    if verdict != 0 {
        return Err(refusal(verdict, &place(host, port)));
    }
    // The address that it goes out from, and the port; nobody needs them.
    let rest = match kind {
        IPV4 => 4 + 2,
        IPV6 => 16 + 2,
        NAME => usize::from(hear::<1, _>(stream).await?[0]) + 2,
        _ => return Err(other_language()),
    };
    let mut unused = [0; u8::MAX as usize + 2];
    stream.read_exact(&mut unused[..rest]).await.map(drop).map_err(|why| lost(&why))
}

async fn sign_in<S: AsyncRead + AsyncWrite + Unpin>(proxy: &Proxy, stream: &mut S) -> Result<(), String> {
    let user = proxy.user.as_deref();
    let ways: &[u8] = if user.is_some() { &[VERSION, 2, NOBODY, USER] } else { &[VERSION, 1, NOBODY] };
    tell(stream, ways).await?;
    match (hear(stream).await?, user) {
        ([VERSION, NOBODY], _) => Ok(()),
        ([VERSION, USER], Some(user)) => {
            let mut said = vec![USER_VERSION];
            push(&mut said, user);
            push(&mut said, proxy.password.as_ref().map_or("", |password| password.secret().expose()));
            tell(stream, &said).await?;
            match hear(stream).await? {
                [_, 0] => Ok(()),
                [_, _] => Err("refuses the gateway; look at its `user` and `password-file`".to_owned()),
            }
        }
        ([VERSION, NONE_FITS], Some(_)) => Err("lets in neither strangers nor users with a password".to_owned()),
        ([VERSION, USER | NONE_FITS], None) => {
            Err("does not let strangers in; write its `user` and `password-file`".to_owned())
        }
        _ => Err(other_language()),
    }
}

/// A text of at most 255 bytes behind its length; the settings have no longer one.
fn push(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes().get(..u8::MAX.into()).unwrap_or(text.as_bytes());
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend(bytes);
}

/// What the number of a refusal says (section 6), and what to do.
fn refusal(verdict: u8, place: &str) -> String {
    let (said, remedy) = match verdict {
        1 => ("general failure", "look at its own network"),
        2 => ("not allowed", "ask whoever runs it to allow that place and port"),
        3 => ("network unreachable", "look at its own network"),
        4 => ("host unreachable", "look at the `url` of the uplink"),
        5 => ("connection refused", "look at the `url` of the uplink"),
        6 => ("TTL expired", "look at its own network"),
        7 => ("command not supported", "it is no proxy that can be used"),
        8 => ("address type not supported", "it is no proxy that can be used"),
        _ => return other_language(),
    };
    format!("answers `{said}` to the wish for {place}; {remedy}")
}

fn other_language() -> String {
    "does not speak SOCKS5; look at its `url`".to_owned()
}

fn lost(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::UnexpectedEof => "closed the connection; does it speak SOCKS5?".to_owned(),
        _ => format!("broke the connection: {why}"),
    }
}

async fn tell<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).await.map_err(|why| lost(&why))
}

async fn hear<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(|why| lost(&why))?;
    Ok(bytes)
}

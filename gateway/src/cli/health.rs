//! `stile health`: whether a running gateway does what it is there for. It asks from outside, as those do whom it serves; where
//! to ask it is told over the socket, so that it needs no settings, and none of the secrets in them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::Method;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::socket::Which;
use super::{fail, runtime, say};
use crate::codec::{self, Connect, Packet, Utf8, Version};
use crate::tls;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two looks.
const AGAIN: Duration = Duration::from_secs(1);

/// Find out whether the running gateway is ready, its broker answers and its admin page does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every address that it listens on is asked. Exit code: 0 when all answer, 1 when one does not in time.

Examples:
  stile health
  stile health --within 3m                  try for so long; stile-health.service does")]
pub(super) struct Arguments {
    /// How long to try
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    within: Duration,
    #[command(flatten)]
    which: Which,
}

/// An address that the gateway listens on, as it says itself.
#[derive(Debug, Deserialize)]
struct Door {
    door: String,
    address: SocketAddr,
    certificate: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(healthy(arguments)));
    match done {
        Ok(doors) => {
            say("ready");
            for Door { door, address, .. } in doors {
                say(&format!("{door} {address} answers"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(&format!("the gateway is not healthy: {error:#}")),
    }
}

/// Looks until all is well or the time is over, and gives what answered.
async fn healthy(arguments: &Arguments) -> Result<Vec<Door>, anyhow::Error> {
    // None is later than any clock goes.
    let deadline = Instant::now().checked_add(arguments.within);
    loop {
        match look(&arguments.which).await {
            Ok(doors) => return Ok(doors),
            Err(error) if deadline.is_some_and(|deadline| Instant::now() + AGAIN > deadline) => return Err(error),
            Err(_) => sleep(AGAIN).await,
        }
    }
}

async fn look(which: &Which) -> Result<Vec<Door>, anyhow::Error> {
    let late = |what: &str| anyhow::anyhow!("{what}: no answer within {} s", ANSWER.as_secs());
    drop(timeout(ANSWER, which.ask(Method::GET, "/readyz")).await.map_err(|_| late("the socket"))??);
    let told =
        timeout(ANSWER, async { anyhow::Ok(which.ask(Method::GET, "/doors").await?.collect().await?.to_bytes()) });
    let doors: Vec<Door> = serde_json::from_slice(&told.await.map_err(|_| late("the socket"))??)?;
    if doors.iter().all(|door| door.door == "page") {
        anyhow::bail!("the broker listens nowhere");
    }
    for door in &doors {
        let name = format!("{} {}", door.door, door.address);
        let asked = timeout(ANSWER, ask(door)).await.map_err(|_| late(&name))?;
        asked.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    }
    Ok(doors)
}

async fn ask(door: &Door) -> io::Result<()> {
    let mut stream = TcpStream::connect(reachable(door.address)).await?;
    let Some(certificate) = &door.certificate else { return converse(&mut stream, door).await };
    // That one and no other: who has signed it does not matter here.
    let client = tls::Client::new(None, tls::Pin::parse(certificate), None).map_err(io::Error::other)?;
    let name = tls::server_name(&door.address.ip().to_string()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(client.config());
    let conversed = async { converse(&mut connector.connect(name, stream).await?, door).await };
    match conversed.await {
        // A door for those who have a certificate has answered that it is one.
        Err(error) if tls::wants_certificate(&error) => Ok(()),
        conversed => conversed,
    }
}

/// Asks, and looks whether what comes back begins as an answer does.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, door: &Door) -> io::Result<()> {
    /// Behind it comes the status of an answer of HTTP (RFC 9112, section 4).
    const HTTP: &[u8] = b"HTTP/1.1 ";
    /// The first byte of CONNACK (MQTT 3.1.1, section 3.2).
    const CONNACK: u8 = 0x20;
    let is_mqtt = matches!(door.door.as_str(), "tcp" | "tls");
    let question = if is_mqtt { connect()? } else { b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec() };
    stream.write_all(&question).await?;
    stream.flush().await?;
    let mut head = [0; HTTP.len() + 1];
    if is_mqtt {
        // Whether it lets a stranger in is its own business.
        stream.read_exact(&mut head[..1]).await?;
        return if head[0] == CONNACK { Ok(()) } else { Err(io::Error::other("what answers there is no MQTT broker")) };
    }
    stream.read_exact(&mut head).await?;
    match head.strip_prefix(HTTP) {
        Some([b'5']) => Err(io::Error::other("it answers with an error of its own (5xx)")),
        Some(_) => Ok(()),
        None => Err(io::Error::other("what answers there does not speak HTTP")),
    }
}

/// A request to connect, by nobody in particular.
fn connect() -> io::Result<Vec<u8>> {
    let id = Utf8::new("stile-health").map_err(io::Error::other)?;
    let mut question = BytesMut::new();
    let connect = Packet::Connect(Box::new(Connect::new(Version::V311, id)));
    codec::write(&connect, Version::V311, &mut question).map_err(io::Error::other)?;
    Ok(question.to_vec())
}

/// Where this machine reaches an address that it listens on.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

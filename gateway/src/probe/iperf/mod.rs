//! Throughput against an iperf3 server: how much TCP carries, or how much of a stream of datagrams arrives.
//!
//! A server of iperf3 is what testbeds have, and its protocol is small: a connection for control, on which each side says one
//! byte at a time where the test is and JSON now and then, and one for the data. `control.rs` speaks the one, `pump.rs` moves the
//! other, on a thread of its own, so that the gateway's goes on, and `tcp_info.rs` asks the kernel what of it has arrived. Data
//! and time have bounds on this side, whatever the server does; the server is told both as well.

mod control;
mod pump;
mod tcp_info;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use self::control::{Control, Say, Trouble};
use self::pump::{Limits, Moved, Pump};
use super::measure::{percent, resolve, unusable};
use super::result::Finding;
use crate::config::{NetworkPath, Target, Throughput, Towards, UdpThroughput};
use crate::resolver::Resolver;
use crate::uplink;

/// How long all but the data may take, before and after it.
const PATIENCE: Duration = Duration::from_secs(5);
/// What each side writes at once, in bytes: a server that sends goes beyond the cap by one of these at most.
const TCP_BLOCK: usize = 16 << 10;
/// Of a datagram, without headers: what leaves in one piece almost everywhere.
const UDP_BLOCK: usize = 1200;
/// What is said on a data connection of UDP, and answered with four bytes.
const UDP_HELLO: [u8; 4] = 0x3637_3839_u32.to_ne_bytes();
/// How long that answer may take, and how often it is asked for.
const UDP_HELLO_PATIENCE: Duration = Duration::from_millis(500);
const UDP_HELLOS: usize = 4;

/// A test that took less is too short for a throughput.
const LEAST_SECONDS: f64 = 1e-3;

/// A test, of TCP or UDP.
pub(super) struct Test<'a> {
    target: &'a Target,
    direction: Towards,
    duration: Duration,
    cap: u64,
    /// Bits a second; `None`: TCP, as much as goes.
    rate: Option<u64>,
}

/// What a cap comes to with the headers of packets, by rule of thumb: those of IP and of TCP with its acknowledgements, or UDP.
pub(super) fn with_headers(payload: u64) -> u64 {
    payload.saturating_add(payload / 12).saturating_add(10_000)
}

impl<'a> Test<'a> {
    pub(super) fn tcp(tcp: &'a Throughput) -> Self {
        let Throughput { target, direction, duration, data_cap } = tcp;
        Self { target, direction: *direction, duration: *duration, cap: *data_cap, rate: None }
    }

    pub(super) fn udp(udp: &'a UdpThroughput) -> Self {
        Self { rate: Some(udp.rate), ..Self::tcp(&udp.tcp) }
    }

    fn block(&self) -> usize {
        let most = usize::try_from(self.cap).unwrap_or(usize::MAX);
        (if self.rate.is_some() { UDP_BLOCK } else { TCP_BLOCK }).min(most)
    }

    /// What the server is told.
    fn parameters(&self) -> Value {
        let mut parameters = json!({
            "omit": 0,
            "time": self.duration.as_secs(),
            "num": self.cap,
            "blockcount": 0,
            "parallel": 1,
            "len": self.block(),
            "pacing_timer": 1000,
            "client_version": "3.9",
        });
        parameters[if self.rate.is_some() { "udp" } else { "tcp" }] = json!(true);
        if let Some(rate) = self.rate {
            parameters["bandwidth"] = json!(rate);
        }
        if self.direction == Towards::Down {
            parameters["reverse"] = json!(true);
        }
        parameters
    }

    fn limits(&self) -> Limits {
        Limits { bytes: self.cap, time: self.duration, block: self.block(), rate: self.rate }
    }
}

/// What a test has come to.
struct Done {
    /// On this side.
    moved: Moved,
    /// What the server says of it.
    there: Value,
}

/// Runs a test.
pub(super) async fn measure(test: &Test<'_>, way: &NetworkPath, resolver: &mut Resolver) -> Finding {
    let mut finding = Finding::default();
    finding.set("direction", test.direction.as_str());
    let to = match resolve(resolver, test.target, way).await {
        Ok(to) => to,
        Err(why) => return Finding { error: Some(why), ..finding },
    };
    finding.set("address", to.to_string());
    match run(test, way, to).await {
        Ok(done) => tell(test, &done, &mut finding),
        Err((why, moved)) => {
            finding.data_bytes = with_headers(moved);
            finding.error = Some(why.to_string());
        }
    }
    finding
}

/// Of a test that failed, says how many bytes it has moved.
async fn run(test: &Test<'_>, way: &NetworkPath, to: SocketAddr) -> Result<Done, (Trouble, u64)> {
    let deadline = Instant::now() + PATIENCE;
    let begun = timeout_at(deadline, begin(test, way, to)).await.unwrap_or(Err(Trouble::Slow));
    let (mut control, pump) = begun.map_err(|why| (why, 0))?;
    let counted = pump.counted();
    let ended = async {
        let moved = tokio::select! {
            moved = pump.run(test.limits()) => moved?,
            why = control.broken() => return Err(why),
        };
        let there = timeout(PATIENCE, end(&mut control, &moved)).await.unwrap_or(Err(Trouble::Slow))?;
        Ok(Done { moved, there })
    };
    ended.await.map_err(|why| (why, counted.get()))
}

/// Goes as far as the data may flow.
async fn begin(test: &Test<'_>, way: &NetworkPath, to: SocketAddr) -> Result<(Control, Pump), Trouble> {
    let mut control = Control::over(connect(way, to).await?).await?;
    control.wait_for(Say::ParamExchange).await?;
    control.tell(&test.parameters()).await?;
    control.wait_for(Say::CreateStreams).await?;
    let pump = if test.rate.is_some() {
        let socket = greet(connect_udp(way, to).await?).await?;
        Pump::of_udp(socket, test.direction)?
    } else {
        let mut data = connect(way, to).await?;
        data.write_all(control.cookie()).await?;
        Pump::of_tcp(data, test.direction)?
    };
    control.wait_for(Say::TestStart).await?;
    control.wait_for(Say::TestRunning).await?;
    Ok((control, pump))
}

/// Ends the test, and gives what the server counted.
async fn end(control: &mut Control, moved: &Moved) -> Result<Value, Trouble> {
    control.say(Say::TestEnd).await?;
    control.wait_for(Say::ExchangeResults).await?;
    control.tell(&moved.results()).await?;
    let there = control.hear().await?;
    control.wait_for(Say::DisplayResults).await?;
    control.say(Say::Done).await?;
    Ok(there)
}

async fn connect(way: &NetworkPath, to: SocketAddr) -> Result<TcpStream, Trouble> {
    let socket = uplink::leaving(way, to).map_err(|why| Trouble::Way(unusable(&why)))?;
    socket.connect(to).await.map_err(|why| Trouble::Unreached(to, why))
}

async fn connect_udp(way: &NetworkPath, to: SocketAddr) -> Result<UdpSocket, Trouble> {
    super::socket::leaving(way, to).await.map_err(|why| Trouble::Way(unusable(&why)))
}

/// Makes the server know the socket. Datagrams get lost, so it is asked more than once.
async fn greet(socket: UdpSocket) -> Result<UdpSocket, Trouble> {
    let mut answer = [0; 16];
    for _ in 0..UDP_HELLOS {
        socket.send(&UDP_HELLO).await?;
        if let Ok(heard) = timeout(UDP_HELLO_PATIENCE, socket.recv(&mut answer)).await {
            heard?;
            return Ok(socket);
        }
    }
    Err(Trouble::NoDatagrams)
}

/// Says what was found.
fn tell(test: &Test<'_>, done: &Done, finding: &mut Finding) {
    let (moved, stream) = (&done.moved, &done.there["streams"][0]);
    let of_server = |key: &str| stream[key].as_u64();
    let bytes = match (test.direction, test.rate) {
        // What the server's program had not read when the test ended has come as well.
        (Towards::Up, None) => moved.bytes - moved.unacknowledged.min(moved.bytes),
        (Towards::Up, Some(_)) => of_server("bytes").unwrap_or(0),
        (Towards::Down, _) => moved.bytes,
    };
    let seconds = moved.seconds.max(LEAST_SECONDS);
    finding.data_bytes = with_headers(moved.bytes);
    finding.set("bytes", bytes);
    finding.set("seconds", (seconds * 1e6).round() / 1e6);
    finding.set("throughput_bit_s", (bytes as f64 * 8.0 / seconds).round());
    // A datagram is whole or none.
    let rest = if test.rate.is_some() { test.block() as u64 - 1 } else { 0 };
    finding.set("cap_reached", moved.bytes + rest >= test.cap);
    if test.rate.is_none() {
        let retransmits = if test.direction == Towards::Up { moved.retransmits } else { of_server("retransmits") };
        retransmits.into_iter().for_each(|count| finding.set("retransmits", count));
    } else {
        let (sent, lost, jitter) = match test.direction {
            Towards::Up => (moved.packets, of_server("errors").unwrap_or(0), stream["jitter"].as_f64().unwrap_or(0.0)),
            Towards::Down => (moved.packets + moved.lost, moved.lost, moved.jitter),
        };
        let short = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        finding.set("datagrams", sent);
        finding.set("lost", lost);
        finding.set("loss_percent", percent(short(lost), short(sent)));
        finding.millis("jitter_ms", jitter);
    }
    if bytes == 0 {
        finding.error = Some("nothing arrived".to_owned());
    }
}

//! A packet forwarder: what is heard of the devices goes to the server by UDP, and what the server wants sent is sent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::air::Air;
use super::rough::{Fate, Rough};
use crate::config::{Eui, Region, Roughness, SimulatedGateway};
use crate::wait::sleep_until;

/// As packet forwarders are set usually.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const STATISTICS: Duration = Duration::from_secs(30);

/// Kinds of datagrams (PROTOCOL.md of sx1302_hal, sections 3 and 5).
const PUSH_DATA: u8 = 0;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const TX_ACK: u8 = 5;

/// Runs it until told to stop.
///
/// # Errors
/// When its socket fails.
pub(super) async fn run(
    settings: &SimulatedGateway,
    rough: Roughness,
    region: Region,
    server: SocketAddr,
    stop: &CancellationToken,
) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    let mut forwarder = Forwarder::new(settings, rough, region, socket);
    match stop.run_until_cancelled(forwarder.serve(settings.period)).await {
        Some(Err(error)) => Err(error),
        Some(Ok(())) | None => Ok(()),
    }
}

struct Forwarder {
    socket: UdpSocket,
    eui: Eui,
    air: Air,
    rough: Rough,
    /// Datagrams that are on their way, with the times at which they come. Bounded by the pace at which they are made.
    late: Vec<(Instant, Vec<u8>)>,
    /// The one that the next overtakes.
    overtaken: Option<Vec<u8>>,
    began: Instant,
    /// Where the concentrator's count stood then.
    count: u32,
    received: u32,
    downlinks: u32,
    emitted: u32,
}

impl Forwarder {
    fn new(settings: &SimulatedGateway, rough: Roughness, region: Region, socket: UdpSocket) -> Self {
        let mut air = Air::new(settings, region);
        Self {
            socket,
            eui: super::eui(settings.seed),
            count: air.random.u32(..),
            air,
            rough: Rough::new(rough, settings.seed),
            late: Vec::new(),
            overtaken: None,
            began: Instant::now(),
            received: 0,
            downlinks: 0,
            emitted: 0,
        }
    }

    /// Each device speaks once a period, one after the other.
    async fn serve(&mut self, period: Duration) -> io::Result<()> {
        let ticker = |period: Duration| {
            let mut ticker = interval(period);
            ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticker
        };
        let (mut keep_alive, mut statistics) = (ticker(KEEP_ALIVE), ticker(STATISTICS));
        let mut turns = ticker(self.air.pause(period));
        let mut buffer = vec![0; 4096];
        loop {
            let next = self.late.iter().map(|(at, _)| *at).chain(self.air.due()).min();
            tokio::select! {
                _ = keep_alive.tick() => {
                    let token = self.random_token();
                    self.send(PULL_DATA, token, "").await?;
                }
                _ = statistics.tick() => self.statistics().await?,
                _ = turns.tick() => self.uplink().await?,
                () = sleep_until(next) => {
                    let now = Instant::now();
                    self.transmit(now);
                    self.arrive(now).await?;
                }
                read = self.socket.recv(&mut buffer) => match read {
                    Ok(length) => self.datagram(buffer.get(..length).unwrap_or_default()).await?,
                    // The server is being opened again.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn random_token(&mut self) -> [u8; 2] {
        self.air.random.u16(..).to_be_bytes()
    }

    /// Gives a datagram to the network, which does with it what it will.
    async fn send(&mut self, kind: u8, token: [u8; 2], json: &str) -> io::Result<()> {
        let datagram = [&[2, token[0], token[1], kind][..], &self.eui.0.to_be_bytes(), json.as_bytes()].concat();
        match self.rough.fate() {
            Fate::Lost => Ok(()),
            Fate::Overtaken if self.overtaken.is_none() => {
                self.overtaken = Some(datagram);
                Ok(())
            }
            Fate::After(late) if !late.is_zero() => {
                self.late.push((Instant::now() + late, datagram));
                Ok(())
            }
            Fate::After(_) | Fate::Overtaken => self.deliver(&datagram).await,
        }
    }

    /// Those come whose time it is.
    async fn arrive(&mut self, now: Instant) -> io::Result<()> {
        let mut due: Vec<_> = self.late.extract_if(.., |(at, _)| *at <= now).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, datagram) in due {
            self.deliver(&datagram).await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, datagram: &[u8]) -> io::Result<()> {
        for datagram in [Some(datagram), self.overtaken.take().as_deref()].into_iter().flatten() {
            match self.socket.send(datagram).await {
                Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => return Err(error),
                // A datagram that is lost is none of the sender's business.
                _ => {}
            }
        }
        Ok(())
    }

    /// The concentrator's count now.
    #[allow(clippy::cast_possible_truncation, reason = "it wraps")]
    fn tmst(&self) -> u32 {
        self.count.wrapping_add(self.began.elapsed().as_micros() as u32)
    }

    async fn uplink(&mut self) -> io::Result<()> {
        let Some(heard) = self.air.hear() else { return Ok(()) };
        self.received = self.received.saturating_add(1);
        let rate = format!("SF{}BW{}", heard.lora.spreading_factor, heard.lora.bandwidth / 1000);
        let frame = json!({
            "tmst": self.tmst(), "freq": f64::from(heard.frequency) / 1e6, "chan": heard.channel, "rfch": 0, "stat": 1,
            "modu": "LORA", "datr": rate, "codr": "4/5", "rssi": heard.rssi, "lsnr": heard.snr, "size": heard.phy.len(),
            "data": STANDARD.encode(&heard.phy),
        });
        let token = self.random_token();
        self.send(PUSH_DATA, token, &json!({ "rxpk": [frame] }).to_string()).await
    }

    async fn statistics(&mut self) -> io::Result<()> {
        let [received, downlinks, emitted] =
            [&mut self.received, &mut self.downlinks, &mut self.emitted].map(std::mem::take);
        let stat = json!({ "lati": 51.5074, "long": -0.1278, "alti": 20, "rxnb": received, "rxok": received,
            "rxfw": received, "ackr": 100.0, "dwnb": downlinks, "txnb": emitted, "temp": 23.5 });
        let token = self.random_token();
        self.send(PUSH_DATA, token, &json!({ "stat": stat }).to_string()).await
    }

    /// A downlink is acknowledged, and waits for its time.
    async fn datagram(&mut self, datagram: &[u8]) -> io::Result<()> {
        let [2, high, low, PULL_RESP, json @ ..] = datagram else { return Ok(()) };
        if self.rough.loses() {
            return Ok(());
        }
        self.downlinks = self.downlinks.saturating_add(1);
        let body: Value = serde_json::from_slice(json).unwrap_or_default();
        let answer = match self.schedule(&body["txpk"]) {
            Ok(()) => String::new(),
            Err(why) => json!({ "txpk_ack": { "error": why } }).to_string(),
        };
        self.send(TX_ACK, [*high, *low], &answer).await
    }

    /// Puts a frame on the air for its time, or says in the protocol's words why not.
    fn schedule(&mut self, txpk: &Value) -> Result<(), &'static str> {
        let at = self.time(txpk)?;
        let phy = txpk["data"].as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        if self.air.send(phy, at) { Ok(()) } else { Err("COLLISION_PACKET") }
    }

    /// When a frame is to be sent, or the protocol's word for why it can't be.
    fn time(&self, txpk: &Value) -> Result<Instant, &'static str> {
        let now = Instant::now();
        if txpk["imme"] == true {
            return Ok(now);
        }
        let Some(tmst) = txpk["tmst"].as_u64().and_then(|tmst| u32::try_from(tmst).ok()) else {
            return Err("GPS_UNLOCKED");
        };
        // What is more than half the count ahead is behind.
        match tmst.wrapping_sub(self.tmst()) {
            ahead if ahead > u32::MAX / 2 => Err("TOO_LATE"),
            ahead => Ok(now + Duration::from_micros(ahead.into())),
        }
    }

    fn transmit(&mut self, now: Instant) {
        for (bytes, heard) in self.air.sent(now) {
            self.emitted = self.emitted.saturating_add(1);
            log::debug!(gateway:% = self.eui, bytes = bytes, heard = heard; "made-up LoRa gateway sends");
        }
    }
}

//! The packet forwarder: what the bays say goes to the server by UDP, and what the server wants sent goes to the bays.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bay::Bay;
use crate::config::{Eui, Region, SimulatedGateway};
use crate::radio::lora::airtime::Modulation;
use crate::radio::lora::region::{Channel, Plan};

/// Parking bays.
const BAYS: u32 = 10;

/// As packet forwarders are set usually.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const STATISTICS: Duration = Duration::from_secs(30);

/// What is weaker is not heard, in dBm.
const NOISE: i64 = -120;

/// Kinds of datagrams (PROTOCOL.md of sx1302_hal, sections 3 and 5).
const PUSH_DATA: u8 = 0;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const TX_ACK: u8 = 5;

/// The gateway's identifier, by its seed. The second bit of the first byte says that nobody gave it out.
pub(in crate::radio) fn eui(seed: u64) -> Eui {
    Eui(0x0200_0000_0000_0000 | seed & 0x00ff_ffff_ffff_ffff)
}

/// Runs the gateway until told to stop.
///
/// # Errors
/// When its socket fails.
pub(in crate::radio) async fn run(
    settings: &SimulatedGateway,
    region: Region,
    server: SocketAddr,
    stop: &CancellationToken,
) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    let mut forwarder = Forwarder::new(settings, region, socket);
    match stop.run_until_cancelled(forwarder.serve(settings.period)).await {
        Some(Err(error)) => Err(error),
        Some(Ok(())) | None => Ok(()),
    }
}

struct Forwarder {
    socket: UdpSocket,
    eui: Eui,
    bays: Vec<Bay>,
    plan: Plan,
    channels: Vec<Channel>,
    random: Rng,
    began: Instant,
    /// Where the concentrator's count stood then.
    count: u32,
    received: u32,
    downlinks: u32,
}

impl Forwarder {
    fn new(settings: &SimulatedGateway, region: Region, socket: UdpSocket) -> Self {
        let plan = Plan::new(region);
        let mut random = Rng::with_seed(settings.seed);
        Self {
            socket,
            eui: eui(settings.seed),
            bays: (0..BAYS).map(|number| Bay::new(settings.seed, number)).collect(),
            channels: plan.uplink_channels(),
            plan,
            count: random.u32(..),
            random,
            began: Instant::now(),
            received: 0,
            downlinks: 0,
        }
    }

    /// Each bay speaks once a period, one after the other.
    async fn serve(&mut self, period: Duration) -> io::Result<()> {
        let ticker = |period: Duration| {
            let mut ticker = tokio::time::interval(period);
            ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            ticker
        };
        let (mut keep_alive, mut statistics) = (ticker(KEEP_ALIVE), ticker(STATISTICS));
        let mut turns = ticker(period / BAYS);
        let mut turn = 0;
        let mut buffer = vec![0; 4096];
        loop {
            tokio::select! {
                _ = keep_alive.tick() => {
                    let token = self.random_token();
                    self.send(PULL_DATA, token, "").await?;
                }
                _ = statistics.tick() => self.statistics().await?,
                _ = turns.tick() => {
                    self.uplink(turn).await?;
                    turn = (turn + 1) % self.bays.len();
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
        self.random.u16(..).to_be_bytes()
    }

    async fn send(&self, kind: u8, token: [u8; 2], json: &str) -> io::Result<()> {
        let datagram = [&[2, token[0], token[1], kind][..], &self.eui.0.to_be_bytes(), json.as_bytes()].concat();
        match self.socket.send(&datagram).await {
            Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => Err(error),
            // A datagram that is lost is none of the sender's business.
            _ => Ok(()),
        }
    }

    /// The concentrator's count now.
    #[allow(clippy::cast_possible_truncation, reason = "it wraps")]
    fn tmst(&self) -> u32 {
        self.count.wrapping_add(self.began.elapsed().as_micros() as u32)
    }

    async fn uplink(&mut self, turn: usize) -> io::Result<()> {
        let Some(bay) = self.bays.get_mut(turn) else { return Ok(()) };
        let phy = bay.uplink();
        let index = self.random.usize(..self.channels.len().max(1));
        let Some((channel, rate)) = self.channels.get(index).and_then(|c| Some((*c, self.rate(c, turn)?))) else {
            return Ok(());
        };
        self.received = self.received.saturating_add(1);
        // The further the bay, the weaker.
        let strength = NOISE + 10 * (i64::from(BAYS) - i64::try_from(turn).unwrap_or(0)) / 2;
        let frame = json!({
            "tmst": self.tmst(), "freq": f64::from(channel.frequency) / 1e6, "chan": index, "rfch": 0, "stat": 1,
            "modu": "LORA", "datr": rate, "codr": "4/5", "rssi": strength + self.random.i64(-3..=3),
            "lsnr": (self.random.f64() * 120.0).round() / 10.0 - 2.0, "size": phy.len(), "data": STANDARD.encode(&phy),
        });
        let token = self.random_token();
        self.send(PUSH_DATA, token, &json!({ "rxpk": [frame] }).to_string()).await
    }

    /// The data rate of a bay on a channel: near ones are fast.
    fn rate(&self, channel: &Channel, turn: usize) -> Option<String> {
        let rates = self.plan.data_rates();
        let fitting = rates.iter().filter(|rate| (channel.min_dr..=channel.max_dr).contains(&rate.number));
        let lora = fitting.filter_map(|rate| match rate.modulation {
            Modulation::Lora(lora) => Some(format!("SF{}BW{}", lora.spreading_factor, lora.bandwidth / 1000)),
            Modulation::Fsk { .. } => None,
        });
        let mut lora: Vec<String> = lora.collect();
        lora.reverse();
        let index = turn * lora.len() / self.bays.len().max(1);
        lora.get(index).cloned()
    }

    async fn statistics(&mut self) -> io::Result<()> {
        let (received, downlinks) = (std::mem::take(&mut self.received), std::mem::take(&mut self.downlinks));
        let stat = json!({ "lati": 51.5074, "long": -0.1278, "alti": 20, "rxnb": received, "rxok": received,
            "rxfw": received, "ackr": 100.0, "dwnb": downlinks, "txnb": downlinks, "temp": 23.5 });
        let token = self.random_token();
        self.send(PUSH_DATA, token, &json!({ "stat": stat }).to_string()).await
    }

    /// A downlink is acknowledged, and heard by the bay that it is for.
    async fn datagram(&mut self, datagram: &[u8]) -> io::Result<()> {
        let [2, high, low, PULL_RESP, json @ ..] = datagram else { return Ok(()) };
        self.downlinks = self.downlinks.saturating_add(1);
        let body: Value = serde_json::from_slice(json).unwrap_or_default();
        let txpk = &body["txpk"];
        let late = txpk["tmst"].as_u64().and_then(|tmst| u32::try_from(tmst).ok()).is_some_and(|tmst| {
            // What is more than half the count ahead is behind.
            tmst.wrapping_sub(self.tmst()) > u32::MAX / 2
        });
        let answer = if late { "{\"txpk_ack\":{\"error\":\"TOO_LATE\"}}" } else { "" };
        self.send(TX_ACK, [*high, *low], answer).await?;
        let phy = txpk["data"].as_str().and_then(|text| STANDARD.decode(text).ok());
        if let Some(phy) = phy.filter(|_| !late) {
            let heard = self.bays.iter_mut().filter_map(|bay| bay.hear(&phy)).next();
            log::debug!(gateway:% = self.eui, bytes = phy.len(), heard = heard.is_some(); "made-up LoRa gateway sends");
        }
        Ok(())
    }
}

//! One socket and the gateways behind it.
//!
//! Datagrams are read in batches, and after each the others have their turn: neither a flood nor a burst of good frames
//! keeps them waiting for long. What a datagram costs before it is known to be good is a look at its first bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::gateways::{Gateways, PATH_PATIENCE};
use super::packet::{self, DATAGRAM_MAX, Kind, Packet};
use super::rxpk::Rxpk;
use super::stat::Stat;
use super::{push, uplink};
use crate::config::{Eui, LoraRadio, SemtechUdp};
use crate::message::{Received, TopicError};
use crate::pipeline::{Door, Pipeline};
use crate::radio::RadioStats;
use crate::radio::lora::buckets::Buckets;
use crate::radio::lora::events::Events;
use crate::radio::lora::filter::Filter;
use crate::radio::lora::gw::ConnectionState;
use crate::radio::lora::{LoraStats, Refusal};

/// Datagrams that are read before others have their turn.
const BATCH: usize = 32;

/// Sources whose rate is known. Those that come on top share one limit.
const SOURCES_MAX: usize = 1024;

const SECOND: Duration = Duration::from_secs(1);

/// A server without its socket, which may fail and be opened again.
pub(super) struct Server {
    name: Arc<str>,
    gateways: Gateways,
    filter: Filter,
    sources: Buckets<SocketAddr>,
    events: Events,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    /// When a refusal was logged last: a flood is not to fill the log.
    logged: Option<Instant>,
}

impl Server {
    /// # Errors
    /// When the topics' prefix can't begin a topic.
    pub(super) fn new(
        radio: &LoraRadio,
        udp: &SemtechUdp,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Result<Self, TopicError> {
        let now = Instant::now();
        Ok(Self {
            name: radio.name.as_str().into(),
            gateways: Gateways::new(&radio.topic_prefix, &udp.gateways, now)?,
            filter: Filter::new(&radio.filter, radio.deduplicate, now),
            sources: Buckets::new(udp.rate_limit, SECOND, SOURCES_MAX, now),
            events: Events::new(radio, "semtech-udp", Arc::clone(&pipeline), Arc::clone(&stats)),
            pipeline,
            stats,
            logged: None,
        })
    }

    fn lora(&self) -> Option<&LoraStats> {
        self.stats.lora.as_ref()
    }

    /// Says that nobody is there yet. What an earlier run left retained may say otherwise.
    pub(super) async fn begin(&self) {
        for (eui, gateway) in self.gateways.iter() {
            self.events.state(&gateway.topics, eui, ConnectionState::Offline).await;
        }
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    /// When the socket fails.
    pub(super) async fn serve(&mut self, socket: &UdpSocket, stop: &CancellationToken) -> io::Result<()> {
        // One more than can come, so that what is cut off would be seen to be too long.
        let mut buffer = vec![0; DATAGRAM_MAX + 1];
        loop {
            let closes = self.gateways.next_close().unwrap_or_else(|| Instant::now() + PATH_PATIENCE);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ready = socket.readable() => {
                    ready?;
                    self.read(socket, &mut buffer).await?;
                    tokio::task::yield_now().await;
                }
                () = tokio::time::sleep_until(closes.into()) => self.close_silent().await,
            }
        }
    }

    /// Reads a batch.
    async fn read(&mut self, socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..BATCH {
            let (length, source) = match socket.try_recv_from(buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // An answer to what was sent to somebody who is gone.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            RadioStats::add(&self.stats.bytes_received, length);
            let datagram = buffer.get(..length).unwrap_or_default();
            if let Err(refusal) = self.datagram(socket, datagram, source).await {
                self.refuse(refusal, &source);
            }
        }
        Ok(())
    }

    async fn datagram(&mut self, socket: &UdpSocket, datagram: &[u8], source: SocketAddr) -> Result<(), Refusal> {
        let received = self.events.now();
        let now = received.monotonic;
        if !self.sources.take(source, now) {
            return Err(Refusal::RateLimit);
        }
        let packet = packet::parse(datagram)?;
        self.gateways.make_room(now);
        self.gateways.admit(packet.eui, source, now)?;
        match packet.kind {
            Kind::PushData => {
                // At once, and whatever is in it: it only says that the datagram came.
                self.answer(socket, &packet::push_ack(packet.token), source);
                self.count(packet.kind);
                self.push(&packet, source, received).await
            }
            Kind::PullData => self.pull(socket, &packet, source, now).await,
            Kind::TxAck => Err(Refusal::AckUnasked),
        }
    }

    fn count(&self, kind: Kind) {
        if let Some(lora) = self.lora() {
            lora.datagram(kind);
        }
    }

    fn answer(&self, socket: &UdpSocket, answer: &[u8], source: SocketAddr) {
        match socket.try_send_to(answer, source) {
            Ok(sent) => RadioStats::add(&self.stats.bytes_sent, sent),
            Err(error) => {
                if let Some(lora) = self.lora() {
                    RadioStats::add(&lora.answers_unsent, 1);
                }
                log::debug!(radio:% = self.name, source:% = source, error:% = error; "answer not sent");
            }
        }
    }

    /// Counts what went no further, and logs one a second.
    fn refuse(&mut self, refusal: Refusal, source: &SocketAddr) {
        RadioStats::add(&self.stats.frames_rejected, 1);
        self.pipeline.ledger().refuse(Door::Radio, refusal.drop_reason());
        if let Some(lora) = self.lora() {
            lora.refused(refusal);
        }
        if self.logged.is_none_or(|logged| logged.elapsed() >= SECOND) {
            self.logged = Some(Instant::now());
            log::debug!(radio:% = self.name, reason = refusal.as_str(), source:% = source; "datagram or frame dropped");
        }
    }

    async fn push(&mut self, packet: &Packet<'_>, source: SocketAddr, received: Received) -> Result<(), Refusal> {
        let push = push::parse(packet.json)?;
        for frame in push.frames {
            let taken = match frame {
                Ok(rxpk) => self.frame(rxpk, packet.eui, received).await,
                Err(refusal) => Err(refusal),
            };
            if let Some(gateway) = self.gateways.get_mut(packet.eui) {
                let tally = &mut gateway.tally;
                let counter = if taken.is_ok() { &mut tally.forwarded } else { &mut tally.dropped };
                *counter = counter.saturating_add(1);
            }
            if let Err(refusal) = taken {
                self.refuse(refusal, &source);
            }
        }
        match push.stat {
            Some(Ok(stat)) => self.stat(stat, packet.eui).await,
            Some(Err(refusal)) => return Err(refusal),
            None => {}
        }
        Ok(())
    }

    async fn frame(&mut self, rxpk: Rxpk, eui: Eui, received: Received) -> Result<(), Refusal> {
        let now = received.monotonic;
        let Some(gateway) = self.gateways.get_mut(eui) else { return Err(Refusal::UnknownGateway) };
        gateway.tally.heard(rxpk.frequency, rxpk.modulation, rxpk.crc);
        let seen = self.filter.check(&rxpk.phy, rxpk.crc, now)?;
        let frame = uplink::frame(rxpk, eui, seen.as_ref(), received.trusted(), fastrand::u32(1..));
        self.events.up(&gateway.topics, &frame, received).await;
        Ok(())
    }

    async fn stat(&mut self, stat: Stat, eui: Eui) {
        let Some(gateway) = self.gateways.get_mut(eui) else { return };
        let tally = std::mem::take(&mut gateway.tally);
        let stats = uplink::stats(stat, eui, &gateway.config_version, tally);
        self.events.stats(&gateway.topics, &stats).await;
    }

    async fn pull(
        &mut self,
        socket: &UdpSocket,
        packet: &Packet<'_>,
        source: SocketAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(gateway) = self.gateways.get_mut(packet.eui) else { return Err(Refusal::UnknownGateway) };
        let came = gateway.pulled(source, now)?;
        let topics = came.then(|| gateway.topics.clone());
        self.count(packet.kind);
        self.answer(socket, &packet::pull_ack(packet.token), source);
        if let Some(topics) = topics {
            log::info!(radio:% = self.name, gateway:% = packet.eui, address:% = source; "LoRa gateway is there");
            self.count_online();
            self.events.state(&topics, packet.eui, ConnectionState::Online).await;
        }
        Ok(())
    }

    fn count_online(&self) {
        if let Some(lora) = self.lora() {
            lora.gateways_online.store(self.gateways.online() as u64, Ordering::Relaxed);
        }
    }

    async fn close_silent(&mut self) {
        for eui in self.gateways.close_silent(Instant::now()) {
            log::warn!(radio:% = self.name, gateway:% = eui; "LoRa gateway has been silent; nothing can be sent to it");
            self.count_online();
            if let Some(gateway) = self.gateways.get_mut(eui) {
                self.events.state(&gateway.topics, eui, ConnectionState::Offline).await;
            }
        }
    }

    /// The last words: whoever was there is not any more.
    pub(super) async fn end(&mut self) {
        for (eui, gateway) in self.gateways.iter().filter(|(_, gateway)| gateway.path.is_some()) {
            self.events.state(&gateway.topics, eui, ConnectionState::Offline).await;
        }
    }
}

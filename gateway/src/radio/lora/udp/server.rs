//! One socket and the gateways behind it.
//!
//! Datagrams are read in batches, and after each the others have their turn: neither a flood nor a burst of good frames
//! keeps them waiting for long. What a datagram costs before it is known to be good is a look at its first bytes. The way
//! down is in `sending.rs`.

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
use super::{push, socket, uplink};
use crate::buckets::Buckets;
use crate::config::{Eui, LoraRadio, SemtechUdp};
use crate::message::{Received, TopicError};
use crate::pipeline::Pipeline;
use crate::radio::RadioStats;
use crate::radio::lora::Refusal;
use crate::radio::lora::clerk::Clerk;
use crate::radio::lora::commands::Commands;
use crate::radio::lora::events::Events;
use crate::radio::lora::filter::Filter;
use crate::radio::lora::gw::{ConnectionState, CrcStatus};

/// Datagrams that are read before others have their turn.
const BATCH: usize = 32;

/// Sources whose rate is known. Those that come on top share one limit.
const SOURCES_MAX: usize = 1024;

/// Between two looks at what the kernel has dropped.
const LOOK_FOR_LOST: Duration = Duration::from_secs(5);

const SECOND: Duration = Duration::from_secs(1);

/// A server without its socket, which may fail and be opened again.
pub(super) struct Server {
    pub(super) clerk: Clerk,
    pub(super) gateways: Gateways,
    filter: Filter,
    sources: Buckets<SocketAddr>,
    pub(super) events: Events,
    commands: Commands,
}

impl Server {
    /// # Errors
    /// When the topics' prefix can't begin a topic.
    pub(super) fn new(
        radio: &Arc<LoraRadio>,
        udp: &SemtechUdp,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Result<Self, TopicError> {
        let now = Instant::now();
        Ok(Self {
            clerk: Clerk::new(&radio.name, Arc::clone(&pipeline), Arc::clone(&stats)),
            gateways: Gateways::new(Arc::clone(radio), &udp.gateways, now)?,
            filter: Filter::new(&radio.filter, radio.deduplicate, now),
            sources: Buckets::new(udp.rate_limit, SECOND, SOURCES_MAX, now),
            events: Events::new(radio, "semtech-udp", Arc::clone(&pipeline), Arc::clone(&stats)),
            commands: Commands::new(radio.down_queue, pipeline, stats),
        })
    }

    /// Takes commands for the gateways that are named.
    pub(super) fn attach(&self) {
        self.gateways.iter().for_each(|(eui, gateway)| self.commands.attach(eui, &gateway.topics));
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
        let mut look = tokio::time::interval(LOOK_FOR_LOST);
        let mut lost = 0;
        loop {
            let times = [self.gateways.next_close(), self.gateways.next_due()];
            let next = times.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + PATH_PATIENCE);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ready = socket.readable() => {
                    ready?;
                    self.read(socket, &mut buffer).await?;
                    tokio::task::yield_now().await;
                }
                _ = look.tick() => self.look_for_lost(socket, &mut lost),
                command = self.commands.next() => self.command(Some(socket), command).await,
                () = tokio::time::sleep_until(next.into()) => {
                    self.pump_due(Some(socket), Instant::now()).await;
                    self.close_silent().await;
                }
            }
        }
    }

    /// What the kernel drops nobody else sees.
    fn look_for_lost(&self, socket: &UdpSocket, lost: &mut u64) {
        let now = socket::dropped(socket).unwrap_or(*lost);
        let more = now.saturating_sub(*lost);
        *lost = now;
        if more == 0 {
            return;
        }
        if let Some(lora) = self.clerk.lora() {
            lora.datagrams_lost.fetch_add(more, Ordering::Relaxed);
        }
        log::warn!(radio:% = self.clerk.name, datagrams = more; "datagrams came faster than they were read, and were lost");
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
            RadioStats::add(&self.clerk.stats.bytes_received, length);
            let datagram = buffer.get(..length).unwrap_or_default();
            self.take(socket, datagram, source).await;
        }
        Ok(())
    }

    /// Does what a datagram wants, or counts why not.
    pub(super) async fn take(&mut self, socket: &UdpSocket, datagram: &[u8], source: SocketAddr) {
        if let Err(refusal) = self.datagram(socket, datagram, source).await {
            self.clerk.refuse(refusal, source);
        }
    }

    async fn datagram(&mut self, socket: &UdpSocket, datagram: &[u8], source: SocketAddr) -> Result<(), Refusal> {
        let received = self.events.now();
        let now = received.monotonic;
        if !self.sources.take(source, now) {
            return Err(Refusal::RateLimit);
        }
        let packet = packet::parse(datagram)?;
        if let Some((forgotten, mut gateway)) = self.gateways.make_room(now) {
            self.commands.detach(&gateway.topics);
            self.clerk.forget(forgotten);
            let turns = gateway.watch.stop();
            self.clerk.turned(forgotten, &gateway.watch, &turns);
        }
        let is_new = self.gateways.admit(packet.eui, source, now)?;
        if let Some(gateway) = self.gateways.get_mut(packet.eui) {
            if is_new {
                self.commands.attach(packet.eui, &gateway.topics);
            }
            let turns = gateway.watch.look(now);
            self.clerk.turned(packet.eui, &gateway.watch, &turns);
        }
        match packet.kind {
            Kind::PushData => {
                // At once, and whatever is in it: it only says that the datagram came.
                self.answer(socket, &packet::push_ack(packet.token), source);
                self.count(packet.kind);
                let pushed = self.push(&packet, source, received).await;
                self.pump(Some(socket), packet.eui, now).await;
                pushed
            }
            Kind::PullData => self.pull(socket, &packet, source, now).await,
            Kind::TxAck => self.acknowledged(socket, &packet, source, now).await,
        }
    }

    pub(super) fn count(&self, kind: Kind) {
        if let Some(lora) = self.clerk.lora() {
            lora.datagram(kind);
        }
    }

    fn answer(&self, socket: &UdpSocket, answer: &[u8], source: SocketAddr) {
        match socket.try_send_to(answer, source) {
            Ok(sent) => RadioStats::add(&self.clerk.stats.bytes_sent, sent),
            Err(error) => {
                if let Some(lora) = self.clerk.lora() {
                    RadioStats::add(&lora.answers_unsent, 1);
                }
                log::debug!(radio:% = self.clerk.name, source:% = source, error:% = error; "answer not sent");
            }
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
                self.clerk.refuse(refusal, source);
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
        gateway.watch.heard(rxpk.frequency, rxpk.crc);
        // Of several antennas the one that heard it best stands for the frame.
        let best = rxpk.signals.iter().max_by_key(|signal| signal.rssi).filter(|_| rxpk.crc == CrcStatus::CrcOk);
        if let Some(signal) = best {
            self.clerk.heard(rxpk.frequency, &rxpk.modulation, f64::from(signal.rssi), f64::from(signal.snr));
        }
        if gateway.downlinks.heard(rxpk.tmst, rxpk.gps, now) {
            log::info!(radio:% = self.clerk.name, gateway:% = eui; "LoRa gateway counts anew: its concentrator was started again");
        }
        let seen = self.filter.check(&rxpk.phy, rxpk.crc, now)?;
        for frame in uplink::frames(&rxpk, eui, seen.as_ref(), received.trusted()) {
            self.events.up(&gateway.topics, &frame, received).await;
        }
        Ok(())
    }

    async fn stat(&mut self, stat: Stat, eui: Eui) {
        let Some(gateway) = self.gateways.get_mut(eui) else { return };
        let tally = std::mem::take(&mut gateway.tally);
        let load = gateway.downlinks.load(Instant::now());
        let stats = uplink::stats(stat, eui, &gateway.config_version, tally, gateway.watch.suspicious(), &load);
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
            log::info!(radio:% = self.clerk.name, gateway:% = packet.eui, address:% = source; "LoRa gateway is there");
            self.count_online();
            self.events.state(&topics, packet.eui, ConnectionState::Online).await;
        }
        Ok(())
    }

    fn count_online(&self) {
        if let Some(lora) = self.clerk.lora() {
            lora.gateways_online.store(self.gateways.online() as u64, Ordering::Relaxed);
        }
    }

    async fn close_silent(&mut self) {
        for eui in self.gateways.close_silent(Instant::now()) {
            log::warn!(radio:% = self.clerk.name, gateway:% = eui; "LoRa gateway has been silent; nothing can be sent to it");
            self.gone(eui, "the gateway has been silent").await;
        }
    }

    /// A gateway can't be reached any more.
    async fn gone(&mut self, eui: Eui, why: &str) {
        self.count_online();
        self.clerk.stats.seen.failed(format!("gateway {eui}: {why}"));
        self.give_up(eui, why).await;
        if let Some(gateway) = self.gateways.get_mut(eui) {
            let turns = gateway.watch.stop();
            self.clerk.turned(eui, &gateway.watch, &turns);
            self.events.state(&gateway.topics, eui, ConnectionState::Offline).await;
        }
    }

    /// The socket is gone, and with it the ways back.
    pub(super) async fn lost(&mut self, why: &str) {
        for eui in self.gateways.close_all() {
            self.gone(eui, why).await;
        }
    }

    /// Refuses what comes in this time, or until `stop`: there is no socket.
    pub(super) async fn wait(&mut self, time: Duration, stop: &CancellationToken) {
        let end = Instant::now() + time;
        loop {
            tokio::select! {
                // In this order, so that a flood can't put off the end.
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(end.into()) => return,
                command = self.commands.next() => self.command(None, command).await,
            }
        }
    }

    /// The last words: what waits is not sent, and nobody is there any more.
    pub(super) async fn end(&mut self) {
        self.gateways.iter().for_each(|(_, gateway)| self.commands.detach(&gateway.topics));
        self.lost("the gateway is stopping").await;
        for command in self.commands.rest() {
            self.command(None, command).await;
        }
    }
}

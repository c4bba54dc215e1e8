//! All gateways of one listener. The way up is in `hearing.rs`, the way down in `sending.rs`, what is said of gateways
//! without being asked in `reporting.rs`.
//!
//! One task owns all of this. Connections hand it what they hear and wait until it is taken, each for itself, so that one
//! that says much holds up itself first.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::connection::{self, Hall};
use super::door::Door;
use super::downlinks::Downlinks;
use super::message::Version;
use super::router_config::Channels;
use super::visitors::{CONNECTIONS_MAX, Visitors};
use crate::accept::Acceptor;
use crate::buckets::Buckets;
use crate::config::{BasicsStation, Eui, LoraRadio, StationTls};
use crate::pipeline::Pipeline;
use crate::radio::RadioStats;
use crate::radio::lora::Refusal;
use crate::radio::lora::clerk::Clerk;
use crate::radio::lora::commands::Commands;
use crate::radio::lora::events::{Events, GatewayTopics};
use crate::radio::lora::filter::Filter;
use crate::radio::lora::gw::ConnectionState;
use crate::radio::lora::region::Plan;
use crate::radio::lora::tally::Tally;
use crate::supervisor::UnitError;

/// Gateways that are kept where the settings name none. Policy when full: one that is away is forgotten, else the newcomer
/// is refused.
pub(super) const UNNAMED_MAX: usize = 64;

/// Messages of all connections that wait here. Policy: the connections wait.
const INBOX: usize = 64;

/// Messages a second of one gateway: a concentrator of 64 channels hears 1,870 frames.
const RATE_MAX: u32 = 2000;

/// Gateways whose rate is known: more can't be there.
const GATEWAYS_RATED: usize = CONNECTIONS_MAX;

const SECOND: Duration = Duration::from_secs(1);

/// How long connections may take to say goodbye.
const GOODBYES: Duration = Duration::from_secs(2);

/// The connection of a gateway.
pub(super) struct Link {
    /// Which one; no two have the same.
    pub(super) number: u64,
    /// What is sent there goes to it.
    pub(super) to: mpsc::Sender<String>,
    /// It was told its channels: before that, it sends nothing.
    pub(super) ready: bool,
}

/// One gateway.
pub(super) struct Gateway {
    /// Its topics.
    pub(super) topics: GatewayTopics,
    /// What it heard and sent since its last statistics.
    pub(super) tally: Tally,
    /// Downlinks that it was asked for since then.
    pub(super) asked: u32,
    /// The version of settings that ChirpStack sent last.
    pub(super) config_version: String,
    /// What it said of itself last.
    pub(super) version: Version,
    /// What was given to it.
    pub(super) downlinks: Downlinks,
    /// Its connection, while it has one.
    pub(super) link: Option<Link>,
    /// Whether it was said to be there.
    pub(super) online: bool,
    /// When it came or went last.
    pub(super) heard: Instant,
}

/// See the module's head.
pub(super) struct Server {
    pub(super) radio: Arc<LoraRadio>,
    pub(super) clerk: Clerk,
    pub(super) plan: Plan,
    pub(super) channels: Channels,
    tls: Option<StationTls>,
    hall: Option<Door>,
    pub(super) named: bool,
    pub(super) gateways: HashMap<Eui, Gateway>,
    pub(super) filter: Filter,
    pub(super) rates: Buckets<Eui>,
    pub(super) events: Events,
    pub(super) commands: Commands,
    pub(super) reported: Instant,
}

impl Server {
    /// # Errors
    /// When the channels in the settings are none of the region.
    pub(super) fn new(
        radio: &Arc<LoraRadio>,
        station: &BasicsStation,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Result<Self, UnitError> {
        let plan = Plan::new(radio.region).with_dwell_time(radio.dwell_time);
        let (now, door) = (Instant::now(), Door::new(station));
        let mut server = Self {
            clerk: Clerk::new(&radio.name, Arc::clone(&pipeline), Arc::clone(&stats)),
            channels: Channels::new(&plan, &station.channels)?,
            plan,
            tls: station.tls.clone(),
            named: door.names_all(),
            hall: Some(door),
            gateways: HashMap::new(),
            filter: Filter::new(&radio.filter, radio.deduplicate, now),
            rates: Buckets::new(RATE_MAX, SECOND, GATEWAYS_RATED, now),
            events: Events::new(radio, "basics-station", Arc::clone(&pipeline), Arc::clone(&stats)),
            commands: Commands::new(radio.down_queue, pipeline, stats),
            radio: Arc::clone(radio),
            reported: now,
        };
        for gateway in &station.gateways {
            server.insert(gateway.eui, now)?;
        }
        Ok(server)
    }

    pub(super) fn insert(&mut self, eui: Eui, now: Instant) -> Result<(), UnitError> {
        let gateway = Gateway {
            topics: GatewayTopics::new(&self.radio.topic_prefix, eui)?,
            tally: Tally::default(),
            asked: 0,
            config_version: String::new(),
            version: Version::default(),
            downlinks: Downlinks::new(self.radio.down_queue),
            link: None,
            online: false,
            heard: now,
        };
        self.gateways.insert(eui, gateway);
        Ok(())
    }

    /// Takes commands for the gateways that are named.
    pub(super) fn attach(&self) {
        self.gateways.iter().for_each(|(eui, gateway)| self.commands.attach(*eui, &gateway.topics));
    }

    /// Says that nobody is there yet. What an earlier run left retained may say otherwise.
    pub(super) async fn begin(&self) {
        for (eui, gateway) in &self.gateways {
            self.events.state(&gateway.topics, *eui, ConnectionState::Offline).await;
        }
    }

    /// Serves until told to stop.
    pub(super) async fn serve(&mut self, listener: TcpListener, stop: &CancellationToken) {
        let Some(door) = self.hall.take() else { return };
        let (tell, mut inbox) = mpsc::channel(INBOX);
        let (tls, stats, radio) = (self.tls.clone(), Arc::clone(&self.clerk.stats), Arc::clone(&self.clerk.name));
        let hall = Arc::new(Hall { door, tls, tell, stats, radio, stop: stop.child_token() });
        let (mut acceptor, failed) = (Acceptor::new(listener, "Basics Station"), AtomicU64::new(0));
        let mut visitors = Visitors::default();
        loop {
            let next = self.next_due();
            tokio::select! {
                () = stop.cancelled() => break,
                (stream, peer) = acceptor.next(&failed) => match visitors.enter(peer.ip()) {
                    Some(pass) => {
                        let (hall, number) = (Arc::clone(&hall), visitors.next);
                        visitors.tasks.spawn(async move {
                            connection::welcome(stream, peer, number, hall).await;
                            drop(pass);
                        });
                    }
                    None => self.turned_away(peer),
                },
                Some(_ended) = visitors.tasks.join_next(), if !visitors.tasks.is_empty() => {}
                Some(told) = inbox.recv() => self.told(told).await,
                command = self.commands.next() => self.command(command).await,
                () = tokio::time::sleep_until(next.into()) => self.due(Instant::now()).await,
            }
        }
        drop(acceptor);
        // Those that wait to tell something wait no longer.
        inbox.close();
        let goodbyes = async { while visitors.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GOODBYES, goodbyes).await;
    }

    fn turned_away(&mut self, peer: SocketAddr) {
        if let Some(lora) = &self.clerk.stats.lora {
            lora.refused(Refusal::TooManyConnections);
        }
        if self.clerk.may_log() {
            log::warn!(radio:% = self.clerk.name, peer:% = peer; "too many connections of Basics Stations; one was closed");
        }
    }

    /// Gives a text to a gateway's connection.
    ///
    /// # Errors
    /// When it has none, or one that takes too little; that is closed.
    pub(super) fn say(&mut self, eui: Eui, text: String) -> Result<(), &'static str> {
        let away = "the gateway can't be reached";
        let Some(gateway) = self.gateways.get_mut(&eui) else { return Err(away) };
        let Some(link) = &gateway.link else { return Err(away) };
        let length = text.len();
        match link.to.try_send(text) {
            Ok(()) => {
                RadioStats::add(&self.clerk.stats.bytes_sent, length);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(away),
            Err(mpsc::error::TrySendError::Full(_)) => Err("the gateway takes nothing"),
        }
    }

    /// Refuses what comes in this time, or until `stop`: there is no port.
    pub(super) async fn wait(&mut self, time: Duration, stop: &CancellationToken) {
        let end = Instant::now() + time;
        loop {
            tokio::select! {
                // In this order, so that a flood can't put off the end.
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(end.into()) => return,
                command = self.commands.next() => self.command(command).await,
            }
        }
    }

    /// The last words: what waits is not sent, and nobody is there any more.
    pub(super) async fn end(&mut self) {
        self.gateways.values().for_each(|gateway| self.commands.detach(&gateway.topics));
        let euis: Vec<Eui> = self.gateways.keys().copied().collect();
        for eui in euis {
            self.give_up(eui, "the gateway is stopping").await;
            if let Some(gateway) = self.gateways.get_mut(&eui) {
                gateway.link = None;
            }
            self.say_offline(eui).await;
        }
        for command in self.commands.rest() {
            self.command(command).await;
        }
    }
}

//! The gateway behind one Concentratord. The way up is in `hearing.rs`, the way down in `sending.rs`.
//!
//! One task owns all of this, and both connections with it. They hand it what they hear and wait until it is taken.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::courier::Ask;
use super::form::Form;
use super::sending::UnderWay;
use super::zmtp::Error;
use crate::buckets::Buckets;
use crate::config::{Concentratord, Eui, LoraRadio};
use crate::message::TopicError;
use crate::pipeline::Pipeline;
use crate::radio::RadioStats;
use crate::radio::lora::Refusal;
use crate::radio::lora::clerk::Clerk;
use crate::radio::lora::commands::Commands;
use crate::radio::lora::events::{Events, GatewayTopics};
use crate::radio::lora::filter::Filter;
use crate::radio::lora::gw::ConnectionState;
use crate::radio::lora::jamming::Watch;
use crate::radio::lora::region::Plan;
use crate::radio::lora::schedule::Meter;
use crate::radio::lora::tally::Tally;

/// Events a second: a concentrator of 64 channels hears 1,870 frames.
const RATE_MAX: u32 = 2000;

/// What the connections tell.
pub(super) enum Told {
    /// Concentratord takes commands, and is this gateway.
    Here {
        /// Which.
        eui: Eui,
        /// How it wants to be spoken to.
        form: Form,
    },
    /// It takes none any more, and why.
    Gone(String),
    /// What it answers.
    Answer {
        /// That of the question.
        number: u64,
        /// In protocol buffers.
        answer: Bytes,
    },
    /// Its events can be heard from now on.
    Listening,
    /// An event: the frames of a message.
    Heard(Vec<Bytes>),
    /// Its events can't be heard any more, and why.
    Deaf(Error),
}

/// The gateway.
pub(super) struct Gateway {
    pub(super) eui: Eui,
    pub(super) topics: GatewayTopics,
    /// What it heard since its last statistics, and which downlinks never reached it.
    pub(super) tally: Tally,
    /// Its channels.
    pub(super) watch: Watch,
    /// Downlinks that never reached it.
    pub(super) kept: u32,
    /// The version of settings that ChirpStack sent last and that was not passed on.
    pub(super) config_version: String,
}

/// See the module's head.
pub(super) struct Server {
    radio: Arc<LoraRadio>,
    pub(super) clerk: Clerk,
    named: Option<Eui>,
    /// Whether channels are passed on.
    pub(super) configures: bool,
    /// That of the settings, or the one that was there last.
    pub(super) gateway: Option<Gateway>,
    /// Whether it takes commands.
    pub(super) takes: bool,
    /// Whether its events are heard.
    listens: bool,
    /// Whether it was said to be there: it takes commands and is heard.
    online: bool,
    pub(super) meter: Meter,
    pub(super) filter: Filter,
    pub(super) rates: Buckets<()>,
    pub(super) events: Events,
    commands: Commands,
    /// What Concentratord was asked and has not answered.
    pub(super) under_way: Option<UnderWay>,
    pub(super) asked: u64,
}

impl Server {
    /// # Errors
    /// When the topics' prefix can't begin a topic.
    pub(super) fn new(
        radio: &Arc<LoraRadio>,
        settings: &Concentratord,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Result<Self, TopicError> {
        let (now, plan) = (Instant::now(), Plan::new(radio.region).with_dwell_time(radio.dwell_time));
        let mut server = Self {
            radio: Arc::clone(radio),
            clerk: Clerk::new(&radio.name, Arc::clone(&pipeline), Arc::clone(&stats)),
            named: settings.eui,
            configures: settings.configure,
            gateway: None,
            takes: false,
            listens: false,
            online: false,
            meter: Meter::new(plan, radio.duty_cycle),
            filter: Filter::new(&radio.filter, radio.deduplicate, now),
            rates: Buckets::new(RATE_MAX, Duration::from_secs(1), 1, now),
            events: Events::new(radio, "concentratord", Arc::clone(&pipeline), Arc::clone(&stats)),
            commands: Commands::new(radio.down_queue, pipeline, stats),
            under_way: None,
            asked: 0,
        };
        if let Some(eui) = settings.eui {
            server.gateway = Some(server.gateway(eui)?);
        }
        Ok(server)
    }

    fn gateway(&self, eui: Eui) -> Result<Gateway, TopicError> {
        let topics = GatewayTopics::new(&self.radio.topic_prefix, eui)?;
        let watch = Watch::new(Instant::now());
        Ok(Gateway { eui, topics, tally: Tally::default(), watch, kept: 0, config_version: String::new() })
    }

    /// Takes commands for the gateway, where it is known.
    pub(super) fn attach(&self) {
        if let Some(gateway) = &self.gateway {
            self.commands.attach(gateway.eui, &gateway.topics);
        }
    }

    /// Says that it is not there yet. What an earlier run left retained may say otherwise.
    pub(super) async fn begin(&self) {
        if let Some(gateway) = &self.gateway {
            self.events.state(&gateway.topics, gateway.eui, ConnectionState::Offline).await;
        }
    }

    /// Serves until told to stop. Whether it is known which gateway it is is told to `known`.
    pub(super) async fn serve(
        &mut self,
        inbox: &mut mpsc::Receiver<Told>,
        ask: &mpsc::Sender<Ask>,
        known: &watch::Sender<bool>,
        stop: &CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(told) = inbox.recv() => {
                    self.told(told).await;
                    known.send_if_modified(|known| !std::mem::replace(known, self.gateway.is_some()) && *known);
                }
                // One after the other: what waits keeps its place in the queue, and the queue its bound.
                command = self.commands.next(), if self.under_way.is_none() => self.command(command, ask).await,
            }
        }
    }

    async fn told(&mut self, told: Told) {
        match told {
            Told::Here { eui, form } => self.here(eui, form).await,
            Told::Gone(why) => {
                self.takes = false;
                self.give_up(&why).await;
                self.say_offline(&why).await;
            }
            Told::Answer { number, answer } => self.answered(number, &answer).await,
            Told::Listening => {
                self.listens = true;
                self.say_online().await;
            }
            Told::Heard(parts) => self.heard(&parts).await,
            Told::Deaf(error) => {
                self.listens = false;
                self.broken(&error);
                self.say_offline(&error.to_string()).await;
            }
        }
    }

    /// Counts a connection that ended because the other side does not keep to the protocol.
    fn broken(&mut self, error: &Error) {
        let Error::Fault(fault) = error else { return };
        let refusal = if *fault == super::zmtp::Fault::TooLong { Refusal::Oversized } else { Refusal::ZeroMq };
        self.clerk.refuse(refusal, error);
    }

    async fn here(&mut self, eui: Eui, form: Form) {
        if self.named.is_some_and(|named| named != eui) {
            self.clerk.refuse(Refusal::UnknownGateway, eui);
            log::warn!(radio:% = self.clerk.name, gateway:% = eui; "Concentratord is another gateway than the settings name");
            return;
        }
        if self.gateway.as_ref().is_none_or(|gateway| gateway.eui != eui) {
            self.say_offline("another gateway has taken its place").await;
            let Ok(gateway) = self.gateway(eui) else { return };
            if let Some(before) = self.gateway.replace(gateway) {
                self.commands.detach(&before.topics);
            }
            self.attach();
        }
        let duty_cycle = if self.radio.duty_cycle { "kept" } else { "off" };
        log::info!(radio:% = self.clerk.name, gateway:% = eui, concentratord = form.as_str(), duty_cycle = duty_cycle;
            "Concentratord takes commands");
        self.takes = true;
        self.say_online().await;
    }

    async fn say_online(&mut self) {
        if self.online || !self.takes || !self.listens {
            return;
        }
        let Some(gateway) = &self.gateway else { return };
        log::info!(radio:% = self.clerk.name, gateway:% = gateway.eui; "LoRa gateway is there");
        self.online = true;
        RadioStats::add(&self.clerk.stats.opened, 1);
        self.count_online();
        self.events.state(&gateway.topics, gateway.eui, ConnectionState::Online).await;
    }

    async fn say_offline(&mut self, why: &str) {
        if let Some(gateway) = self.gateway.as_ref().filter(|_| self.online) {
            self.clerk.stats.seen.failed(format!("gateway {}: {why}", gateway.eui));
            log::warn!(radio:% = self.clerk.name, gateway:% = gateway.eui, reason = why; "LoRa gateway has gone; nothing can be sent to it");
        }
        self.away().await;
    }

    /// The gateway is not there any more, if it was.
    async fn away(&mut self) {
        // One of the two connections is enough to hear frames; being there takes both.
        if let Some(gateway) = &mut self.gateway {
            let turns = gateway.watch.stop();
            self.clerk.turned(gateway.eui, &gateway.watch, &turns);
        }
        if !std::mem::take(&mut self.online) {
            return;
        }
        self.count_online();
        let Some(gateway) = &self.gateway else { return };
        self.events.state(&gateway.topics, gateway.eui, ConnectionState::Offline).await;
    }

    fn count_online(&self) {
        self.clerk.stats.online.store(self.online, Ordering::Relaxed);
        if let Some(lora) = self.clerk.lora() {
            lora.gateways_online.store(self.online.into(), Ordering::Relaxed);
        }
    }

    /// The last words: what waits is not sent, and nobody is there any more.
    pub(super) async fn end(&mut self) {
        let why = "the gateway is stopping";
        if let Some(gateway) = &self.gateway {
            self.commands.detach(&gateway.topics);
        }
        self.takes = false;
        self.give_up(why).await;
        self.away().await;
        for command in self.commands.rest() {
            self.refuse(command).await;
        }
    }
}

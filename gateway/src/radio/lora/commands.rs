//! What servers want of gateways: the queue behind the `command` topics of all gateways of one radio.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::events::GatewayTopics;
use crate::config::Eui;
use crate::message::{Message, Topic};
use crate::pipeline::{Output, Pipeline};
use crate::radio::{RadioStats, Refused};

/// Refusals that wait to be reported. Policy: refuse; beyond them a refusal is counted but not reported.
const REFUSALS: usize = 64;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A frame is to be sent.
    Down,
    /// The gateway is to have these settings.
    Config,
    /// The packet forwarder is to get these bytes.
    Raw,
}

/// One command.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// Of which gateway.
    pub(super) eui: Eui,
    /// What.
    pub(super) wanted: Wanted,
    /// In ChirpStack's words, JSON or protocol buffers.
    pub(super) payload: Bytes,
    /// It was turned away at the entrance, and that is to be reported.
    pub(super) turned_away: bool,
}

/// The pipeline's end for one topic. Policy when full: the newcomer is refused, counted and reported.
struct Entrance {
    topic: Topic,
    eui: Eui,
    wanted: Wanted,
    commands: mpsc::Sender<Command>,
    refusals: mpsc::Sender<Command>,
    stats: Arc<RadioStats>,
}

impl Output for Entrance {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn offer(&self, message: &Message) {
        let Self { eui, wanted, .. } = *self;
        let command = Command { eui, wanted, payload: message.payload.clone(), turned_away: false };
        match self.commands.try_send(command) {
            Ok(()) => {}
            Err(TrySendError::Full(command)) => {
                self.stats.refused(Refused::QueueFull);
                // With that queue full as well there is nobody to tell; the count stands.
                let _ = self.refusals.try_send(Command { turned_away: true, ..command });
            }
            // The radio stopped while the message was on its way here.
            Err(TrySendError::Closed(_)) => self.stats.refused(Refused::ShuttingDown),
        }
    }
}

/// The radio's end.
pub(super) struct Commands {
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    /// For the entrances to come; gone once nothing is taken any more.
    ends: Option<(mpsc::Sender<Command>, mpsc::Sender<Command>)>,
    commands: mpsc::Receiver<Command>,
    refusals: mpsc::Receiver<Command>,
}

impl Commands {
    /// A queue for so many commands, without an entrance.
    pub(super) fn new(capacity: usize, pipeline: Arc<Pipeline>, stats: Arc<RadioStats>) -> Self {
        let (to_commands, commands) = mpsc::channel(capacity);
        let (to_refusals, refusals) = mpsc::channel(REFUSALS);
        Self { pipeline, stats, ends: Some((to_commands, to_refusals)), commands, refusals }
    }

    /// Takes the commands of a gateway from now on.
    pub(super) fn attach(&self, eui: Eui, topics: &GatewayTopics) {
        let Some((commands, refusals)) = &self.ends else { return };
        for (topic, wanted) in
            [(&topics.down, Wanted::Down), (&topics.config, Wanted::Config), (&topics.raw, Wanted::Raw)]
        {
            self.pipeline.attach(Arc::new(Entrance {
                topic: topic.clone(),
                eui,
                wanted,
                commands: commands.clone(),
                refusals: refusals.clone(),
                stats: Arc::clone(&self.stats),
            }));
        }
    }

    /// Takes them no longer.
    pub(super) fn detach(&self, topics: &GatewayTopics) {
        for topic in [&topics.down, &topics.config, &topics.raw] {
            self.pipeline.detach(topic);
        }
    }

    /// Waits for the next one. Safe to cancel.
    pub(super) async fn next(&mut self) -> Command {
        tokio::select! {
            Some(command) = self.refusals.recv() => command,
            Some(command) = self.commands.recv() => command,
            else => std::future::pending().await,
        }
    }

    /// What is still there, when nothing more is taken.
    pub(super) fn rest(&mut self) -> Vec<Command> {
        self.ends = None;
        self.commands.close();
        self.refusals.close();
        let commands = std::iter::from_fn(|| self.commands.try_recv().ok());
        let refusals = std::iter::from_fn(|| self.refusals.try_recv().ok());
        commands.chain(refusals).collect()
    }
}

//! Where messages go at the remote and where its messages come from: as the rules say, or, at an IoT hub, by its own topics.
//! Pure.

use super::dead::Misfit;
use super::hub::{Command, Hub};
use super::stats::Dead;
use super::topics::{Mapped, Rules};
use crate::config;
use crate::message::{Message, QoS, Topic, TopicFilter};

/// A message as it goes to the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// Its topic there.
    pub(super) topic: Topic,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) sort: Sort,
}

/// What a message is to the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A message.
    Plain,
    /// A message to a hub, with so many bytes of properties in its topic.
    Telemetry { bag: usize },
    /// A change of a twin's reported properties, which the hub answers.
    Reported,
}

/// See the module's head.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    rules: Rules,
    hub: Option<Hub>,
}

impl Routes {
    pub(super) fn new(uplink: &config::Uplink) -> Self {
        Self { rules: Rules::new(&uplink.topics), hub: Hub::new(uplink) }
    }

    /// The hub that the remote is.
    pub(super) fn hub(&self) -> Option<&Hub> {
        self.hub.as_ref()
    }

    /// Whether a message that has this topic here goes out.
    pub(super) fn sends(&self, topic: &str) -> bool {
        let of_hub = self.hub.as_ref().and_then(|hub| hub.takes(topic));
        of_hub.unwrap_or_else(|| self.rules.sends(topic))
    }

    /// Whether what has this topic here is said to the hub itself, and not sent by the rules.
    pub(super) fn is_for_hub(&self, topic: &str) -> bool {
        self.hub.as_ref().is_some_and(|hub| hub.takes(topic).is_some())
    }

    /// Whether a message that has this topic here waits in the spool.
    pub(super) fn queues(&self, topic: &str) -> bool {
        self.sends(topic) && !self.hub.as_ref().is_some_and(|hub| hub.is_command(topic))
    }

    /// What a message says to the remote that is worth nothing later; `None` for all others.
    pub(super) fn command(&self, message: &Message) -> Option<Result<Command, Misfit>> {
        self.hub.as_ref()?.command(message)
    }

    /// Where a message goes, with what the rule says of its quality of service.
    ///
    /// # Errors
    /// Where no rule sends it, or the remote does not take it there.
    pub(super) fn outward(&self, message: &Message) -> Result<Outgoing, Misfit> {
        if let Some(reported) = self.hub.as_ref().and_then(|hub| hub.reported(message)) {
            return reported;
        }
        let mapped = self.rules.outward(message.topic.as_str());
        let Mapped { topic, qos } =
            mapped.ok_or_else(|| Misfit::new(Dead::NoRule, "no rule of the uplink sends this topic any more"))?;
        match &self.hub {
            Some(hub) => hub.telemetry(message, topic.as_str(), qos),
            None => Ok(Outgoing { topic, qos, retain: message.retain, sort: Sort::Plain }),
        }
    }

    /// Where something goes that the gateway itself says to the remote under this name.
    pub(super) fn said(&self, topic: &str) -> Option<Topic> {
        match &self.hub {
            Some(hub) => hub.said(topic).ok(),
            None => Topic::new(topic).ok(),
        }
    }

    /// Under what name a message of the remote comes in; `None` where no rule wants it.
    pub(super) fn inward(&self, topic: &str) -> Option<Topic> {
        self.rules.inward(topic).map(|mapped| mapped.topic)
    }

    /// What to ask the remote for.
    pub(super) fn subscriptions(&self) -> Vec<(TopicFilter, QoS)> {
        self.hub.as_ref().map_or_else(|| self.rules.subscriptions(), Hub::subscriptions)
    }

    /// Whether some message that goes out is to be acknowledged.
    pub(super) fn sends_with_acknowledgement(&self) -> bool {
        self.rules.sends_with_acknowledgement()
    }

    /// Whether some message goes out with a quality of service of 2.
    pub(super) fn sends_exactly_once(&self) -> bool {
        self.rules.sends_exactly_once()
    }
}

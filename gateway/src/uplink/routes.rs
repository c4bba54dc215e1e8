//! Where messages go at the remote and where its messages come from, as the rules say. Pure.

use super::dead::Misfit;
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
}

/// See the module's head.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    rules: Rules,
}

impl Routes {
    pub(super) fn new(uplink: &config::Uplink) -> Self {
        Self { rules: Rules::new(&uplink.topics) }
    }

    /// Whether a message that has this topic here goes out.
    pub(super) fn sends(&self, topic: &str) -> bool {
        self.rules.sends(topic)
    }

    /// Where a message goes, with what the rule says of its quality of service.
    ///
    /// # Errors
    /// Where no rule sends it.
    pub(super) fn outward(&self, message: &Message) -> Result<Outgoing, Misfit> {
        let mapped = self.rules.outward(message.topic.as_str());
        let Mapped { topic, qos } =
            mapped.ok_or_else(|| Misfit::new(Dead::NoRule, "no rule of the uplink sends this topic any more"))?;
        Ok(Outgoing { topic, qos, retain: message.retain })
    }

    /// Under what name a message of the remote comes in; `None` where no rule wants it.
    pub(super) fn inward(&self, topic: &str) -> Option<Topic> {
        self.rules.inward(topic).map(|mapped| mapped.topic)
    }

    /// What to ask the remote for.
    pub(super) fn subscriptions(&self) -> Vec<(TopicFilter, QoS)> {
        self.rules.subscriptions()
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

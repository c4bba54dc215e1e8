//! Whether a message can go to the remote at all, and as what. Pure.
//!
//! Asked before a message is queued, so that what never could go is told of at once, and again before it is sent: settings,
//! and what the remote says of its limits, may have changed while it waited.

use super::dead::Misfit;
use super::link::Limits;
use super::routes::{Outgoing, Routes, Sort};
use super::stats::Dead;
use crate::codec::{self, PublishProperties, PublishRef, Version, properties_of};
use crate::config::Takes;
use crate::message::{Message, QoS};

/// The longest packet that MQTT can carry (section 2.1.4), with its fixed header.
const PACKET_MAX: usize = 268_435_455 + 5;
/// More than topic and payload have beside them in a packet with no properties but the gateway's own, as long as they are
/// as short as they mostly are.
const USUAL_REST: usize = 1024;

/// What a remote takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) version: Version,
    /// By its profile and the settings.
    pub(super) takes: Takes,
    /// By its own word, as long as it is there: when it comes back its limits may be others.
    pub(super) said: Option<Limits>,
}

impl Bounds {
    fn qos(&self) -> QoS {
        self.takes.qos.min(self.said.map_or(QoS::ExactlyOnce, |said| said.qos()))
    }

    /// Whether messages go there with the flag that has them retained.
    pub(super) fn retains(&self) -> bool {
        self.takes.retain && self.said.is_none_or(|said| said.retain_available)
    }

    fn packet(&self) -> Option<usize> {
        self.said.and_then(|said| said.maximum_packet_size).map(|most| most as usize)
    }
}

/// What a message is to the remote, or why it can't go there.
///
/// # Errors
/// What is to be said on `dead`.
pub(super) fn outgoing(message: &Message, routes: &Routes, bounds: &Bounds) -> Result<Outgoing, Misfit> {
    let mut outgoing = routes.outward(message)?;
    outgoing.qos = outgoing.qos.min(bounds.qos());
    outgoing.retain &= bounds.retains();
    check_sizes(message, &outgoing, &bounds.takes)?;
    check_packet(message, &outgoing, bounds)?;
    Ok(outgoing)
}

fn check_sizes(message: &Message, outgoing: &Outgoing, takes: &Takes) -> Result<(), Misfit> {
    let over = |most: Option<usize>, has: usize| most.filter(|most| has > *most);
    let in_topic = if let Sort::Telemetry { bag } = outgoing.sort { bag } else { 0 };
    let payload = message.payload.len() + in_topic;
    if let Some(most) = over(takes.payload, payload) {
        let detail = format!("the remote takes payloads of {most} bytes, and this one has {payload}");
        return Err(Misfit::new(Dead::TooLarge, detail));
    }
    let topic = outgoing.topic.as_str();
    if let Some(most) = over(takes.topic_bytes, topic.len()) {
        let detail = format!("the remote takes topics of {most} bytes, and `{topic}` has {}", topic.len());
        return Err(Misfit::new(Dead::BadTopic, detail));
    }
    let levels = topic.split('/').count();
    if let Some(most) = over(takes.topic_levels, levels) {
        let detail = format!("the remote takes topics of {most} levels, and `{topic}` has {levels}");
        return Err(Misfit::new(Dead::BadTopic, detail));
    }
    Ok(())
}

fn check_packet(message: &Message, outgoing: &Outgoing, bounds: &Bounds) -> Result<(), Misfit> {
    let most = bounds.packet().unwrap_or(PACKET_MAX);
    let pairs = message.properties.as_deref().map_or(0, |properties| properties.user.len());
    let origin = message.origin.name().map_or(0, str::len);
    // What is surely short enough is not measured: that would mean writing down all of its properties.
    if message.weight() + outgoing.topic.as_str().len() + 5 * pairs + origin + USUAL_REST <= most {
        return Ok(());
    }
    let properties = if bounds.version == Version::V5 { properties_of(message) } else { PublishProperties::default() };
    let publish = outgoing.publish(message, &properties);
    let length = codec::publish_len(bounds.version, &publish).unwrap_or(usize::MAX);
    if length > most {
        let detail = format!("the remote takes packets of {most} bytes at most, and this one would have {length}");
        return Err(Misfit::new(Dead::TooLarge, detail));
    }
    Ok(())
}

impl Outgoing {
    /// The packet, not repeated and with any identifier.
    pub(super) fn publish<'a>(&'a self, message: &'a Message, properties: &'a PublishProperties) -> PublishRef<'a> {
        PublishRef {
            dup: false,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic.as_str(),
            packet_id: (self.qos != QoS::AtMostOnce).then_some(std::num::NonZeroU16::MIN),
            payload: &message.payload,
            properties,
        }
    }
}

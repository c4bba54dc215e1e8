//! What comes from the remote: renamed, taken in like a client's publish, and acknowledged when it is safe here.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;

use super::session::Session;
use super::stats::UplinkStats;
use super::trouble::Trouble;
use crate::codec::{Ack, Packet, Publish, ReasonCode, said};
use crate::message::{Awaited, Promise, Properties, QoS, Topic};

/// Answers that wait. Policy: the remote is not read from.
const MOST: usize = 1024;
/// The deepest topic that is taken: matching costs by levels.
const LEVELS_MAX: usize = 128;

/// What the remote is to be told, in the order in which its messages came (MQTT 5.0, section 4.6), each when what it
/// promises is safe.
#[derive(Default)]
pub(super) struct Answers(VecDeque<(Packet, Option<Awaited>)>);

impl Answers {
    pub(super) fn have_room(&self) -> bool {
        self.0.len() < MOST
    }

    /// Whether some of them wait.
    pub(super) fn are_open(&self) -> bool {
        !self.0.is_empty()
    }

    /// The next one that may be given, if there is one.
    fn next(&mut self) -> Result<Option<Packet>, Trouble> {
        let promise = self.0.front().map(|(_, awaited)| awaited.as_ref().map_or(Promise::Kept, Awaited::promise));
        match promise {
            Some(Promise::Lost) => Err(Trouble::NotKept),
            Some(Promise::Kept) => Ok(self.0.pop_front().map(|(packet, _)| packet)),
            Some(Promise::Open) | None => Ok(None),
        }
    }
}

/// A message of the remote, as it comes in here.
pub(super) struct Arriving {
    pub(super) topic: Topic,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
    pub(super) properties: Option<Arc<Properties>>,
}

impl Session<'_> {
    /// Says what may be said by now.
    pub(super) fn write_answers(&mut self) -> Result<(), Trouble> {
        while let Some(packet) = self.answers.next()? {
            self.write(&packet)?;
        }
        Ok(())
    }

    /// Takes a message of the remote.
    pub(super) async fn take(&mut self, publish: Publish) -> Result<(), Trouble> {
        let known = publish.packet_id.and_then(|id| self.own.taken().known(id));
        let awaited = match (publish.qos, known) {
            // It comes again: nothing more is promised of it than the first time.
            (QoS::ExactlyOnce, Some(awaited)) => awaited,
            _ => self.ingest(&publish).await?,
        };
        let Some(id) = publish.packet_id else { return Ok(()) };
        let ack = Ack::new(id, ReasonCode::Success);
        let answer = match publish.qos {
            QoS::ExactlyOnce => Packet::PubRec(ack),
            _ => Packet::PubAck(ack),
        };
        self.answers.0.push_back((answer, awaited));
        Ok(())
    }

    /// PUBREL.
    pub(super) fn released(&mut self, id: NonZeroU16) -> Result<(), Trouble> {
        let awaited = self.own.taken().released(id)?;
        self.answers.0.push_back((Packet::PubComp(Ack::new(id, ReasonCode::Success)), awaited));
        Ok(())
    }

    async fn ingest(&mut self, publish: &Publish) -> Result<Option<Awaited>, Trouble> {
        let arriving = match self.own.routes.hub() {
            Some(_) => self.hear(publish.topic.as_str(), &publish.payload).await?,
            None => self.arriving(publish),
        };
        let Some(Arriving { topic, payload, retain, properties }) = arriving else { return Ok(None) };
        let receipt = publish.packet_id.map(|id| self.own.taken().receipt(publish.qos, id));
        let (receipt, awaited) = receipt.unzip();
        let mut message = self.own.reports.of_remote(topic, payload);
        (message.qos, message.retain, message.properties) = (publish.qos, retain, properties);
        UplinkStats::add(&self.own.stats.received);
        self.own.reports.ingest(message, receipt).await.map_err(|_closed| Trouble::NotKept)?;
        Ok(awaited)
    }

    fn arriving(&self, publish: &Publish) -> Option<Arriving> {
        if publish.topic.as_str() == self.own.reports.state_topic().as_str() {
            // What the gateway itself had the remote retain, or its will.
            return None;
        }
        let Some(topic) = self.own.routes.inward(publish.topic.as_str()).filter(is_shallow) else {
            UplinkStats::add(&self.own.stats.unwanted);
            return None;
        };
        let properties = publish.properties.as_deref().and_then(said);
        // Copied, so that a message that is kept does not keep the read buffer.
        let payload = Bytes::copy_from_slice(&publish.payload);
        Some(Arriving { topic, payload, retain: publish.retain, properties })
    }
}

/// Whether matching it costs no more than is usual here.
pub(super) fn is_shallow(topic: &Topic) -> bool {
    topic.as_str().split('/').count() <= LEVELS_MAX
}

//! What a client publishes: judged, taken in, acknowledged when that is safe.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, End, violation};
use crate::broker::may_publish;
use crate::broker::stats::Stats;
use crate::codec::{Ack, Packet, Publish, ReasonCode, Version, said};
use crate::message::{Awaited, Origin, QoS, Receipt, Topic};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes a message from the client. It is acknowledged when it has been handed on, and is on disk as far as it has to
    /// outlive the process.
    pub(super) async fn publish(&mut self, publish: Publish) -> Result<(), End> {
        if self.leave_by.is_some() || self.shared.closing.is_cancelled() {
            // What is not acknowledged, the client sends again. What would be, nobody could hand on any more.
            return Err(End::Stopping);
        }
        Stats::add(&self.shared.stats.publishes_received, 1);
        Stats::add(&self.shared.stats.publish_bytes_received, publish.payload.len() as u64);
        self.session.card.message_received();
        if !publish.properties().subscription_ids.is_empty() {
            return Err(violation(ReasonCode::ProtocolError, "a subscription identifier in a client's PUBLISH"));
        }
        let topic = self.aliases.resolve(&publish.topic, publish.properties().topic_alias);
        let topic = topic.map_err(|reason| violation(reason, "a topic or topic alias that is none"))?;
        self.look_again().await?;
        let reason = if self.is_known(&publish) { ReasonCode::Success } else { self.judge(&publish, &topic) };
        if reason.is_error() && (self.agreed.terms.version != Version::V5 || publish.qos == QoS::AtMostOnce) {
            // There is no other way to tell it (MQTT 3.1.1, section 3.3.5).
            return Err(violation(reason, "a message that is not allowed"));
        }
        let new = match (publish.qos, publish.packet_id) {
            (QoS::ExactlyOnce, Some(id)) if !reason.is_error() => {
                // Only MQTT 5 tells the client of a limit.
                let v5 = self.agreed.terms.version == Version::V5;
                let limit = if v5 { self.settings.receive_maximum } else { u16::MAX }.into();
                let new = self.session.receive(id, limit);
                new.map_err(|reason| violation(reason, "more QoS 2 messages than Receive Maximum"))?
            }
            _ => !reason.is_error(),
        };
        let awaited = if new { self.ingest(&publish, topic).await? } else { None };
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => self.answer(Packet::PubAck(Ack::new(id, reason)), awaited),
            (QoS::ExactlyOnce, Some(id)) => {
                if new {
                    self.session.promise_received(id, awaited);
                }
                // Of one that comes again, nothing more is promised than of the first.
                self.answer(Packet::PubRec(Ack::new(id, reason)), self.session.promise_of(id))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is a QoS 2 message that was taken before. It is not judged again: a refusal would free its identifier
    /// for the client and not for the session, and the client's next message under it would pass for this one.
    fn is_known(&self, publish: &Publish) -> bool {
        publish.qos == QoS::ExactlyOnce && publish.packet_id.is_some_and(|id| self.session.has_received(id))
    }

    pub(super) fn judge(&self, publish: &Publish, topic: &Topic) -> ReasonCode {
        if !may_publish(topic, &self.settings) || !self.standing.may_publish(topic) {
            ReasonCode::NotAuthorized
        } else if publish.check_payload_format().is_err() {
            ReasonCode::PayloadFormatInvalid
        } else {
            ReasonCode::Success
        }
    }

    pub(super) async fn ingest(&mut self, publish: &Publish, topic: Topic) -> Result<Option<Awaited>, End> {
        let pipeline = &self.shared.pipeline;
        let origin = Origin::Client(Arc::clone(&self.agreed.client));
        // Copied, so that a message that is kept does not keep the read buffer.
        let payload = Bytes::copy_from_slice(&publish.payload);
        let mut message = pipeline.message(self.received, origin, topic, payload);
        message.qos = publish.qos;
        message.retain = publish.retain;
        message.properties = publish.properties.as_deref().and_then(said);
        let (receipt, awaited) = self.receipt(publish).unzip();
        self.published = true;
        pipeline.ingest_for(message, receipt).await.map_err(|_closed| End::Stopping)?;
        Ok(awaited)
    }

    /// A receipt for a message whose acknowledgement has to wait.
    pub(super) fn receipt(&self, publish: &Publish) -> Option<(Receipt, Awaited)> {
        let keeper = self.session.keeper.as_ref().filter(|_| publish.qos == QoS::ExactlyOnce);
        let publication = keeper.zip(publish.packet_id).map(|(keeper, id)| keeper.publication(id));
        // A plugin may still have the message when it has been taken in.
        let must_wait = self.shared.stats.asks_for_receipts(publish.retain) || self.shared.pipeline.asks_for_receipts();
        let asked_for = publish.qos != QoS::AtMostOnce && must_wait;
        (publication.is_some() || asked_for).then(|| Receipt::new(Arc::clone(&self.session.told), publication))
    }
}

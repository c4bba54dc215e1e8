//! Acknowledgements in both directions (MQTT 5.0, section 4.3).

use std::num::NonZeroU16;

use super::{InFlight, Session};
use crate::broker::keeper::Keeper;
use crate::codec::{Ack, ReasonCode};
use crate::message::{Awaited, Promise, QoS};

fn is_lost(awaited: &Option<Awaited>) -> bool {
    awaited.as_ref().is_some_and(|awaited| awaited.promise() == Promise::Lost)
}

impl Session {
    /// Notes a QoS 2 message from the client. `Ok(false)`: it has been taken before.
    ///
    /// # Errors
    /// When `limit` such messages wait for their PUBREL.
    pub(in crate::broker) fn receive(&mut self, id: NonZeroU16, limit: usize) -> Result<bool, ReasonCode> {
        if self.has_received(id) {
            return Ok(false);
        }
        self.received.remove(&id);
        if self.received.len() >= limit {
            self.received.retain(|_, awaited| !is_lost(awaited));
        }
        if self.received.len() >= limit {
            return Err(ReasonCode::ReceiveMaximumExceeded);
        }
        self.received.insert(id, None);
        Ok(true)
    }

    /// Whether a QoS 2 message from the client has been taken and waits for its PUBREL. One that was lost on its way has
    /// not: it was never acknowledged, and the client sends it again.
    pub(in crate::broker) fn has_received(&self, id: NonZeroU16) -> bool {
        self.received.get(&id).is_some_and(|awaited| !is_lost(awaited))
    }

    /// Notes what must be safe before a QoS 2 message from the client is acknowledged.
    pub(in crate::broker) fn promise_received(&mut self, id: NonZeroU16, awaited: Option<Awaited>) {
        self.received.insert(id, awaited);
    }

    /// What must be safe before a QoS 2 message from the client is acknowledged once more.
    pub(in crate::broker) fn promise_of(&self, id: NonZeroU16) -> Option<Awaited> {
        self.received.get(&id).cloned().flatten()
    }

    /// Forgets a QoS 2 message from the client: PUBREL has come. With what must be safe before that is acknowledged.
    pub(in crate::broker) fn release(&mut self, id: NonZeroU16) -> (ReasonCode, Option<Awaited>) {
        let known = self.received.remove(&id).is_some();
        let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
        // A PUBREL that comes again is unknown; that the first one was obeyed must be safe all the same.
        let awaited = |keeper: &Keeper| if known { keeper.forget_received(id) } else { keeper.sync() };
        (reason, self.keeper.as_ref().map(awaited))
    }

    pub(super) fn position(&self, id: NonZeroU16, fits: impl Fn(&InFlight) -> bool) -> Option<usize> {
        self.in_flight.iter().position(|sent| sent.id == id && fits(sent))
    }

    /// PUBACK: a message at QoS 1 is done. In any order; what is unknown, or at QoS 2, is ignored.
    pub(in crate::broker) fn acknowledged(&mut self, id: NonZeroU16) {
        if let Some(at) = self.position(id, |sent| sent.parcel.delivery.qos == QoS::AtLeastOnce) {
            self.remove(at);
        }
    }

    /// PUBCOMP: a message at QoS 2 that was released is done. What is unknown, or was not released, is ignored.
    pub(in crate::broker) fn completed(&mut self, id: NonZeroU16) {
        if let Some(at) = self.position(id, |sent| sent.released) {
            self.remove(at);
        }
    }

    /// PUBREC: the client has the message. Says how to answer, if at all, and what must be safe before.
    pub(in crate::broker) fn client_received(&mut self, ack: &Ack) -> Option<(Ack, Option<Awaited>)> {
        let Some(at) = self.position(ack.packet_id, |sent| sent.parcel.delivery.qos == QoS::ExactlyOnce) else {
            let unknown = Ack::new(ack.packet_id, ReasonCode::PacketIdentifierNotFound);
            return (!ack.reason.is_error()).then_some((unknown, None));
        };
        if ack.reason.is_error() {
            self.remove(at);
            return None;
        }
        let sent = self.in_flight.get_mut(at)?;
        if !sent.released {
            sent.released = true;
            let kept = self.keeper.as_ref().zip(sent.parcel.row);
            sent.parcel.gate = kept.map(|(keeper, row)| keeper.release(row));
        }
        Some((Ack::new(ack.packet_id, ReasonCode::Success), sent.parcel.gate.clone()))
    }
}

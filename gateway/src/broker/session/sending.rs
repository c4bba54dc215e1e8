//! From what waits to packets: in order, within the window, and not before it is safe.

use std::borrow::Cow;
use std::num::NonZeroU16;

use bytes::BytesMut;

use super::{InFlight, Session, Terms};
use crate::broker::outbox::{Delivery, Parcel};
use crate::broker::stats::{Drop as Dropped, Stats};
use crate::codec::{self, Ack, CodecError, Packet, PublishProperties, PublishRef, ReasonCode, Version};

/// Writes one message; `Ok(false)` when it is larger than the client takes.
fn write_delivery(
    delivery: &Delivery,
    packet_id: Option<NonZeroU16>,
    dup: bool,
    terms: &mut Terms,
    out: &mut BytesMut,
) -> Result<bool, CodecError> {
    let message = &delivery.routed.message;
    let topic = &message.topic;
    let known = terms.aliases.known(topic);
    let told = if known.is_none() { terms.aliases.free() } else { None };
    let properties = properties(delivery, terms.version, known.or(told));
    let publish = PublishRef {
        dup,
        qos: delivery.qos,
        retain: delivery.retain,
        topic: if known.is_some() { "" } else { topic.as_str() },
        packet_id,
        payload: &message.payload,
        properties: &properties,
    };
    let before = out.len();
    codec::write_publish(terms.version, &publish, out)?;
    if out.len() - before > terms.max_packet {
        out.truncate(before);
        return Ok(false);
    }
    if let Some(alias) = told {
        terms.aliases.told(topic, alias);
    }
    Ok(true)
}

/// The properties of one delivery: those of the message, with what differs from client to client.
fn properties(delivery: &Delivery, version: Version, alias: Option<NonZeroU16>) -> Cow<'_, PublishProperties> {
    if version != Version::V5 {
        return Cow::Owned(PublishProperties::default());
    }
    let shared = delivery.routed.v5();
    if delivery.subscription_id.is_none() && shared.expiry.is_none() && alias.is_none() {
        return Cow::Borrowed(shared);
    }
    let mut own = shared.clone();
    own.expiry = delivery.routed.expiry_left();
    own.topic_alias = alias;
    own.subscription_ids.extend(delivery.subscription_id);
    Cow::Owned(own)
}

impl Session {
    /// Writes what waits until `out` holds `enough` bytes, the window is full or nothing is left.
    pub(in crate::broker) fn fill(&mut self, terms: &mut Terms, out: &mut BytesMut, enough: usize) {
        while out.len() < enough && self.window_open(terms) {
            let again = self.written < self.in_flight.len();
            let went_on = if again { self.write_again(terms, out) } else { self.write_next(terms, out) };
            if !went_on {
                return;
            }
        }
    }

    /// Writes once more what the last connection left in flight.
    pub(super) fn write_again(&mut self, terms: &mut Terms, out: &mut BytesMut) -> bool {
        let Some(sent) = self.in_flight.get(self.written) else { return false };
        if !sent.parcel.is_safe() {
            return false;
        }
        let written = if sent.released {
            codec::write(&Packet::PubRel(Ack::new(sent.id, ReasonCode::Success)), terms.version, out).is_ok()
        } else {
            matches!(write_delivery(&sent.parcel.delivery, Some(sent.id), true, terms, out), Ok(true))
        };
        if written {
            Stats::add(&self.stats.packets_sent, 1);
            self.written += 1;
        } else {
            self.remove(self.written);
            self.stats.dropped(Dropped::TooLargeForClient);
        }
        true
    }

    /// Writes the next message that waits; false when none does, or it may not be sent yet.
    pub(super) fn write_next(&mut self, terms: &mut Terms, out: &mut BytesMut) -> bool {
        let next = self.head.take().or_else(|| self.next_retained()).or_else(|| self.outbox.pop());
        let Some(parcel) = next else { return false };
        if parcel.delivery.routed.is_expired() && !parcel.may_have_begun() {
            self.drop_parcel(&parcel, Dropped::Expired);
            return true;
        }
        let id = parcel.packet_id;
        if !parcel.is_safe() || id.is_some_and(|id| self.in_flight.iter().any(|sent| sent.id == id)) {
            self.head = Some(parcel);
            return false;
        }
        if !matches!(write_delivery(&parcel.delivery, id, parcel.again, terms, out), Ok(true)) {
            self.drop_parcel(&parcel, Dropped::TooLargeForClient);
            return true;
        }
        Stats::add(&self.stats.packets_sent, 1);
        Stats::add(&self.stats.publishes_sent, 1);
        Stats::add(&self.stats.publish_bytes_sent, parcel.delivery.routed.message.payload.len() as u64);
        self.card.message_sent();
        if let Some(id) = id {
            self.in_flight_bytes += parcel.delivery.routed.size();
            self.in_flight.push_back(InFlight { id, parcel, released: false });
            self.written += 1;
        }
        true
    }

    pub(super) fn next_retained(&mut self) -> Option<Parcel> {
        let parcel = self.retained.pop_front()?;
        self.retained_bytes = self.retained_bytes.saturating_sub(parcel.delivery.routed.size());
        Some(parcel)
    }

    /// Whether anything could be written now: the client's window and the session's memory both have room.
    pub(in crate::broker) fn window_open(&self, terms: &Terms) -> bool {
        self.written < terms.window
            && (self.written < self.in_flight.len() || self.in_flight_bytes <= self.outbox.max_bytes)
    }
}

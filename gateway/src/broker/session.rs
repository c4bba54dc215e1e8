//! A session: what the broker remembers of one client, whether the client is there or not (MQTT 5.0, section 4.1).
//!
//! Pure but for the outbox that the hub fills. Turns deliveries into packets and follows their acknowledgement.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use bytes::BytesMut;

use super::aliases::Given;
use super::codec::{self, Ack, CodecError, Packet, PublishProperties, PublishRef, ReasonCode, Version};
use super::outbox::{Delivery, Outbox};
use super::routed::Routed;
use super::stats::{Drop as Dropped, Stats};
use crate::message::{QoS, TopicFilter};

/// A message that was sent and not yet acknowledged to the end.
#[derive(Debug)]
struct InFlight {
    id: NonZeroU16,
    delivery: Delivery,
    /// PUBREC has come and PUBREL has gone: the message itself must not be sent again.
    released: bool,
}

/// What the client's connection allows.
#[derive(Debug)]
pub(super) struct Terms {
    /// Its version of MQTT.
    pub(super) version: Version,
    /// Messages with QoS 1 and 2 that may be in flight towards it.
    pub(super) window: usize,
    /// The largest packet that it takes.
    pub(super) max_packet: usize,
    /// The topic aliases that it has been told.
    pub(super) aliases: Given,
}

/// One client's session. Dropped, it ends: its outbox closes and its subscriptions go.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) outbox: Arc<Outbox>,
    /// Its filters; what goes with each is in the hub.
    pub(super) filters: HashSet<TopicFilter>,
    /// Retained messages that a new subscription brought; they go before the outbox.
    retained: VecDeque<Delivery>,
    /// In the order in which they were sent first.
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// How many of them, from the front, this connection has written.
    written: usize,
    last_id: u16,
    /// QoS 2 messages from the client whose PUBREL has not come.
    received: HashSet<NonZeroU16>,
    stats: Arc<Stats>,
}

impl Session {
    pub(super) fn new(outbox: Arc<Outbox>, stats: Arc<Stats>) -> Self {
        Stats::add(&stats.sessions, 1);
        Self {
            outbox,
            filters: HashSet::new(),
            retained: VecDeque::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            written: 0,
            last_id: 0,
            received: HashSet::new(),
            stats,
        }
    }

    /// Queues retained messages for a new subscription. Policy when more than `most` would wait: the newest are dropped
    /// and counted, or a client that asks again and again and never reads would fill the memory.
    pub(super) fn add_retained(
        &mut self,
        mut kept: Vec<Arc<Routed>>,
        most: usize,
        qos: QoS,
        subscription_id: Option<NonZeroU32>,
    ) {
        let room = most.saturating_sub(self.retained.len());
        if kept.len() > room {
            self.stats.dropped_many(Dropped::QueueFull, (kept.len() - room) as u64);
            kept.truncate(room);
        }
        self.retained.extend(kept.into_iter().map(|routed| Delivery {
            qos: routed.message.qos.min(qos),
            routed,
            retain: true,
            subscription_id,
            share: None,
        }));
    }

    /// Notes a QoS 2 message from the client. `Ok(false)`: it has been taken before.
    ///
    /// # Errors
    /// When `limit` such messages wait for their PUBREL.
    pub(super) fn receive(&mut self, id: NonZeroU16, limit: usize) -> Result<bool, ReasonCode> {
        if self.received.contains(&id) {
            return Ok(false);
        }
        if self.received.len() >= limit {
            return Err(ReasonCode::ReceiveMaximumExceeded);
        }
        Ok(self.received.insert(id))
    }

    /// Forgets a QoS 2 message from the client: PUBREL has come.
    pub(super) fn release(&mut self, id: NonZeroU16) -> ReasonCode {
        if self.received.remove(&id) { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound }
    }

    /// Begins with a new connection: what the last one left unacknowledged is sent again, in its order (section 4.4).
    pub(super) fn connected(&mut self) {
        self.written = 0;
    }

    /// Writes what waits until `out` holds `enough` bytes, the window is full or nothing is left.
    pub(super) fn fill(&mut self, terms: &mut Terms, out: &mut BytesMut, enough: usize) {
        while out.len() < enough && self.window_open(terms) {
            let again = self.written < self.in_flight.len();
            let went_on = if again { self.write_again(terms, out) } else { self.write_next(terms, out) };
            if !went_on {
                return;
            }
        }
    }

    /// Writes once more what the last connection left in flight.
    fn write_again(&mut self, terms: &mut Terms, out: &mut BytesMut) -> bool {
        let Some(sent) = self.in_flight.get(self.written) else { return false };
        let written = if sent.released {
            codec::write(&Packet::PubRel(Ack::new(sent.id, ReasonCode::Success)), terms.version, out).is_ok()
        } else {
            matches!(write_delivery(&sent.delivery, Some(sent.id), true, terms, out), Ok(true))
        };
        if written {
            self.written += 1;
        } else {
            self.remove(self.written);
            self.stats.dropped(Dropped::TooLargeForClient);
        }
        true
    }

    /// Writes the next message that waits; false when none does.
    fn write_next(&mut self, terms: &mut Terms, out: &mut BytesMut) -> bool {
        let Some(delivery) = self.retained.pop_front().or_else(|| self.outbox.pop()) else { return false };
        if delivery.routed.is_expired() {
            self.stats.dropped(Dropped::Expired);
            return true;
        }
        let id = (delivery.qos != QoS::AtMostOnce).then(|| self.next_id());
        if !matches!(write_delivery(&delivery, id, false, terms, out), Ok(true)) {
            self.stats.dropped(Dropped::TooLargeForClient);
            return true;
        }
        Stats::add(&self.stats.publishes_sent, 1);
        if let Some(id) = id {
            self.in_flight_bytes += delivery.routed.size();
            self.in_flight.push_back(InFlight { id, delivery, released: false });
            self.written += 1;
        }
        true
    }

    fn remove(&mut self, at: usize) {
        if let Some(sent) = self.in_flight.remove(at) {
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(sent.delivery.routed.size());
            if at < self.written {
                self.written -= 1;
            }
        }
    }

    /// A free packet identifier. There is one: the window is smaller than their number.
    fn next_id(&mut self) -> NonZeroU16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = NonZeroU16::new(self.last_id)
                && !self.in_flight.iter().any(|sent| sent.id == id)
            {
                return id;
            }
        }
    }

    fn position(&self, id: NonZeroU16, fits: impl Fn(&InFlight) -> bool) -> Option<usize> {
        self.in_flight.iter().position(|sent| sent.id == id && fits(sent))
    }

    /// PUBACK: a message at QoS 1 is done. In any order; what is unknown, or at QoS 2, is ignored.
    pub(super) fn acknowledged(&mut self, id: NonZeroU16) {
        if let Some(at) = self.position(id, |sent| sent.delivery.qos == QoS::AtLeastOnce) {
            self.remove(at);
        }
    }

    /// PUBCOMP: a message at QoS 2 that was released is done. What is unknown, or was not released, is ignored.
    pub(super) fn completed(&mut self, id: NonZeroU16) {
        if let Some(at) = self.position(id, |sent| sent.released) {
            self.remove(at);
        }
    }

    /// PUBREC: the client has the message. Says how to answer, if at all.
    pub(super) fn client_received(&mut self, ack: &Ack) -> Option<Ack> {
        let Some(at) = self.position(ack.packet_id, |sent| sent.delivery.qos == QoS::ExactlyOnce) else {
            let unknown = Ack::new(ack.packet_id, ReasonCode::PacketIdentifierNotFound);
            return (!ack.reason.is_error()).then_some(unknown);
        };
        if ack.reason.is_error() {
            self.remove(at);
            return None;
        }
        if let Some(sent) = self.in_flight.get_mut(at) {
            sent.released = true;
        }
        Some(Ack::new(ack.packet_id, ReasonCode::Success))
    }

    /// Takes what came by shared subscriptions and others could have instead: what waits, and, when the session ends,
    /// what QoS 1 left unacknowledged too. What has QoS 2 is never given to another (section 4.8.2).
    pub(super) fn take_shared(&mut self, ends: bool) -> Vec<Delivery> {
        let mut shared = Vec::new();
        if ends {
            let lost = |sent: &InFlight| sent.delivery.share.is_some() && sent.delivery.qos == QoS::AtLeastOnce;
            let (given_back, kept): (VecDeque<_>, VecDeque<_>) = self.in_flight.drain(..).partition(lost);
            // The session ends with this connection, so nothing of it is written any more.
            self.in_flight = kept;
            shared.extend(given_back.into_iter().map(|sent| sent.delivery));
        }
        shared.extend(self.outbox.take_shared());
        shared
    }

    /// Whether anything could be written now: the client's window and the session's memory both have room.
    pub(super) fn window_open(&self, terms: &Terms) -> bool {
        self.written < terms.window
            && (self.written < self.in_flight.len() || self.in_flight_bytes <= self.outbox.max_bytes)
    }

    /// Whether the client has everything.
    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.retained.is_empty() && self.outbox.is_empty()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let unacknowledged = self.in_flight.len() + self.retained.len() + self.outbox.close();
        if unacknowledged > 0 {
            self.stats.dropped_many(Dropped::SessionEnded, unacknowledged as u64);
        }
        Stats::subtract(&self.stats.sessions, 1);
    }
}

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

//! A session: what the broker remembers of one client, whether the client is there or not (MQTT 5.0, section 4.1).
//!
//! Pure but for the outbox that the hub fills. Turns deliveries into packets and follows their acknowledgement.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::Notify;

mod allowed;

use super::aliases::Given;
use super::codec::{self, Ack, CodecError, Packet, PublishProperties, PublishRef, ReasonCode, Version};
use super::inventory::Listed;
use super::keeper::Keeper;
use super::outbox::{Delivery, Outbox, Parcel};
use super::routed::Routed;
use super::stats::{Drop as Dropped, Stats};
use crate::message::{Awaited, QoS, TopicFilter};

/// A message that was sent and not yet acknowledged to the end.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) id: NonZeroU16,
    pub(super) parcel: Parcel,
    /// PUBREC has come: the message itself must not be sent again. The parcel's gate is before PUBREL now.
    pub(super) released: bool,
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

/// One client's session. Dropped, it ends: its outbox closes and its subscriptions go. What the store has of it goes
/// only with [`end`](Self::end), so that a session that is cut off in the middle is there after a restart.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) outbox: Arc<Outbox>,
    /// What operators see of it.
    pub(super) card: Listed,
    /// Told when something of the session has become safe.
    pub(super) told: Arc<Notify>,
    /// Its hand on the store, if it is kept over a restart.
    pub(super) keeper: Option<Keeper>,
    /// Its filters; what goes with each is in the hub.
    pub(super) filters: HashSet<TopicFilter>,
    /// Retained messages that a new subscription brought; they go before the outbox.
    retained: VecDeque<Parcel>,
    retained_bytes: usize,
    /// What comes next and has to wait for the disk, or for its packet identifier.
    head: Option<Parcel>,
    /// In the order in which they were sent first.
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// How many of them, from the front, this connection has written.
    written: usize,
    /// QoS 2 messages from the client whose PUBREL has not come, each with what must be safe before it is acknowledged.
    received: HashMap<NonZeroU16, Option<Awaited>>,
    stats: Arc<Stats>,
}

impl Session {
    pub(super) fn new(outbox: Arc<Outbox>, card: Listed, stats: Arc<Stats>) -> Self {
        Stats::add(&stats.sessions, 1);
        Self {
            outbox,
            card,
            told: Arc::default(),
            keeper: None,
            filters: HashSet::new(),
            retained: VecDeque::new(),
            retained_bytes: 0,
            head: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            written: 0,
            received: HashMap::new(),
            stats,
        }
    }

    /// From now on the session is kept over a restart.
    pub(super) fn keep(&mut self, keeper: Keeper) {
        self.outbox.keep(keeper.clone());
        self.keeper = Some(keeper);
    }

    /// Puts back what was in flight to its end before a restart: only PUBREL has still to go.
    pub(super) fn restore_released(&mut self, id: NonZeroU16, mut parcel: Parcel) {
        self.outbox.go_on_after(id);
        let size = parcel.delivery.routed.size();
        parcel.delivery.room = Some(self.outbox.purse.take_anyway(size));
        self.in_flight_bytes += size;
        self.in_flight.push_back(InFlight { id, parcel, released: true });
    }

    /// Puts back the QoS 2 messages from the client that had not been released before a restart.
    pub(super) fn restore_received(&mut self, ids: Vec<NonZeroU16>) {
        self.received = ids.into_iter().map(|id| (id, None)).collect();
    }

    /// Ends the session for good, in the store too.
    pub(super) fn end(mut self) {
        let waiting = self.outbox.close();
        let in_flight = std::mem::take(&mut self.in_flight);
        let retained = std::mem::take(&mut self.retained);
        let parcels = in_flight.into_iter().map(|sent| sent.parcel).chain(self.head.take()).chain(retained);
        let parcels: Vec<_> = parcels.chain(waiting).collect();
        self.stats.dropped_many(Dropped::SessionEnded, parcels.len() as u64);
        if let Some(keeper) = &self.keeper {
            keeper.end(parcels.iter().filter_map(|parcel| parcel.row));
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
        for routed in kept {
            let room = self.outbox.purse.take(routed.size());
            if room.is_none() {
                self.stats.dropped(Dropped::AllQueuesFull);
                continue;
            }
            self.retained_bytes += routed.size();
            let qos = routed.message.qos.min(qos);
            let delivery = Delivery { qos, routed, retain: true, subscription_id, share: None, room };
            self.retained.push_back(self.outbox.make_out(delivery));
        }
    }

    /// Notes a QoS 2 message from the client. `Ok(false)`: it has been taken before.
    ///
    /// # Errors
    /// When `limit` such messages wait for their PUBREL.
    pub(super) fn receive(&mut self, id: NonZeroU16, limit: usize) -> Result<bool, ReasonCode> {
        if self.received.contains_key(&id) {
            return Ok(false);
        }
        if self.received.len() >= limit {
            return Err(ReasonCode::ReceiveMaximumExceeded);
        }
        Ok(self.received.insert(id, None).is_none())
    }

    /// Notes what must be safe before a QoS 2 message from the client is acknowledged.
    pub(super) fn promise_received(&mut self, id: NonZeroU16, awaited: Option<Awaited>) {
        self.received.insert(id, awaited);
    }

    /// What must be safe before a QoS 2 message from the client is acknowledged once more.
    pub(super) fn promise_of(&self, id: NonZeroU16) -> Option<Awaited> {
        self.received.get(&id).cloned().flatten()
    }

    /// Forgets a QoS 2 message from the client: PUBREL has come. With what must be safe before that is acknowledged.
    pub(super) fn release(&mut self, id: NonZeroU16) -> (ReasonCode, Option<Awaited>) {
        let known = self.received.remove(&id).is_some();
        let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
        // A PUBREL that comes again is unknown; that the first one was obeyed must be safe all the same.
        let awaited = |keeper: &Keeper| if known { keeper.forget_received(id) } else { keeper.sync() };
        (reason, self.keeper.as_ref().map(awaited))
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
    fn write_next(&mut self, terms: &mut Terms, out: &mut BytesMut) -> bool {
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

    fn next_retained(&mut self) -> Option<Parcel> {
        let parcel = self.retained.pop_front()?;
        self.retained_bytes = self.retained_bytes.saturating_sub(parcel.delivery.routed.size());
        Some(parcel)
    }

    /// Has operators see how much waits.
    pub(super) fn show(&self) {
        self.card.waiting(self.in_flight.len(), self.retained.len(), self.retained_bytes);
    }

    fn drop_parcel(&self, parcel: &Parcel, why: Dropped) {
        self.stats.dropped(why);
        self.forget(parcel);
    }

    fn forget(&self, parcel: &Parcel) {
        if let Some(keeper) = &self.keeper {
            keeper.forget(parcel);
        }
    }

    fn remove(&mut self, at: usize) {
        if let Some(sent) = self.in_flight.remove(at) {
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(sent.parcel.delivery.routed.size());
            self.forget(&sent.parcel);
            if at < self.written {
                self.written -= 1;
            }
        }
    }

    fn position(&self, id: NonZeroU16, fits: impl Fn(&InFlight) -> bool) -> Option<usize> {
        self.in_flight.iter().position(|sent| sent.id == id && fits(sent))
    }

    /// PUBACK: a message at QoS 1 is done. In any order; what is unknown, or at QoS 2, is ignored.
    pub(super) fn acknowledged(&mut self, id: NonZeroU16) {
        if let Some(at) = self.position(id, |sent| sent.parcel.delivery.qos == QoS::AtLeastOnce) {
            self.remove(at);
        }
    }

    /// PUBCOMP: a message at QoS 2 that was released is done. What is unknown, or was not released, is ignored.
    pub(super) fn completed(&mut self, id: NonZeroU16) {
        if let Some(at) = self.position(id, |sent| sent.released) {
            self.remove(at);
        }
    }

    /// PUBREC: the client has the message. Says how to answer, if at all, and what must be safe before.
    pub(super) fn client_received(&mut self, ack: &Ack) -> Option<(Ack, Option<Awaited>)> {
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

    /// Takes what came by shared subscriptions and others could have instead: what waits, and, when the session ends,
    /// what QoS 1 left unacknowledged too. What has QoS 2 is never given to another (section 4.8.2).
    pub(super) fn take_shared(&mut self, ends: bool) -> Vec<Parcel> {
        let mut shared = Vec::new();
        if ends {
            let lost =
                |sent: &InFlight| sent.parcel.delivery.share.is_some() && sent.parcel.delivery.qos == QoS::AtLeastOnce;
            let (given_back, kept): (VecDeque<_>, VecDeque<_>) = self.in_flight.drain(..).partition(lost);
            // The session ends with this connection, so nothing of it is written any more.
            self.in_flight = kept;
            shared.extend(given_back.into_iter().map(|sent| sent.parcel));
        }
        shared.extend(self.head.take_if(|parcel| parcel.is_to_share()));
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
        self.in_flight.is_empty() && self.head.is_none() && self.retained.is_empty() && self.outbox.is_empty()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let head = usize::from(self.head.is_some());
        let sent_or_kept = self.in_flight.drain(..).count() + self.retained.drain(..).count();
        let unacknowledged = sent_or_kept + head + self.outbox.close().len();
        self.outbox.purse.settle();
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

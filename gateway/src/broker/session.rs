//! A session: what the broker remembers of one client, whether the client is there or not (MQTT 5.0, section 4.1).
//!
//! Pure but for the outbox that the hub fills. `sending.rs` turns deliveries into packets, `handshakes.rs` follows their
//! acknowledgement, `allowed.rs` lets go what its client may no longer have.

mod allowed;
mod handshakes;
mod sending;

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use tokio::sync::Notify;

use super::aliases::Given;
use super::inventory::Listed;
use super::keeper::Keeper;
use super::outbox::{Delivery, Outbox, Parcel};
use super::routed::Routed;
use super::stats::{Drop as Dropped, Stats};
use crate::codec::Version;
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
    /// Told when something of the session has become safe. The same as the outbox's, so that a connection waits for one.
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
            told: Arc::clone(&outbox.filled),
            outbox,
            card,
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

    /// Begins with a new connection: what the last one left unacknowledged is sent again, in its order (section 4.4).
    pub(super) fn connected(&mut self) {
        self.written = 0;
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

//! Putting back at the start what the store has kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::access::{Access, Who};
use super::accounts::Accounts;
use super::hub::Hub;
use super::keeper::Keeper;
use super::outbox::{Delivery, Parcel};
use super::registry::Registry;
use super::retained::Retained;
use super::routed::Routed;
use super::share;
use super::stats::{Drop as Dropped, Stats};
use super::subscribing;
use super::table::Subscriber;
use crate::message::{Message, MessageId, Received};
use crate::store::{QueuedRow, Store, StoredSession};

/// Where everything is put back to.
pub(super) struct Restorer<'a> {
    pub(super) hub: &'a mut Hub,
    pub(super) registry: &'a Registry,
    pub(super) store: &'a Store,
    pub(super) stats: &'a Arc<Stats>,
    pub(super) accounts: &'a Arc<Accounts>,
    pub(super) age: Age,
}

/// Tells how long ago something was, where the wall clock can be trusted at both ends. Where it can't, no time has
/// passed: it is better to keep a message too long than to lose it to a clock that began in another year.
pub(super) struct Age {
    now: Received,
    /// One message in many queues is one in memory, as it was before.
    routed: HashMap<MessageId, Arc<Routed>>,
}

impl Age {
    pub(super) fn of(now: Received) -> Self {
        Self { now, routed: HashMap::new() }
    }

    fn since(&self, then: Option<SystemTime>) -> Duration {
        let passed = self.now.trusted().zip(then).and_then(|(now, then)| now.duration_since(then).ok());
        passed.unwrap_or_default()
    }

    /// When that was; now, where nobody knows.
    fn moment(&self, then: Option<SystemTime>) -> Received {
        then.map_or(self.now, |wall| Received { wall, ..self.now })
    }

    fn routed(&mut self, message: &Arc<Message>) -> Arc<Routed> {
        let age = self.since(message.received.trusted());
        let same = self.routed.get(&message.id).filter(|known| Arc::ptr_eq(&known.message, message));
        if let Some(known) = same {
            return Arc::clone(known);
        }
        let routed = Arc::new(Routed::aged(Arc::clone(message), age));
        self.routed.insert(message.id, Arc::clone(&routed));
        routed
    }
}

/// Puts the retained messages back.
pub(super) fn retained(stored: &[Arc<Message>], retained: &mut Retained, age: &mut Age) {
    for message in stored {
        retained.restore(&age.routed(message));
    }
}

impl Restorer<'_> {
    /// Puts a session back, with its subscriptions and what waits in it, as one whose client is away.
    pub(super) fn session(&mut self, stored: StoredSession) {
        let mut row = stored.row;
        let mut session = self.registry.empty(&row.client);
        let access = Access::new(Who::of_row(row.user.as_deref()), Arc::clone(&row.client), Arc::clone(self.accounts));
        session.outbox.owner.get_or_init(|| Arc::new(access));
        session.keep(Keeper::resume(self.store, stored.id, Arc::clone(&session.told), Arc::clone(self.stats)));
        session.restore_received(stored.received);
        for (number, queued) in stored.queued {
            let (packet_id, released) = (queued.packet_id, queued.released);
            let parcel = self.parcel(number, &queued);
            if released {
                session.restore_released(packet_id, parcel);
            } else {
                session.outbox.restore(parcel);
            }
        }
        let lasts = row.expiry.saturating_sub(self.age.since(row.left));
        if lasts.is_zero() {
            return session.end();
        }
        for (name, options) in stored.subscriptions {
            let (filter, group) = subscribing::parts(&name);
            self.hub.restore(&filter, group.as_ref(), Subscriber::new(&session.outbox, options));
            session.card.subscribed(name.clone(), options.qos);
            session.filters.insert(name);
        }
        if row.left.is_none() {
            // A client that was there when the power went has been away since, and not anew with every start.
            row.left = self.age.now.trusted();
            session.keeper.iter().for_each(|keeper| keeper.update(row.clone()));
        }
        let user = Who::of_row(row.user.as_deref()).name().map(Into::into);
        session.card.restored(self.age.moment(row.left), user, row.expiry);
        session.show();
        self.registry.restore(session, lasts);
    }

    /// Gives messages of shared subscriptions that nobody had when the power went to those who are left; but not what
    /// another may have begun to receive with QoS 2 (MQTT 5.0, section 4.8.2).
    pub(super) fn homeless(&mut self, stored: Vec<(u64, QueuedRow)>) {
        for (number, queued) in stored {
            let parcel = self.parcel(number, &queued);
            if parcel.is_to_share() {
                self.hub.redistribute(&parcel);
            } else {
                self.stats.dropped(Dropped::SessionEnded);
                self.store.forget(number);
            }
        }
    }

    fn parcel(&mut self, row: u64, queued: &QueuedRow) -> Parcel {
        let share = queued.share.as_ref().and_then(|name| share::parse(name.as_str()).ok().flatten());
        let delivery = Delivery {
            routed: self.age.routed(&queued.message),
            qos: queued.qos,
            retain: queued.retain,
            subscription_id: queued.subscription_id,
            share: share.map(Arc::new),
            room: None,
        };
        Parcel { delivery, packet_id: Some(queued.packet_id), row: Some(row), gate: None, again: true }
    }
}

//! Putting back at the start what the store has kept.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::hub::Hub;
use super::keeper::Keeper;
use super::outbox::{Delivery, Parcel};
use super::registry::Registry;
use super::retained::Retained;
use super::routed::Routed;
use super::share;
use super::stats::Stats;
use super::subscribing;
use super::table::Subscriber;
use crate::message::{ClockQuality, Message, Received};
use crate::store::{QueuedRow, Store, StoredSession};

/// Tells how long ago something was, where the wall clock can be trusted at both ends. Where it can't, no time has
/// passed: it is better to keep a message too long than to lose it to a clock that began in another year.
pub(super) struct Age(Received);

impl Age {
    pub(super) fn of(now: Received) -> Self {
        Self(now)
    }

    fn since(&self, then: SystemTime) -> Duration {
        let trusted = self.0.clock == ClockQuality::Synchronised;
        let passed = trusted.then(|| self.0.wall.duration_since(then).ok()).flatten();
        passed.unwrap_or_default()
    }

    fn routed(&self, message: Arc<Message>) -> Arc<Routed> {
        let known = message.received.clock == ClockQuality::Synchronised;
        let age = if known { self.since(message.received.wall) } else { Duration::ZERO };
        Arc::new(Routed::aged(message, age))
    }
}

/// Puts the retained messages back.
pub(super) fn retained(stored: Vec<Arc<Message>>, retained: &mut Retained, age: &Age) {
    for message in stored {
        retained.restore(&age.routed(message));
    }
}

/// Puts a session back, with its subscriptions and what waits in it, as one whose client is away.
pub(super) fn session(
    stored: StoredSession,
    hub: &mut Hub,
    registry: &Registry,
    (store, stats): (&Store, &Arc<Stats>),
    age: &Age,
) {
    let row = stored.row;
    let mut session = registry.empty(&row.client);
    session.keep(Keeper::resume(store, stored.id, Arc::clone(&session.told), Arc::clone(stats)));
    session.restore_received(stored.received);
    for (number, queued) in stored.queued {
        let (packet_id, released) = (queued.packet_id, queued.released);
        let parcel = parcel(number, queued, age);
        if released {
            session.restore_released(packet_id, parcel);
        } else {
            session.outbox.restore(parcel);
        }
    }
    // A client that was there when the power went has been away only since.
    let away = row.left.map_or(Duration::ZERO, |left| age.since(left));
    let lasts = row.expiry.saturating_sub(away);
    if lasts.is_zero() {
        return session.end();
    }
    for (name, options) in stored.subscriptions {
        let (filter, group) = subscribing::parts(&name);
        hub.restore(&filter, group.as_ref(), Subscriber::new(&session.outbox, options));
        session.filters.insert(name);
    }
    registry.restore(session, lasts);
}

fn parcel(row: u64, queued: QueuedRow, age: &Age) -> Parcel {
    let share = queued.share.as_ref().and_then(|name| share::parse(name.as_str()).ok().flatten());
    let delivery = Delivery {
        routed: age.routed(queued.message),
        qos: queued.qos,
        retain: queued.retain,
        subscription_id: queued.subscription_id,
        share: share.map(Arc::new),
    };
    Parcel { delivery, packet_id: Some(queued.packet_id), row: Some(row), gate: None, again: true }
}

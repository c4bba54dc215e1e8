//! Keeping a session over a restart: its hand on the store.

use std::num::NonZeroU16;
use std::sync::Arc;

use tokio::sync::Notify;

use super::outbox::{Delivery, Parcel};
use super::stats::Stats;
use crate::message::{Awaited, Publication, QoS, Receipt, TopicFilter};
use crate::store::{QueuedRow, SessionRow, Store, SubscriptionRow};

/// A kept session's number in the store, and whom to tell when something of it is safe. A clone is the same session.
#[derive(Clone)]
pub(super) struct Keeper {
    store: Store,
    session: u64,
    told: Arc<Notify>,
    stats: Arc<Stats>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Begins to keep a session.
    pub(super) fn begin(store: &Store, row: SessionRow, told: Arc<Notify>, stats: Arc<Stats>) -> Self {
        Self::resume(store, store.begin_session(row), told, stats)
    }

    /// Goes on with a session that was found in the store.
    pub(super) fn resume(store: &Store, session: u64, told: Arc<Notify>, stats: Arc<Stats>) -> Self {
        Stats::add(&stats.sessions_kept, 1);
        Self { store: store.clone(), session, told, stats }
    }

    /// Notes what has changed of the session.
    pub(super) fn update(&self, row: SessionRow) {
        self.store.update_session(self.session, row);
    }

    /// Lets the session go, with the rows of all that still waits in it.
    pub(super) fn end(&self, rows: impl Iterator<Item = u64>) {
        self.store.end_session(self.session);
        rows.for_each(|row| self.store.forget(row));
        Stats::subtract(&self.stats.sessions_kept, 1);
    }

    fn promise(&self, publication: Option<Publication>) -> (Receipt, Awaited) {
        Receipt::new(Arc::clone(&self.told), publication)
    }

    /// Keeps a delivery. `present` says that the client is there. Gives the row, and for QoS 2 what must be on disk
    /// before the message may be sent: after a power cut it has to come with the same packet identifier again, and no
    /// other message with this one.
    pub(super) fn keep(
        &self,
        delivery: &Delivery,
        packet_id: NonZeroU16,
        receipts: &[Receipt],
        present: bool,
    ) -> (u64, Option<Awaited>) {
        let mut receipts = receipts.to_vec();
        let mut gate = None;
        if delivery.qos == QoS::ExactlyOnce {
            let (receipt, awaited) = self.promise(None);
            receipts.push(receipt);
            gate = Some(awaited);
        }
        let row = QueuedRow {
            session: self.session,
            packet_id,
            qos: delivery.qos,
            retain: delivery.retain,
            subscription_id: delivery.subscription_id,
            share: delivery.share.as_ref().and_then(|shared| shared.name()),
            released: false,
            message: Arc::clone(&delivery.routed.message),
        };
        (self.store.queue(row, receipts, present && gate.is_none()), gate)
    }

    /// The client has it, or it was dropped.
    pub(super) fn forget(&self, parcel: &Parcel) {
        if let Some(row) = parcel.row {
            self.store.forget(row);
        }
    }

    /// The client has received a QoS 2 message. It may be released when that is on disk.
    pub(super) fn release(&self, row: u64) -> Awaited {
        let (receipt, awaited) = self.promise(None);
        self.store.release(row, receipt);
        awaited
    }

    /// The client has released a QoS 2 message. Its identifier is free when that is on disk.
    pub(super) fn forget_received(&self, packet_id: NonZeroU16) -> Awaited {
        let (receipt, awaited) = self.promise(None);
        self.store.forget_received(self.session, packet_id, receipt);
        awaited
    }

    /// That all changes so far are safe.
    pub(super) fn sync(&self) -> Awaited {
        let (receipt, awaited) = self.promise(None);
        self.store.sync(receipt);
        awaited
    }

    /// The QoS 2 publication of this session's client with this packet identifier.
    pub(super) fn publication(&self, packet_id: NonZeroU16) -> Publication {
        Publication { session: self.session, packet_id }
    }

    /// Keeps a subscription, or with `None` lets it go.
    pub(super) fn subscribe(&self, name: &TopicFilter, row: Option<SubscriptionRow>) -> Awaited {
        let (receipt, awaited) = self.promise(None);
        self.store.subscribe(self.session, name, row, receipt);
        awaited
    }
}

//! The desk: who wants what and what is retained, and handing a message on to them.
//!
//! The hub works at it, and so does each publisher's own task where its message needs no router ([`ShortWay`]). Whoever
//! has the lock never waits for anything. Matches nothing itself.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::broker::outbox::NotTaken;
use crate::broker::retained::Retained;
use crate::broker::routed::Routed;
use crate::broker::router::FilterId;
use crate::broker::share::Shared;
use crate::broker::stats::Stats;
use crate::broker::table::Table;
use crate::message::Receipt;
use crate::pipeline::{Delivered, FANOUT_QUEUE, ShortWay};
use crate::store::Store;

/// Messages that may go the short way between two windows. Policy: what comes then goes the long way, where publishers
/// wait for the hub, and the hub's turn comes after those of the subscribers: or publishers alone could fill their queues.
const IN_A_ROW: usize = FANOUT_QUEUE;

/// A message under way, with what its publisher waits for.
pub(super) struct Slot {
    pub(super) routed: Arc<Routed>,
    receipt: Option<Receipt>,
}

/// See the module's head.
pub(super) struct Desk {
    pub(super) table: Table,
    pub(super) retained: Retained,
    store: Store,
    stats: Arc<Stats>,
    /// A window is under way, and with it a group of changes in the store.
    in_window: bool,
    /// Messages that went the short way since the last window.
    in_a_row: usize,
}

/// Nobody who has the lock can leave the desk half changed: what is done to it are single steps.
pub(super) fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(super) fn new(table: Table, retained: Retained, store: Store, stats: Arc<Stats>) -> Self {
        Self { table, retained, store, stats, in_window: false, in_a_row: 0 }
    }

    /// Begins a window. What one message leaves behind reaches the disk together, or a power cut could halve it.
    pub(super) fn begin(&mut self) {
        self.in_window = true;
        self.in_a_row = 0;
        self.store.open_group();
    }

    /// Takes a message, and retains it if it wants that.
    pub(super) fn take(&mut self, Delivered { message, receipt }: Delivered) -> Slot {
        let routed = Arc::new(Routed::new(message));
        if routed.message.retain {
            self.retained.set(&routed, receipt.as_ref());
        }
        Slot { routed, receipt }
    }

    /// Gives a message to those who have a filter that matches it.
    pub(super) fn give(&mut self, Slot { routed, receipt }: &Slot, filter: FilterId) {
        let Some(entry) = self.table.entries.get_mut(&filter) else { return };
        let receipts = receipt.as_slice();
        let message = &routed.message;
        let topic = message.topic.as_str();
        let mut ended = false;
        for subscriber in &entry.subscribers {
            if subscriber.no_local && message.origin.is_client(&subscriber.outbox.client) {
                continue;
            }
            if !subscriber.scope.allows(topic) {
                self.stats.count(Err(NotTaken::NotAllowed));
                continue;
            }
            let taken = subscriber.outbox.push(subscriber.delivery(routed, None), true, receipts);
            ended |= taken == Err(NotTaken::Ended);
            self.stats.count(taken);
        }
        for group in &mut entry.groups {
            let share = Arc::new(Shared { group: Arc::clone(&group.name), filter: entry.filter.clone() });
            let taken = group.give(topic, |member| member.delivery(routed, Some(Arc::clone(&share))), receipts);
            ended |= taken == Err(NotTaken::Ended);
            self.stats.count(taken);
        }
        if ended {
            entry.remove_ended();
        }
    }

    /// Ends what was begun: all of it has been handed on.
    pub(super) fn end(&mut self, window: impl Iterator<Item = Slot>) {
        for receipt in window.filter_map(|slot| slot.receipt) {
            receipt.end(|note, receipt| self.store.note(note, receipt));
        }
        self.store.close_group();
        self.in_window = false;
    }

    pub(super) fn show_filters(&self) {
        self.stats.filters.store(self.table.ids.len() as u64, Ordering::Relaxed);
    }
}

impl ShortWay for Mutex<Desk> {
    /// A topic that was matched before needs no router. This is a window of one message.
    fn hand_on(&self, delivered: Delivered) -> Result<(), Delivered> {
        // Whoever else is at the desk just now is waited for on the long way, not here.
        let Ok(mut desk) = self.try_lock() else { return Err(delivered) };
        if desk.in_window || desk.in_a_row >= IN_A_ROW {
            return Err(delivered);
        }
        let Some(filters) = desk.table.known.of(&delivered.message.topic) else { return Err(delivered) };
        desk.in_a_row += 1;
        desk.store.open_group();
        let slot = desk.take(delivered);
        for filter in filters.iter() {
            desk.give(&slot, *filter);
        }
        desk.end(std::iter::once(slot));
        Ok(())
    }
}

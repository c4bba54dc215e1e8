//! Retained messages: the last one of each topic that asked for it, in memory and in the store, in bounded space.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::routed::Routed;
use super::stats::{Drop, Stats};
use crate::message::{Origin, Receipt, Topic, TopicFilter};
use crate::store::Store;

/// Policy when full: the newcomer is not retained, and that is counted. What its topic held before goes all the same, since
/// an outdated value would mislead.
pub(super) struct Retained {
    kept: BTreeMap<Topic, Arc<Routed>>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
    store: Store,
    stats: Arc<Stats>,
}

impl Retained {
    pub(super) fn new(max_messages: usize, max_bytes: usize, store: Store, stats: Arc<Stats>) -> Self {
        Self { kept: BTreeMap::new(), bytes: 0, max_messages, max_bytes, store, stats }
    }

    /// Puts back what was kept before a restart, as far as today's limits allow.
    pub(super) fn restore(&mut self, routed: &Arc<Routed>) {
        if !self.keep(routed) {
            self.store.clear_retained(&routed.message.topic, None);
        }
    }

    /// Keeps a message that was published with the retain flag, or clears its topic when it is empty
    /// (MQTT 5.0, section 3.3.1.3).
    pub(super) fn set(&mut self, routed: &Arc<Routed>, receipt: Option<&Receipt>) {
        let message = &routed.message;
        let old = self.kept.remove(&message.topic);
        self.bytes -= old.as_ref().map_or(0, |old| old.size());
        let stored = old.is_some_and(|old| is_stored(&old));
        let kept = !message.payload.is_empty() && self.keep(routed);
        if kept && is_stored(routed) {
            self.store.retain(message, !stored, receipt.cloned());
        } else if stored {
            self.store.clear_retained(&message.topic, receipt.cloned());
        }
        self.show();
    }

    /// Keeps a message, if there is room.
    fn keep(&mut self, routed: &Arc<Routed>) -> bool {
        let room = self.kept.len() < self.max_messages && self.bytes + routed.size() <= self.max_bytes;
        if room {
            self.bytes += routed.size();
            self.kept.insert(routed.message.topic.clone(), Arc::clone(routed));
        } else {
            self.stats.dropped(Drop::RetainedFull);
        }
        room
    }

    /// Lets go what has expired, so that it holds up nobody's room.
    pub(super) fn purge(&mut self) {
        let (bytes, store) = (&mut self.bytes, &self.store);
        self.kept.retain(|topic, routed| {
            let expired = routed.is_expired();
            if expired {
                *bytes -= routed.size();
                if is_stored(routed) {
                    store.clear_retained(topic, None);
                }
            }
            !expired
        });
        self.show();
    }

    fn show(&self) {
        self.stats.retained.store(self.kept.len() as u64, Ordering::Relaxed);
        self.stats.retained_bytes.store(self.bytes as u64, Ordering::Relaxed);
    }

    /// What is kept under a filter and has not expired.
    pub(super) fn matching(&self, filter: &TopicFilter) -> Vec<Arc<Routed>> {
        let pattern = filter.as_str();
        if !pattern.contains(['+', '#']) {
            return self.kept.get(pattern).filter(|r| !r.is_expired()).cloned().into_iter().collect();
        }
        let found = self.kept.values().filter(|r| filter.matches(r.message.topic.as_str()) && !r.is_expired());
        found.cloned().collect()
    }
}

/// The gateway's own states are those of this run. The next one says them anew, and one that it does not say would
/// mislead.
fn is_stored(routed: &Routed) -> bool {
    routed.message.origin != Origin::Gateway
}

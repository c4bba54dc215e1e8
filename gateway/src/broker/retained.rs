//! Retained messages: the last one of each topic that asked for it, in memory, in bounded space.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::routed::Routed;
use super::stats::{Drop, Stats};
use crate::message::{Topic, TopicFilter};

/// Policy when full: the newcomer is not retained, and that is counted. What its topic held before goes all the same, since
/// an outdated value would mislead.
#[derive(Debug)]
pub(super) struct Retained {
    kept: BTreeMap<Topic, Arc<Routed>>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
    stats: Arc<Stats>,
}

impl Retained {
    pub(super) fn new(max_messages: usize, max_bytes: usize, stats: Arc<Stats>) -> Self {
        Self { kept: BTreeMap::new(), bytes: 0, max_messages, max_bytes, stats }
    }

    /// Keeps a message that was published with the retain flag, or clears its topic when it is empty
    /// (MQTT 5.0, section 3.3.1.3).
    pub(super) fn set(&mut self, routed: &Arc<Routed>) {
        let topic = &routed.message.topic;
        if let Some(old) = self.kept.remove(topic) {
            self.bytes -= old.size();
        }
        if !routed.message.payload.is_empty() {
            if self.kept.len() < self.max_messages && self.bytes + routed.size() <= self.max_bytes {
                self.bytes += routed.size();
                self.kept.insert(topic.clone(), Arc::clone(routed));
            } else {
                self.stats.dropped(Drop::RetainedFull);
            }
        }
        self.stats.retained.store(self.kept.len() as u64, std::sync::atomic::Ordering::Relaxed);
    }

    /// Lets go what has expired, so that it holds up nobody's room.
    pub(super) fn purge(&mut self) {
        let bytes = &mut self.bytes;
        self.kept.retain(|_, routed| {
            let expired = routed.is_expired();
            if expired {
                *bytes -= routed.size();
            }
            !expired
        });
        self.stats.retained.store(self.kept.len() as u64, std::sync::atomic::Ordering::Relaxed);
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

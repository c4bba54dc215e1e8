//! A window: messages that are matched together and handed on.

use std::sync::Arc;
use std::time::Instant;

use super::{Hub, Slot};
use crate::broker::outbox::NotTaken;
use crate::broker::routed::Routed;
use crate::broker::router::{Arrival, FilterId, PATIENCE, RouterFailure};
use crate::broker::share::Shared;
use crate::pipeline::Delivered;
use crate::supervisor::UnitError;

impl Hub {
    /// Publishes a batch as tickets, with a barrier behind them.
    pub(in crate::broker) async fn open_window(&mut self, batch: &mut Vec<Delivered>) -> Result<(), UnitError> {
        // A batch that is new in part goes to the router as a whole, so that all messages keep their order.
        let known = self.table.known.all(batch.iter().map(|delivered| &delivered.message.topic));
        // What one message leaves behind reaches the disk together, or a power cut could halve it.
        self.store.open_group();
        for Delivered { message, receipt } in batch.drain(..) {
            let routed = Arc::new(Routed::new(message));
            if routed.message.retain {
                self.retained.set(&routed, receipt.as_ref());
            }
            if known.is_none() {
                self.link.publish(routed.message.topic.as_str(), self.window.len());
            }
            self.window.push(Slot { routed, receipt });
        }
        match known {
            Some(matches) => self.hand_on_known(&matches).await,
            None => self.send_window().await,
        }
    }

    /// Hands a whole window on without the router, which has matched each of its topics before.
    pub(super) async fn hand_on_known(&mut self, matches: &[Arc<[FilterId]>]) -> Result<(), UnitError> {
        for (slot, filters) in matches.iter().enumerate() {
            for filter in filters.iter() {
                if let Err(error) = self.hand_on(slot, *filter) {
                    self.deadline = Some(Instant::now() + PATIENCE);
                    return self.replace_router(&error).await;
                }
            }
        }
        self.close_window();
        Ok(())
    }

    /// All that was in the window has been handed on.
    pub(super) fn close_window(&mut self) {
        for receipt in self.window.drain(..).filter_map(|slot| slot.receipt) {
            receipt.end(|publication, receipt| self.store.receive(publication, receipt));
        }
        self.store.close_group();
        self.handed_on.clear();
        self.handed_on_before.clear();
    }

    pub(super) async fn send_window(&mut self) -> Result<(), UnitError> {
        self.deadline = Some(Instant::now() + PATIENCE);
        match self.link.flush() {
            Ok(()) => Ok(()),
            Err(error) => self.replace_router(&error).await,
        }
    }

    pub(super) async fn arrived(&mut self, arrival: Result<Arrival, RouterFailure>) -> Result<(), UnitError> {
        match arrival {
            Ok(Arrival::Match { slot, filter }) => {
                // It makes progress, however much there is to match.
                self.deadline = Some(Instant::now() + PATIENCE);
                match self.hand_on(slot, filter) {
                    Ok(()) => Ok(()),
                    Err(error) => self.replace_router(&error).await,
                }
            }
            Ok(Arrival::Barrier) => {
                self.deadline = None;
                self.failures = 0;
                if self.handed_on_before.is_empty() {
                    let topics = self.window.iter().map(|slot| &slot.routed.message.topic);
                    self.table.known.learn(topics, &self.handed_on);
                }
                self.close_window();
                self.tend_router().await
            }
            Err(error) => self.replace_router(&error).await,
        }
    }

    /// Gives one message to the subscribers of one filter.
    pub(super) fn hand_on(&mut self, slot: usize, filter: FilterId) -> Result<(), RouterFailure> {
        let (Some(Slot { routed, receipt }), Some(entry)) =
            (self.window.get(slot), self.table.entries.get_mut(&filter))
        else {
            return Err(RouterFailure::astray());
        };
        let receipts = receipt.as_slice();
        let message = &routed.message;
        let topic = message.topic.as_str();
        if !entry.filter.matches(topic) {
            // To the router a wildcard matches a `$` topic, which it must not (section 4.7.2). Anything else would be a
            // message for somebody whom it does not concern.
            return if topic.starts_with('$') { Ok(()) } else { Err(RouterFailure::astray()) };
        }
        if self.handed_on_before.contains(&(slot, filter)) {
            return Ok(());
        }
        self.handed_on.push((slot, filter));
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
        Ok(())
    }
}

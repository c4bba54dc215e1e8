//! A window: messages that are matched together and handed on.

use std::time::Instant;

use super::Hub;
use super::desk::lock;
use crate::broker::router::{Arrival, FilterId, PATIENCE, RouterFailure};
use crate::pipeline::Delivered;
use crate::supervisor::UnitError;

impl Hub {
    /// Hands a batch on, or publishes it as tickets with a barrier behind them.
    pub(in crate::broker) async fn open_window(&mut self, batch: &mut Vec<Delivered>) -> Result<(), UnitError> {
        if self.fill_window(batch) {
            self.close_window();
            Ok(())
        } else {
            self.send_window().await
        }
    }

    /// Takes a batch into the window. Says whether it has been handed on without the router, which has matched each of
    /// its topics before. A batch that is new in part goes to the router as a whole, so that all messages keep their order.
    fn fill_window(&mut self, batch: &mut Vec<Delivered>) -> bool {
        let mut desk = lock(&self.desk);
        desk.begin();
        let known = desk.table.known.all(batch.iter().map(|delivered| &delivered.message.topic));
        self.window.extend(batch.drain(..).map(|delivered| desk.take(delivered)));
        let Some(known) = known else {
            for (index, slot) in self.window.iter().enumerate() {
                self.link.publish(slot.routed.message.topic.as_str(), index);
            }
            return false;
        };
        for (slot, filters) in self.window.iter().zip(&known) {
            filters.iter().for_each(|filter| desk.give(slot, *filter));
        }
        true
    }

    /// All that was in the window has been handed on.
    fn close_window(&mut self) {
        lock(&self.desk).end(self.window.drain(..));
        self.intake.done();
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
                    lock(&self.desk).table.known.learn(topics, &self.handed_on);
                }
                self.close_window();
                self.tend_router().await
            }
            Err(error) => self.replace_router(&error).await,
        }
    }

    /// Gives one message to the subscribers of one filter, as the router says.
    fn hand_on(&mut self, index: usize, filter: FilterId) -> Result<(), RouterFailure> {
        let mut desk = lock(&self.desk);
        let (Some(slot), Some(entry)) = (self.window.get(index), desk.table.entries.get(&filter)) else {
            return Err(RouterFailure::astray());
        };
        let topic = slot.routed.message.topic.as_str();
        if !entry.filter.matches(topic) {
            // To the router a wildcard matches a `$` topic, which it must not (section 4.7.2). Anything else would be a
            // message for somebody whom it does not concern.
            return if topic.starts_with('$') { Ok(()) } else { Err(RouterFailure::astray()) };
        }
        if !self.handed_on_before.contains(&(index, filter)) {
            self.handed_on.push((index, filter));
            desk.give(slot, filter);
        }
        Ok(())
    }
}

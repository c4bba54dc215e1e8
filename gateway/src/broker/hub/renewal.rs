//! The router when it is worn or has failed.

use super::desk::lock;
use super::{BACKLOG, Hub, ROUTER_TRIES, Slot};
use crate::broker::router::{RouterFailure, RouterLink};
use crate::broker::stats::Stats;
use crate::supervisor::UnitError;

impl Hub {
    /// Between two windows: replaces a worn router, and sends on what has piled up for it.
    pub(super) async fn tend_router(&mut self) -> Result<(), UnitError> {
        if self.link.is_worn() {
            self.renew_router().await;
        }
        if self.link.backlog() >= BACKLOG { self.send_window().await } else { Ok(()) }
    }

    /// Puts a fresh router in the place of one that has grown. Between windows, so nothing is under way.
    pub(super) async fn renew_router(&mut self) {
        match RouterLink::start().await {
            Ok(link) => {
                self.link = link;
                self.resubscribe();
                Stats::add(&self.stats.router_renewals, 1);
                log::debug!(filters = lock(&self.desk).table.ids.len(); "fan-out router renewed");
            }
            // The old one still works; the next window tries again.
            Err(error) => log::warn!(error:% = error; "the worn fan-out router could not be renewed"),
        }
    }

    /// Puts a fresh router in the place of one that failed, and gives it the window that was under way.
    pub(super) async fn replace_router(&mut self, error: &RouterFailure) -> Result<(), UnitError> {
        self.failures += 1;
        Stats::add(&self.stats.router_failures, 1);
        log::error!(error:% = error, attempt = self.failures; "fan-out router failed; replacing it");
        if self.failures > ROUTER_TRIES {
            return Err(format!("{error}; {ROUTER_TRIES} successors failed as well").into());
        }
        self.handed_on_before.extend(self.handed_on.drain(..));
        match RouterLink::start().await {
            Ok(link) => self.link = link,
            // The next try is due at once; it is counted like any other.
            Err(error) => return Box::pin(self.replace_router(&error)).await,
        }
        self.resubscribe();
        if self.deadline.is_none() {
            return Ok(());
        }
        for (slot, Slot { routed, .. }) in self.window.iter().enumerate() {
            self.link.publish(routed.message.topic.as_str(), slot);
        }
        Box::pin(self.send_window()).await
    }

    pub(super) fn resubscribe(&mut self) {
        for (filter, id) in &lock(&self.desk).table.ids {
            self.link.subscribe(filter.as_str(), *id);
        }
    }
}

//! The hub: takes what the pipeline delivers, has the router match it, and hands it to the sessions that want it.
//!
//! One task owns the subscriptions, the retained messages and the router, so nothing of these needs a lock. It never
//! waits for a client: each has a bounded queue. A router that dies or takes longer than [`PATIENCE`] is replaced
//! and the tickets that it held are given to its successor; no session notices.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::outbox::{Delivery, Outbox};
use super::retained::Retained;
use super::routed::Routed;
use super::router::{Arrival, FilterId, PATIENCE, RouterFailure, RouterLink, SLOTS};
use super::stats::Stats;
use crate::message::{Message, QoS, TopicFilter};
use crate::supervisor::UnitError;
use crate::wait::sleep_until;

/// Routers replaced in a row, without one window in between, after which the hub gives up.
const ROUTER_TRIES: u32 = 5;
/// How often subscriptions of sessions that have ended are looked for; those with traffic go sooner.
const SWEEP: Duration = Duration::from_secs(5);
/// Requests of sessions to the hub. Policy: the session waits.
pub(super) const COMMANDS: usize = 64;

/// A subscription's options and the session it belongs to.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub(super) outbox: Arc<Outbox>,
    pub(super) qos: QoS,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) subscription_id: Option<NonZeroU32>,
}

/// What a session asks of the hub.
pub(super) enum Command {
    /// Adds or replaces a subscription; answers with the retained messages under its filter.
    Subscribe { filter: TopicFilter, subscriber: Subscriber, reply: oneshot::Sender<Vec<Arc<Routed>>> },
    /// Answers when all that was taken so far has been handed to the sessions.
    Settle { reply: oneshot::Sender<()> },
    /// Ends a subscription.
    Unsubscribe { filter: TopicFilter, outbox: Arc<Outbox>, reply: oneshot::Sender<()> },
}

struct FilterEntry {
    filter: TopicFilter,
    subscribers: Vec<Subscriber>,
}

/// Who wants what. Filter ids count up for the life of a router and are never used twice in it.
#[derive(Default)]
struct Table {
    ids: HashMap<TopicFilter, FilterId>,
    entries: HashMap<FilterId, FilterEntry>,
    last_id: FilterId,
}

/// See the module's head.
pub(super) struct Hub {
    intake: mpsc::Receiver<Arc<Message>>,
    commands: mpsc::Receiver<Command>,
    link: RouterLink,
    table: Table,
    retained: Retained,
    /// The messages of the window that is under way; a ticket's slot is the index.
    window: Vec<Arc<Routed>>,
    /// What of the window has been handed on, so that a router's successor does not hand it on again.
    handed_on: Vec<(usize, FilterId)>,
    deadline: Option<Instant>,
    failures: u32,
    stats: Arc<Stats>,
}

impl Hub {
    pub(super) fn new(
        intake: mpsc::Receiver<Arc<Message>>,
        commands: mpsc::Receiver<Command>,
        retained: Retained,
        stats: Arc<Stats>,
    ) -> Result<Self, RouterFailure> {
        Ok(Self {
            intake,
            commands,
            link: RouterLink::start()?,
            table: Table::default(),
            retained,
            window: Vec::with_capacity(SLOTS),
            handed_on: Vec::new(),
            deadline: None,
            failures: 0,
            stats,
        })
    }

    /// Runs until it is told to stop and nothing is left in its intake.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), UnitError> {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut batch = Vec::with_capacity(SLOTS);
        loop {
            let idle = self.deadline.is_none();
            let deadline = self.deadline.map(tokio::time::Instant::from_std);
            tokio::select! {
                biased;
                arrival = self.link.next() => match arrival {
                    Ok(arrival) => self.arrived(arrival),
                    Err(error) => self.replace_router(&error)?,
                },
                () = sleep_until(deadline) => {
                    self.replace_router(&RouterFailure::stalled())?;
                }
                Some(command) = self.commands.recv(), if idle => self.obey(command),
                count = self.intake.recv_many(&mut batch, SLOTS), if idle => {
                    if count == 0 {
                        return Ok(()); // The pipeline is gone, and with it whoever could still send.
                    }
                    self.open_window(&mut batch)?;
                }
                _ = sweep.tick(), if idle => self.sweep(),
                () = stop.cancelled(), if idle => {
                    // Biased: the intake was found empty just now, so what was acknowledged has been handed on.
                    return Ok(());
                }
            }
        }
    }

    /// Publishes a batch as tickets, with a barrier behind them.
    pub(super) fn open_window(&mut self, batch: &mut Vec<Arc<Message>>) -> Result<(), UnitError> {
        for message in batch.drain(..) {
            let routed = Arc::new(Routed::new(message));
            if routed.message.retain {
                self.retained.set(&routed);
            }
            self.link.publish(routed.message.topic.as_str(), self.window.len());
            self.window.push(routed);
        }
        self.send_window()
    }

    fn send_window(&mut self) -> Result<(), UnitError> {
        self.deadline = Some(Instant::now() + PATIENCE);
        match self.link.flush() {
            Ok(()) => Ok(()),
            Err(error) => self.replace_router(&error),
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Match { slot, filter } => self.hand_on(slot, filter),
            Arrival::Barrier => {
                self.deadline = None;
                self.failures = 0;
                self.window.clear();
                self.handed_on.clear();
                if self.link.is_worn() {
                    self.renew_router();
                }
            }
        }
    }

    fn hand_on(&mut self, slot: usize, filter: FilterId) {
        let (Some(routed), Some(entry)) = (self.window.get(slot), self.table.entries.get_mut(&filter)) else { return };
        if self.failures > 0 && self.handed_on.contains(&(slot, filter)) {
            return;
        }
        self.handed_on.push((slot, filter));
        let message = &routed.message;
        if message.topic.as_str().starts_with('$') && entry.filter.as_str().starts_with(['+', '#']) {
            return;
        }
        let mut ended = false;
        for subscriber in &entry.subscribers {
            if subscriber.no_local && message.origin.is_client(&subscriber.outbox.client) {
                continue;
            }
            let delivery = Delivery {
                routed: Arc::clone(routed),
                qos: message.qos.min(subscriber.qos),
                retain: message.retain && subscriber.retain_as_published,
                subscription_id: subscriber.subscription_id,
            };
            ended |= subscriber.outbox.push(delivery).is_err();
        }
        if ended {
            entry.subscribers.retain(|s| !s.outbox.is_closed());
        }
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Subscribe { filter, subscriber, reply } => {
                let kept = self.retained.matching(&filter);
                self.subscribe(filter, subscriber);
                // The session may have ended while it waited.
                let _ = reply.send(kept);
            }
            // Commands are obeyed between windows only, so nothing is under way now.
            Command::Settle { reply } => drop(reply.send(())),
            Command::Unsubscribe { filter, outbox, reply } => {
                if let Some(id) = self.table.ids.get(&filter).copied()
                    && let Some(entry) = self.table.entries.get_mut(&id)
                {
                    entry.subscribers.retain(|s| !Arc::ptr_eq(&s.outbox, &outbox));
                    if entry.subscribers.is_empty() {
                        self.forget(&filter);
                    }
                }
                let _ = reply.send(());
            }
        }
        self.stats.filters.store(self.table.ids.len() as u64, Ordering::Relaxed);
    }

    fn subscribe(&mut self, filter: TopicFilter, subscriber: Subscriber) {
        if let Some(id) = self.table.ids.get(&filter) {
            if let Some(entry) = self.table.entries.get_mut(id) {
                entry.subscribers.retain(|s| !Arc::ptr_eq(&s.outbox, &subscriber.outbox) && !s.outbox.is_closed());
                entry.subscribers.push(subscriber);
            }
            return;
        }
        self.table.last_id += 1;
        let id = self.table.last_id;
        self.link.subscribe(filter.as_str(), id);
        self.table.ids.insert(filter.clone(), id);
        self.table.entries.insert(id, FilterEntry { filter, subscribers: vec![subscriber] });
    }

    fn forget(&mut self, filter: &TopicFilter) {
        if let Some(id) = self.table.ids.remove(filter) {
            self.table.entries.remove(&id);
            self.link.unsubscribe(filter.as_str());
        }
    }

    /// Lets the subscriptions of ended sessions go.
    pub(super) fn sweep(&mut self) {
        for entry in self.table.entries.values_mut() {
            entry.subscribers.retain(|s| !s.outbox.is_closed());
        }
        let empty = self.table.entries.values().filter(|e| e.subscribers.is_empty());
        let empty: Vec<TopicFilter> = empty.map(|e| e.filter.clone()).collect();
        for filter in &empty {
            self.forget(filter);
        }
        self.stats.filters.store(self.table.ids.len() as u64, Ordering::Relaxed);
    }

    /// Puts a fresh router in the place of one that has grown. Between windows, so nothing is under way.
    fn renew_router(&mut self) {
        match RouterLink::start() {
            Ok(link) => {
                self.link = link;
                self.resubscribe();
                Stats::add(&self.stats.router_renewals, 1);
                log::debug!(filters = self.table.ids.len(); "fan-out router renewed");
            }
            // The old one still works; the next window tries again.
            Err(error) => log::warn!(error:% = error; "the worn fan-out router could not be renewed"),
        }
    }

    /// Puts a fresh router in the place of one that failed, and gives it the window that was under way.
    fn replace_router(&mut self, error: &RouterFailure) -> Result<(), UnitError> {
        self.failures += 1;
        Stats::add(&self.stats.router_failures, 1);
        log::error!(error:% = error, attempt = self.failures; "fan-out router failed; replacing it");
        if self.failures > ROUTER_TRIES {
            return Err(format!("{error}; {ROUTER_TRIES} successors failed as well").into());
        }
        self.link = RouterLink::start()?;
        self.resubscribe();
        if self.deadline.is_none() {
            return Ok(());
        }
        for (slot, routed) in self.window.iter().enumerate() {
            self.link.publish(routed.message.topic.as_str(), slot);
        }
        self.send_window()
    }

    fn resubscribe(&self) {
        for (filter, id) in &self.table.ids {
            self.link.subscribe(filter.as_str(), *id);
        }
    }
}

/// What tests do by hand.
#[cfg(test)]
impl Hub {
    pub(super) fn is_busy(&self) -> bool {
        self.deadline.is_some()
    }

    pub(super) async fn next_arrival(&mut self) -> Result<(), UnitError> {
        match self.link.next().await {
            Ok(arrival) => self.arrived(arrival),
            Err(error) => self.replace_router(&error)?,
        }
        Ok(())
    }

    pub(super) fn kill_router(&mut self) {
        self.link.kill();
    }
}

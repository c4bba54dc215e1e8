//! The hub: takes what the pipeline delivers, has the router match it, and hands it to the sessions that want it.
//!
//! One task owns the subscriptions, the retained messages and the router, so nothing of these needs a lock. It never
//! waits for a client: each has a bounded queue. A router that dies or takes longer than [`PATIENCE`] is replaced
//! and the tickets that it held are given to its successor; no session notices.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::outbox::{NotTaken, Outbox, Parcel};
use super::retained::Retained;
use super::routed::Routed;
use super::router::{Arrival, FilterId, PATIENCE, RouterFailure, RouterLink, SLOTS};
use super::share::Shared;
use super::stats::{Drop as Dropped, Stats};
use super::sys::{self, System};
use super::table::{Subscriber, Table};
use crate::message::{Receipt, TopicFilter};
use crate::pipeline::Delivered;
use crate::store::Store;
use crate::supervisor::UnitError;
use crate::wait::sleep_until;

/// What is asked of the router between two windows before it is sent on its own: a client that subscribes and
/// unsubscribes all the time must not fill the memory.
const BACKLOG: usize = 64;
/// Routers replaced in a row, without one window in between, after which the hub gives up.
const ROUTER_TRIES: u32 = 5;
/// How often subscriptions of sessions that have ended are looked for; those with traffic go sooner.
const SWEEP: Duration = Duration::from_secs(5);
/// Requests of sessions to the hub. Policy: the session waits.
pub(super) const COMMANDS: usize = 64;

/// What a session asks of the hub.
pub(super) enum Command {
    /// Adds or replaces a subscription; answers with the retained messages under its filter, none for a shared one, or
    /// `None` when there are as many filters as there may be.
    Subscribe {
        filter: TopicFilter,
        group: Option<Arc<str>>,
        subscriber: Subscriber,
        want_kept: bool,
        reply: oneshot::Sender<Option<Vec<Arc<Routed>>>>,
    },
    /// Gives messages that a lost member of a shared subscription did not get to the others.
    Redistribute { parcels: Vec<Parcel> },
    /// The accounts have changed: works out anew what each subscription may have, and answers when that is done.
    JudgeAgain { reply: oneshot::Sender<()> },
    /// Answers when nothing is left between the pipeline and the sessions' queues.
    Settle { reply: oneshot::Sender<()> },
    /// Ends a subscription.
    Unsubscribe { filter: TopicFilter, group: Option<Arc<str>>, outbox: Arc<Outbox>, reply: oneshot::Sender<()> },
}

/// A message of a window, with what its publisher waits for.
struct Slot {
    routed: Arc<Routed>,
    receipt: Option<Receipt>,
}

/// See the module's head.
pub(super) struct Hub {
    intake: mpsc::Receiver<Delivered>,
    commands: mpsc::Receiver<Command>,
    /// A command that waits until what was delivered before it has been handed on: whoever subscribes after a message
    /// was acknowledged must not get it as a new one.
    waiting: Option<Command>,
    /// How many messages are before it.
    ahead: usize,
    link: RouterLink,
    table: Table,
    retained: Retained,
    system: System,
    store: Store,
    /// The messages of the window that is under way; a ticket's slot is the index.
    window: Vec<Slot>,
    /// What of the window has been handed on, so that a router's successor does not hand it on again.
    handed_on: Vec<(usize, FilterId)>,
    /// The same of the routers that failed in this window.
    handed_on_before: HashSet<(usize, FilterId)>,
    /// Told when all that was delivered has been handed on.
    settling: Vec<oneshot::Sender<()>>,
    deadline: Option<Instant>,
    failures: u32,
    stats: Arc<Stats>,
}

impl Hub {
    pub(super) async fn new(
        intake: mpsc::Receiver<Delivered>,
        commands: mpsc::Receiver<Command>,
        table: Table,
        retained: Retained,
        system: System,
        store: Store,
        stats: Arc<Stats>,
    ) -> Result<Self, RouterFailure> {
        Ok(Self {
            intake,
            commands,
            waiting: None,
            ahead: 0,
            link: RouterLink::start().await?,
            table,
            retained,
            system,
            store,
            window: Vec::with_capacity(SLOTS),
            handed_on: Vec::new(),
            handed_on_before: HashSet::new(),
            settling: Vec::new(),
            deadline: None,
            failures: 0,
            stats,
        })
    }

    /// Runs until it is told to stop and nothing is left in its intake.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), UnitError> {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut figures = tokio::time::interval(sys::PERIOD);
        let mut batch = Vec::with_capacity(SLOTS);
        loop {
            let idle = self.deadline.is_none();
            if idle && self.answer_waiting() {
                self.tend_router().await?;
                continue;
            }
            let most = self.next_batch();
            let deadline = self.deadline.map(tokio::time::Instant::from_std);
            tokio::select! {
                biased;
                arrival = self.link.next() => self.arrived(arrival).await?,
                () = sleep_until(deadline) => self.replace_router(&RouterFailure::stalled()).await?,
                Some(command) = self.commands.recv(), if idle && self.waiting.is_none() => {
                    self.ahead = self.intake.len();
                    self.waiting = Some(command);
                }
                count = self.intake.recv_many(&mut batch, most), if idle => {
                    self.ahead = self.ahead.saturating_sub(count);
                    if count == 0 {
                        return Ok(()); // The pipeline is gone, and with it whoever could still send.
                    }
                    self.open_window(&mut batch).await?;
                }
                _ = sweep.tick(), if idle => {
                    self.sweep();
                    self.tend_router().await?;
                }
                _ = figures.tick(), if idle => self.publish_figures().await?,
                () = stop.cancelled(), if idle => {
                    // Biased: the intake was found empty just now, so what was acknowledged has been handed on.
                    return Ok(());
                }
            }
        }
    }

    /// Between two windows: obeys the command whose turn has come, if there is one, and tells those who wait for rest.
    fn answer_waiting(&mut self) -> bool {
        if self.intake.is_empty() {
            for settled in self.settling.drain(..) {
                // Whoever waited may have gone.
                let _ = settled.send(());
            }
        }
        if self.ahead > 0 {
            return false;
        }
        let command = self.waiting.take();
        let found = command.is_some();
        command.into_iter().for_each(|command| self.obey(command));
        found
    }

    /// How many messages may go into the next window.
    fn next_batch(&self) -> usize {
        if self.waiting.is_some() { self.ahead.min(SLOTS) } else { SLOTS }
    }

    /// Publishes a batch as tickets, with a barrier behind them.
    pub(super) async fn open_window(&mut self, batch: &mut Vec<Delivered>) -> Result<(), UnitError> {
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
    async fn hand_on_known(&mut self, matches: &[Arc<[FilterId]>]) -> Result<(), UnitError> {
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
    fn close_window(&mut self) {
        for receipt in self.window.drain(..).filter_map(|slot| slot.receipt) {
            match receipt.publication() {
                Some(publication) => self.store.receive(publication, receipt),
                None => receipt.settle(),
            }
        }
        self.store.close_group();
        self.handed_on.clear();
        self.handed_on_before.clear();
    }

    async fn send_window(&mut self) -> Result<(), UnitError> {
        self.deadline = Some(Instant::now() + PATIENCE);
        match self.link.flush() {
            Ok(()) => Ok(()),
            Err(error) => self.replace_router(&error).await,
        }
    }

    async fn arrived(&mut self, arrival: Result<Arrival, RouterFailure>) -> Result<(), UnitError> {
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

    /// Between two windows: replaces a worn router, and sends on what has piled up for it.
    async fn tend_router(&mut self) -> Result<(), UnitError> {
        if self.link.is_worn() {
            self.renew_router().await;
        }
        if self.link.backlog() >= BACKLOG { self.send_window().await } else { Ok(()) }
    }

    /// Gives one message to the subscribers of one filter.
    fn hand_on(&mut self, slot: usize, filter: FilterId) -> Result<(), RouterFailure> {
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

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Subscribe { filter, group, mut subscriber, want_kept, reply } => {
                // Here, and not where it is asked for: a change of rights meanwhile finds it in the table or comes first.
                subscriber.scope = subscriber.outbox.scope(&filter);
                let granted = self.table.has_room_for(&filter);
                let kept = granted.then(|| {
                    let kept = want_kept && group.is_none();
                    let mut kept = if kept { self.kept(&filter) } else { Vec::new() };
                    kept.retain(|routed| subscriber.scope.allows(routed.message.topic.as_str()));
                    self.subscribe(&filter, group.as_ref(), subscriber);
                    kept
                });
                // The session may have ended while it waited.
                let _ = reply.send(kept);
            }
            Command::JudgeAgain { reply } => {
                self.table.judge_again();
                let _ = reply.send(());
            }
            Command::Settle { reply } => self.settling.push(reply),
            Command::Unsubscribe { filter, group, outbox, reply } => {
                if let Some(entry) = self.table.entry(&filter) {
                    entry.list(group.as_ref()).retain(|s| !Arc::ptr_eq(&s.outbox, &outbox));
                    entry.remove_ended();
                    if entry.is_empty() {
                        self.forget(&filter);
                    }
                }
                let _ = reply.send(());
            }
            Command::Redistribute { parcels } => parcels.into_iter().for_each(|mut parcel| {
                // The other one's purse pays now.
                parcel.delivery.room = None;
                self.redistribute(&parcel);
            }),
        }
        self.stats.filters.store(self.table.ids.len() as u64, Ordering::Relaxed);
    }

    /// Adds a subscription that was there before a restart.
    pub(super) fn restore(&mut self, filter: &TopicFilter, group: Option<&Arc<str>>, mut subscriber: Subscriber) {
        subscriber.scope = subscriber.outbox.scope(filter);
        self.subscribe(filter, group, subscriber);
        self.stats.filters.store(self.table.ids.len() as u64, Ordering::Relaxed);
    }

    fn subscribe(&mut self, filter: &TopicFilter, group: Option<&Arc<str>>, subscriber: Subscriber) {
        if let Some(id) = self.table.subscribe(filter, group, subscriber) {
            self.link.subscribe(filter.as_str(), id);
        }
    }

    /// What a new subscription gets at once: retained messages, and the broker's own figures.
    fn kept(&self, filter: &TopicFilter) -> Vec<Arc<Routed>> {
        let mut kept = self.retained.matching(filter);
        if sys::is_asked_by(filter) {
            let figures = self.system.messages().into_iter().filter(|m| filter.matches(m.topic.as_str()));
            kept.extend(figures.map(|message| Arc::new(Routed::new(message))));
        }
        kept
    }

    /// Publishes the broker's own figures, if anybody listens.
    async fn publish_figures(&mut self) -> Result<(), UnitError> {
        self.system.sample();
        if self.table.ids.keys().any(sys::is_asked_by) {
            let figures = self.system.messages().into_iter();
            let mut figures = figures.map(|message| Delivered { message, receipt: None }).collect();
            self.open_window(&mut figures).await?;
        }
        Ok(())
    }

    /// Gives a message that a lost member of a shared subscription did not get to another.
    pub(super) fn redistribute(&mut self, parcel: &Parcel) {
        let delivery = &parcel.delivery;
        let Some(share) = &delivery.share else { return };
        let entry = self.table.entry(&share.filter);
        let group = entry.and_then(|entry| entry.groups.iter_mut().find(|group| group.name == share.group));
        // Whoever waits for the old place now waits for the new one; only then does the old one go.
        let receipts = parcel.row.map(|row| self.store.receipts(row)).unwrap_or_default();
        let again = |member: &Subscriber| member.delivery(&delivery.routed, Some(Arc::clone(share)));
        let topic = delivery.routed.message.topic.as_str();
        let taken = group.map_or(Err(NotTaken::Ended), |group| group.give(topic, again, &receipts));
        if let Some(row) = parcel.row {
            self.store.forget(row);
        }
        receipts.into_iter().for_each(Receipt::settle);
        match taken {
            // The last member has gone, and with it whoever could have had it.
            Err(NotTaken::Ended) => self.stats.dropped(Dropped::SessionEnded),
            taken => self.stats.count(taken),
        }
    }

    fn forget(&mut self, filter: &TopicFilter) {
        if self.table.forget(filter) {
            self.link.unsubscribe(filter.as_str());
        }
    }

    /// Lets the subscriptions of ended sessions and expired retained messages go.
    pub(super) fn sweep(&mut self) {
        self.retained.purge();
        let empty = self.table.sweep();
        for filter in &empty {
            self.forget(filter);
        }
        self.stats.filters.store(self.table.ids.len() as u64, Ordering::Relaxed);
    }

    /// Puts a fresh router in the place of one that has grown. Between windows, so nothing is under way.
    async fn renew_router(&mut self) {
        match RouterLink::start().await {
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
    async fn replace_router(&mut self, error: &RouterFailure) -> Result<(), UnitError> {
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

    fn resubscribe(&mut self) {
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
        let arrival = self.link.next().await;
        self.arrived(arrival).await
    }

    pub(super) async fn stall_router(&mut self) -> Result<(), UnitError> {
        self.replace_router(&RouterFailure::stalled()).await
    }

    pub(super) fn kill_router(&mut self) {
        self.link.kill();
    }
}

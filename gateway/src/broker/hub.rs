//! The hub: takes what the pipeline delivers, has the router match it, and hands it to the sessions that want it.
//!
//! One task owns the router and the commands. It never waits for a client: each has a bounded queue. A router that dies
//! or takes longer than [`PATIENCE`] is replaced and the tickets that it held are given to its successor; no session
//! notices. `desk.rs` is who wants what, and the short way of messages that need no router; `window.rs` is the way of
//! the others, `commands.rs` what sessions ask, `renewal.rs` the router's end.

mod commands;
mod desk;
mod renewal;
mod window;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::desk::{Desk, Slot, lock};
use super::outbox::{Outbox, Parcel};
use super::retained::Retained;
use super::routed::Routed;
use super::router::{FilterId, RouterFailure, RouterLink, SLOTS};
use super::stats::Stats;
use super::sys::{self, System};
use super::table::{Subscriber, Table};
use crate::message::TopicFilter;
use crate::pipeline::{Delivered, Intake, ShortWay};
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

/// See the module's head.
pub(super) struct Hub {
    intake: Intake,
    commands: mpsc::Receiver<Command>,
    /// A command that waits until what was delivered before it has been handed on: whoever subscribes after a message
    /// was acknowledged must not get it as a new one.
    waiting: Option<Command>,
    /// How many messages are before it.
    ahead: usize,
    link: RouterLink,
    desk: Arc<Mutex<Desk>>,
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
        intake: Intake,
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
            desk: Arc::new(Mutex::new(Desk::new(table, retained, store.clone(), Arc::clone(&stats)))),
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
        self.open_short_way();
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
                count = self.intake.take(&mut batch, most), if idle => {
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

    /// From now on what needs no router is handed on by whoever brings it.
    pub(super) fn open_short_way(&self) {
        self.intake.open_short_way(Arc::clone(&self.desk) as Arc<dyn ShortWay>);
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

    /// Publishes the broker's own figures, if anybody listens.
    async fn publish_figures(&mut self) -> Result<(), UnitError> {
        self.system.sample();
        let asked = lock(&self.desk).table.ids.keys().any(sys::is_asked_by);
        if asked {
            let figures = self.system.messages().into_iter();
            let mut figures = figures.map(|message| Delivered { message, receipt: None }).collect();
            self.open_window(&mut figures).await?;
        }
        Ok(())
    }
}

/// What tests do by hand.
#[cfg(test)]
impl Hub {
    pub(super) fn is_busy(&self) -> bool {
        self.deadline.is_some()
    }

    /// Takes what waits into a window.
    pub(super) async fn take_intake(&mut self) -> usize {
        let mut batch = Vec::new();
        let count = if self.intake.is_empty() { 0 } else { self.intake.take(&mut batch, SLOTS).await };
        self.open_window(&mut batch).await.unwrap();
        count
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

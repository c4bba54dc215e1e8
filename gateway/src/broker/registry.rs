//! Which client has which session: taking over, parking while the client is away, ending, wills.

mod forget;
mod owner;
mod will;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub(super) use will::Will;

use super::Current;
use super::budget::Budget;
use super::inventory::Inventory;
use super::keeper::Keeper;
use super::outbox::{Outbox, Parcel};
use super::session::Session;
use super::stats::Stats;
use crate::message::{Awaited, Receipt};
use crate::pipeline::Pipeline;
use crate::store::{SessionRow, Store};
use crate::supervisor::UnitError;

/// How often expired sessions and due wills are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a newcomer waits for the old connection to hand its session over before it starts a fresh one.
const HANDOVER: Duration = Duration::from_secs(5);

/// A newcomer with the same client id wants the place.
#[derive(Debug)]
pub(super) struct Newcomer {
    hand_over: oneshot::Sender<Session>,
    clean_start: bool,
    /// Whose it is, as the store writes it.
    user: Option<Arc<str>>,
}

impl Newcomer {
    /// Whether a session that lasts for `expiry` goes on with the newcomer: neither may he want a clean one, nor may it
    /// be one that ends with its connection (MQTT 3.1.1, section 3.1.2.4), nor another user's.
    fn lets_go_on(&self, session: &Session, expiry: Duration) -> bool {
        !self.clean_start && !expiry.is_zero() && owner::of(session) == self.user
    }

    /// Hands the session over if it goes on. A will with a delay is void then, and due when the session ends (MQTT 5.0,
    /// section 3.1.3.2.2).
    pub(super) fn take_over(self, session: Session, expiry: Duration, will: Option<Will>) -> Left {
        let goes_on = self.lets_go_on(&session, expiry);
        let ends = if goes_on { self.hand_over.send(session).err() } else { Some(session) };
        let Some(mut session) = ends else {
            return Left { will: will.filter(|will| will.delay.is_zero()), shared: Vec::new() };
        };
        let shared = session.take_shared(true);
        session.end();
        Left { will, shared }
    }
}

/// What a session that was left, handed over or ended leaves to be done.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// To be published at once.
    pub(super) will: Option<Will>,
    /// What it had by shared subscriptions, for the other members.
    pub(super) shared: Vec<Parcel>,
}

/// A connection's hold on its session.
#[derive(Debug)]
pub(super) struct Hold {
    client: Arc<str>,
    generation: u64,
    /// Fires when a newcomer wants the place.
    pub(super) kick: oneshot::Receiver<Newcomer>,
}

#[cfg(test)]
impl Hold {
    /// Whether a newcomer has the place.
    pub(super) fn is_wanted(&self) -> bool {
        !self.kick.is_empty()
    }
}

enum Entry {
    Live { generation: u64, kick: oneshot::Sender<Newcomer> },
    Parked { session: Box<Session>, until: Instant, will: Option<(Instant, Will)> },
}

/// Where a client's last session is.
enum Old {
    None,
    /// With the end of the session, and its will with the time when it is due.
    Parked(Box<Session>, Instant, Option<(Instant, Will)>),
    Promised(oneshot::Receiver<Session>),
}

/// All sessions. Policy when as many are parked as there may be connections: the one that would expire first ends.
pub(super) struct Registry {
    clients: Mutex<Clients>,
    settings: Arc<Current>,
    pipeline: Arc<Pipeline>,
    store: Store,
    budget: Arc<Budget>,
    inventory: Arc<Inventory>,
    stats: Arc<Stats>,
}

/// A connection's session.
pub(super) struct Entered {
    pub(super) session: Session,
    /// It is an old one.
    pub(super) present: bool,
    pub(super) hold: Hold,
    /// That an old one is gone, which must be safe before the client is told so: it must not come back with the power.
    pub(super) discarded: Option<Awaited>,
}

#[derive(Default)]
struct Clients {
    entries: HashMap<Arc<str>, Entry>,
    last_generation: u64,
    /// Wills of sessions that were ended to make room; published with the next sweep.
    overdue: Vec<Will>,
}

impl Registry {
    pub(super) fn new(
        settings: Arc<Current>,
        pipeline: Arc<Pipeline>,
        store: Store,
        budget: Arc<Budget>,
        inventory: Arc<Inventory>,
        stats: Arc<Stats>,
    ) -> Self {
        Self { clients: Mutex::default(), settings, pipeline, store, budget, inventory, stats }
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection its session: the one that it had unless it wants a clean one, else a new one. Whoever holds
    /// it now is disconnected.
    pub(super) async fn enter(&self, row: &SessionRow, clean_start: bool) -> Entered {
        let (hold, old) = self.take_place(row, clean_start);
        let was_there = !matches!(old, Old::None);
        let session = match old {
            Old::None => None,
            Old::Parked(session, until, will) => {
                let ends = clean_start || !owner::fits(&session, row);
                self.unpark(*session, until, will, ends).await
            }
            Old::Promised(handed_over) => tokio::time::timeout(HANDOVER, handed_over).await.ok().and_then(Result::ok),
        };
        let session = session.and_then(|session| owner::unless_of_another(session, row));
        let present = session.is_some();
        let session = match session {
            Some(mut session) => {
                session.connected();
                session.outbox.set_online(true);
                if let Some(keeper) = &session.keeper {
                    keeper.update(row.clone());
                }
                session
            }
            None => self.fresh(row),
        };
        let discarded = (was_there && !present).then(|| {
            let (receipt, awaited) = Receipt::new(Arc::clone(&session.told), None);
            self.store.sync(receipt);
            awaited
        });
        Entered { session, present, hold, discarded }
    }

    /// What is over is over, though the sweep has not come by yet.
    async fn unpark(
        &self,
        session: Session,
        until: Instant,
        will: Option<(Instant, Will)>,
        clean_start: bool,
    ) -> Option<Session> {
        let now = Instant::now();
        let ended = clean_start || until <= now;
        // The client's return cancels a will that is still waiting, unless it ends the session (section 3.1.3.2.2).
        let due = will.filter(|(due, _)| ended || *due <= now);
        if let Some(message) = due.and_then(|(_, will)| will.into_message(&self.pipeline)) {
            // Fails only when the gateway is stopping, and then the message counts as dropped.
            let _ = self.pipeline.ingest(message).await;
        }
        if ended {
            session.end();
            return None;
        }
        Some(session)
    }

    /// Under one lock, so that a connection that ends just now finds either its own place or the newcomer's wish.
    fn take_place(&self, row: &SessionRow, clean_start: bool) -> (Hold, Old) {
        let client = &row.client;
        let (kick_in, kick) = oneshot::channel();
        let mut clients = self.lock();
        clients.last_generation += 1;
        let generation = clients.last_generation;
        let entry = Entry::Live { generation, kick: kick_in };
        let old = match clients.entries.insert(Arc::clone(client), entry) {
            None => Old::None,
            Some(Entry::Parked { session, until, will }) => Old::Parked(session, until, will),
            Some(Entry::Live { kick, .. }) => {
                let (hand_over, handed_over) = oneshot::channel();
                let user = row.user.clone();
                if kick.send(Newcomer { hand_over, clean_start, user }).is_ok() {
                    Old::Promised(handed_over)
                } else {
                    Old::None
                }
            }
        };
        (Hold { client: Arc::clone(client), generation, kick }, old)
    }

    fn fresh(&self, row: &SessionRow) -> Session {
        let mut session = self.empty(&row.client);
        if !row.expiry.is_zero() {
            let told = Arc::clone(&session.told);
            session.keep(Keeper::begin(&self.store, row.clone(), told, Arc::clone(&self.stats)));
        }
        session
    }

    /// A session of which nothing is known.
    pub(super) fn empty(&self, client: &Arc<str>) -> Session {
        let settings = self.settings.get();
        let (messages, bytes) = (settings.session_queue, settings.session_queue_bytes);
        let outbox = Outbox::new(Arc::clone(client), messages, bytes, self.budget.purse());
        let outbox = Arc::new(outbox);
        let card = self.inventory.list(&outbox, self.pipeline.clock().now());
        Session::new(outbox, card, Arc::clone(&self.stats))
    }

    /// Puts back a session whose client is away since a restart.
    pub(super) fn restore(&self, session: Session, lasts: Duration) {
        session.outbox.set_online(false);
        let client = Arc::clone(&session.outbox.client);
        let until = Instant::now() + lasts.min(self.settings.get().session_expiry_max);
        let parked = Entry::Parked { session: Box::new(session), until, will: None };
        let mut clients = self.lock();
        self.make_room(&mut clients);
        clients.entries.insert(client, parked);
    }

    /// Takes a session back from a connection that has ended, to keep it for `expiry` or to end it. `will` is what is
    /// still to be published of the connection's will; without a wait it is returned, to be published at once.
    pub(super) fn leave(&self, mut hold: Hold, session: Session, expiry: Duration, will: Option<Will>) -> Left {
        let mut clients = self.lock();
        let mine = matches!(clients.entries.get(&hold.client),
            Some(Entry::Live { generation, .. }) if *generation == hold.generation);
        if !mine {
            return match hold.kick.try_recv() {
                Ok(newcomer) => newcomer.take_over(session, expiry, will),
                Err(_gone) => Left { will, ..Left::default() },
            };
        }
        clients.entries.remove(&hold.client);
        if expiry.is_zero() {
            session.end();
            return Left { will, ..Left::default() };
        }
        session.outbox.set_online(false);
        if let Some(keeper) = &session.keeper {
            let (client, user) = (Arc::clone(&hold.client), owner::of(&session));
            keeper.update(SessionRow { client, user, expiry, left: self.pipeline.clock().now().trusted() });
        }
        let now = Instant::now();
        let until = now + expiry;
        let (waiting, due) = match will {
            Some(will) if !will.delay.is_zero() => (Some(((now + will.delay).min(until), will)), None),
            due => (None, due),
        };
        self.make_room(&mut clients);
        clients.entries.insert(hold.client, Entry::Parked { session: Box::new(session), until, will: waiting });
        Left { will: due, ..Left::default() }
    }

    fn make_room(&self, clients: &mut Clients) {
        let parked = clients.entries.iter().filter_map(|(client, entry)| match entry {
            Entry::Parked { until, .. } => Some((*until, Arc::clone(client))),
            Entry::Live { .. } => None,
        });
        let parked: Vec<_> = parked.collect();
        if parked.len() >= self.settings.get().max_connections
            && let Some((_, client)) = parked.into_iter().min()
        {
            log::warn!(client:% = client; "too many sessions of absent clients; the one nearest to its expiry ended");
            if let Some(Entry::Parked { session, will, .. }) = clients.entries.remove(&client) {
                session.end();
                clients.overdue.extend(will.map(|(_, will)| will));
            }
        }
    }

    /// Ends expired sessions and publishes due wills, until told to stop.
    pub(super) async fn sweep(self: Arc<Self>, stop: CancellationToken) -> Result<(), UnitError> {
        let mut tick = tokio::time::interval(SWEEP);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            for will in self.take_due(Instant::now()) {
                if let Some(message) = will.into_message(&self.pipeline) {
                    self.pipeline.ingest(message).await?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn take_due(&self, now: Instant) -> Vec<Will> {
        let mut clients = self.lock();
        let mut due = std::mem::take(&mut clients.overdue);
        // A connection that ended without a word, by a panic, left its place behind.
        clients.entries.retain(|_, entry| !matches!(entry, Entry::Live { kick, .. } if kick.is_closed()));
        let over = clients.entries.extract_if(|_, entry| match entry {
            Entry::Parked { until, will, .. } => {
                if will.as_ref().is_some_and(|(at, _)| *at <= now) {
                    due.extend(will.take().map(|(_, will)| will));
                }
                *until <= now
            }
            Entry::Live { .. } => false,
        });
        for (_, entry) in over {
            if let Entry::Parked { session, .. } = entry {
                Stats::add(&self.stats.sessions_expired, 1);
                session.end();
            }
        }
        due
    }
}

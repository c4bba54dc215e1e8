//! MQTT for clients: our own front over rumqttd's router.
//!
//! Owns everything that a client can observe of MQTT. Never sees a radio: messages come from the pipeline and go to it.
//! `listener.rs` accepts, `streams.rs` takes what no listener accepted, `tls.rs` and `websocket/` do what comes first where that is not MQTT, `handshake.rs` decides on CONNECT, `connection.rs` is one client's conversation, `session.rs`
//! what is remembered of it, `registry.rs` who has which session, `inventory/` what operators see of them, `enrolment.rs` what they do about users, `hub.rs` hands messages to sessions (most of them by the short way of `hub/desk.rs`), `table.rs` who wants what, `known.rs` which topics are matched already, `router.rs` is the
//! fan-out engine and the only file that names rumqttd.

mod access;
mod accounts;
mod aliases;
mod answers;
mod budget;
mod connection;
mod denials;
mod enrolment;
mod gate;
mod handshake;
mod hub;
mod identify;
mod inventory;
mod keeper;
mod known;
mod listener;
mod load;
mod may;
mod outbox;
mod registry;
mod restore;
mod retained;
mod rights;
mod routed;
mod router;
mod session;
mod share;
mod stats;
mod streams;
mod subscribing;
mod sys;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod users;
pub mod websocket;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use enrolment::{Enrolled, Listed};
pub use inventory::{Amount, Client, Found, Search, SessionAfter};
pub use listener::bind;
pub use may::{Answer, Operation, Question, may};
pub use stats::Stats;
pub use streams::Below;

use self::accounts::{Accounts, MoreUsers};
use self::budget::Budget;
use self::gate::Gate;
use self::hub::Hub;
use self::inventory::Inventory;
use self::registry::{Registry, Will};
use self::restore::{Age, Restorer};
use self::retained::Retained;
use self::sys::System;
use self::table::Table;
use self::users::Users;
pub use crate::config::Door as Transport;
use crate::config::{self, Door};
use crate::message::Topic;
use crate::password::Permit;
use crate::pipeline::{Intake, Pipeline};
use crate::store::{Store, Stored};
use crate::supervisor::{Rank, Supervisor, UnitError};
pub use crate::users::Grant;
use crate::users::UsersFile;

/// What all connections share.
struct Shared {
    /// Those of now; a connection keeps the ones that it began with.
    settings: Arc<Current>,
    gate: Arc<Gate>,
    accounts: Arc<Accounts>,
    /// The generation of the accounts for which the hub has worked out what each subscription may have.
    judged: AtomicU64,
    users: Users,
    /// Room for what waits for the clients.
    budget: Arc<Budget>,
    inventory: Arc<Inventory>,
    registry: Arc<Registry>,
    hub: mpsc::Sender<hub::Command>,
    /// The gateway is stopping: nothing more is taken from clients.
    closing: CancellationToken,
    pipeline: Arc<Pipeline>,
    stats: Arc<Stats>,
}

/// The settings, which a reload replaces.
#[derive(Debug)]
struct Current(RwLock<Arc<config::Broker>>);

impl Current {
    fn new(settings: impl Into<Arc<config::Broker>>) -> Self {
        Self(RwLock::new(settings.into()))
    }

    fn get(&self) -> Arc<config::Broker> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    /// Has the hub work out anew what each subscription may have, after a change of the accounts.
    async fn judge_again(&self) {
        let generation = self.accounts.generation();
        if self.judged.load(Ordering::Acquire) == generation {
            return; // Nothing has changed since.
        }
        let (reply, judged) = oneshot::channel();
        if self.hub.send(hub::Command::JudgeAgain { reply }).await.is_ok() {
            // Fails only when the gateway is stopping.
            let _ = judged.await;
        }
        // What the hub handed on before it knew is looked at again.
        let announced = self.accounts.announce();
        if announced == generation + 1 {
            self.judged.store(announced, Ordering::Release);
        }
    }

    /// Gives what a lost member of a shared subscription did not get to the others.
    async fn redistribute(&self, parcels: Vec<outbox::Parcel>) {
        if !parcels.is_empty() {
            // Fails only when the gateway is stopping. What is kept is there after the restart.
            let _ = self.hub.send(hub::Command::Redistribute { parcels }).await;
        }
    }

    async fn publish_will(&self, will: Option<Will>) {
        if let Some(will) = will {
            let Some(message) = will.into_message(&self.pipeline) else { return };
            // Fails only when the gateway is stopping, and then the message counts as dropped.
            let _ = self.pipeline.ingest(message).await;
        }
    }
}

/// Whether a client may publish under a topic: neither too long nor too deep, and not in the broker's own `$SYS`.
fn may_publish(topic: &Topic, settings: &config::Broker) -> bool {
    let text = topic.as_str();
    fits(text, settings) && !(text == "$SYS" || text.starts_with("$SYS/"))
}

/// Whether a topic or a filter is neither too long nor too deep.
fn fits(text: &str, settings: &config::Broker) -> bool {
    text.len() <= settings.max_topic_bytes && text.split('/').count() <= settings.max_topic_levels
}

/// The broker, running. A clone is another handle.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
    /// Clients that come through the admin port.
    arrivals: mpsc::Sender<websocket::Arrival>,
}

impl Broker {
    /// The leave to hash that checking clients' passwords takes, for others who check passwords.
    pub fn permit(&self) -> Permit {
        self.shared.accounts.passwords.permit()
    }

    /// Starts the hub and the sessions' housekeeping as units of `supervisor`. Clients come with [`listen`](Self::listen).
    ///
    /// # Errors
    /// When the fan-out router can't be started.
    pub async fn start(
        settings: Arc<config::Broker>,
        users: UsersFile,
        delivered: Intake,
        pipeline: Arc<Pipeline>,
        (store, stored): (Store, Stored),
        supervisor: &Supervisor,
    ) -> Result<Self, UnitError> {
        let stats = Arc::new(Stats::default());
        let notes = store.clone();
        pipeline.note_with(move |note, receipt| notes.note(note, receipt));
        let users = Users::new(users);
        let accounts = Arc::new(Accounts::new(Arc::clone(&settings), MoreUsers::None, &stats));
        // Told by the one who reads; a gateway does not stay down for it.
        let _ = users.read(&accounts);
        let (to_hub, commands) = mpsc::channel(hub::COMMANDS);
        let (messages, bytes) = (settings.retained_messages, settings.retained_bytes);
        let mut retained = Retained::new(messages, bytes, store.clone(), Arc::clone(&stats));
        let mut age = Age::of(pipeline.clock().now());
        restore::retained(&stored.retained, &mut retained, &mut age);
        let inventory = Arc::new(Inventory::default());
        let system = System::new(Arc::clone(&stats), Arc::clone(&inventory), &pipeline);
        let table = Table::new(settings.max_filters);
        let mut hub = Hub::new(delivered, commands, table, retained, system, store.clone(), Arc::clone(&stats)).await?;
        let budget = Budget::new(settings.queue_bytes_total, Arc::clone(&stats));
        let settings = Arc::new(Current::new(settings));
        let registry = Registry::new(
            Arc::clone(&settings),
            Arc::clone(&pipeline),
            store.clone(),
            Arc::clone(&budget),
            Arc::clone(&inventory),
            Arc::clone(&stats),
        );
        let mut restorer =
            Restorer { hub: &mut hub, registry: &registry, store: &store, stats: &stats, accounts: &accounts, age };
        stored.sessions.into_iter().for_each(|session| restorer.session(session));
        restorer.homeless(stored.homeless);
        supervisor.start_critical("broker", Rank::Core, move |stop| hub.run(stop));
        let registry = Arc::new(registry);
        let housekeeping = Arc::clone(&registry);
        supervisor.start("sessions", Rank::Clients, move |stop| Arc::clone(&housekeeping).sweep(stop));
        let gate = Arc::new(Gate::default());
        let shared = Arc::new(Shared {
            settings,
            gate,
            accounts,
            judged: AtomicU64::new(0),
            users,
            budget,
            inventory,
            registry,
            hub: to_hub,
            closing: CancellationToken::new(),
            pipeline,
            stats,
        });
        let (arrivals, arriving) = mpsc::channel(websocket::ARRIVALS);
        let theirs = Arc::clone(&shared);
        supervisor.start_critical("websockets", Rank::Clients, move |stop| websocket::run(arriving, theirs, stop));
        Ok(Self { shared, arrivals })
    }

    /// Takes new settings: users, groups and rights at once, all else for the clients that come from now on. The limits
    /// on retained messages and on filters stay until the next start.
    pub async fn reconfigure(&self, settings: Arc<config::Broker>) {
        self.shared.budget.set_limit(settings.queue_bytes_total);
        *self.shared.settings.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&settings);
        self.shared.accounts.take_settings(settings);
        self.shared.judge_again().await;
    }

    /// Reads `users.toml` again. When it returns, whoever lost a right has lost it.
    ///
    /// # Errors
    /// All that is wrong with the file. Then the last good users stand.
    pub async fn reload_users(&self) -> Result<(), UnitError> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.users.read(&shared.accounts)).await;
        self.shared.judge_again().await;
        Ok(read??)
    }

    /// Takes no more messages from clients, and waits until all that came so far is in the clients' queues.
    /// Says whether it came to that in time.
    pub async fn close(&self, patience: Duration) -> bool {
        self.shared.closing.cancel();
        let settled = async {
            if !self.shared.pipeline.drain(patience).await {
                return false;
            }
            let (reply, settled) = oneshot::channel();
            self.shared.hub.send(hub::Command::Settle { reply }).await.is_ok() && settled.await.is_ok()
        };
        tokio::time::timeout(patience, settled).await.unwrap_or(false)
    }

    /// Serves MQTT clients on an open listener until told to stop.
    pub fn listen(
        &self,
        door: Door,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), UnitError>> + Send + use<> {
        listener::run(door, listener, Arc::clone(&self.shared), stop)
    }

    /// The counters.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }
}

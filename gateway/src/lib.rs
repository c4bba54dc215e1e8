//! Stile, an edge gateway for 5G and LoRa testbeds. This file is the map of the house and the wiring of its start; `doors.rs`,
//! `reload.rs` and `stopping.rs` are the rest of the wiring.
//!
//! | Room | Owns |
//! |---|---|
//! | [`message`] | what travels: a message, its topic, its origin and times |
//! | [`component`], [`signature`] | what a plugin's file is; who signed it |
//! | [`config`] | typed settings; load, check, diff |
//! | [`changes`] | changes of the settings, on trial until somebody confirms them |
//! | [`pipeline`] | the one path; the ledger that counts every message |
//! | [`radio`] | bytes and frames to messages and back |
//! | [`store`] | what outlives the process |
//! | [`spool`] | the crash-safe queue before a remote broker |
//! | [`measurements`] | what modems and probes said, kept for a while |
//! | [`series`] | measurements as CSV, line protocol, SenML, GeoJSON |
//! | [`sharing`], [`pseudonym`] | what of a message a remote may be told; names in the place of names |
//! | [`codec`] | MQTT's packets: bytes and back |
//! | [`broker`] | MQTT for clients |
//! | [`uplink`] | remote brokers |
//! | [`probe`] | active measurements of the network |
//! | [`admin`] | the admin page and its API, metrics, health |
//! | [`history`], [`host`], [`chart`] | what figures were; what the machine says of itself; both as pictures and tables |
//! | [`supervisor`] | starting, restarting, stopping units |
//! | [`systemd`], [`logging`], [`clock`] | the init system, log lines, the kernel's word on the time |
//! | [`memory`] | giving back what nothing uses |
//! | [`tls`], [`password`] | certificates and keys; hashes of passwords |
//! | `update` | the appliance's other system: what is asked of RAUC |
//! | [`users`], [`people`] | the files of MQTT's users, and of those who sign in to the page |
//! | [`provision`] | what somebody has put onto the boot partition, taken once |
//! | [`cli`] | one file a verb |

// What the tests share with the fuzz targets names this crate as those do.
#[cfg(test)]
extern crate self as stile;

mod accept;
pub mod admin;
pub mod broker;
mod buckets;
mod certificate;
pub mod changes;
pub mod chart;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod component;
pub mod config;
mod data_dir;
mod doors;
mod factory_reset;
pub mod history;
pub mod host;
pub mod logging;
pub mod measurements;
pub mod memory;
pub mod message;
pub mod password;
pub mod people;
pub mod pipeline;
pub mod plugin_host;
pub mod plugins;
pub mod probe;
pub mod provision;
pub mod pseudonym;
pub mod radio;
pub mod reload;
mod resolver;
pub mod series;
pub mod setup;
pub mod sharing;
pub mod signature;
pub mod spool;
mod stopping;
pub mod store;
pub mod supervisor;
pub mod systemd;
pub mod tls;
mod update;
pub mod uplink;
pub mod users;
mod wait;
mod websocket;
mod whole_file;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::admin::{ReloadAsked, Sources};
use crate::broker::Broker;
use crate::changes::{Changes, OnTrial};
use crate::config::{Door, Settings};
use crate::data_dir::DataDir;
use crate::history::History;
use crate::host::Host;
use crate::logging::Kept;
use crate::measurements::Measurements;
use crate::pipeline::Pipeline;
use crate::plugins::Plugins;
use crate::probe::Probes;
use crate::radio::Radios;
use crate::sharing::At;
use crate::store::{Store, Stored};
use crate::supervisor::{Rank, Supervisor, UnitError};
use crate::uplink::Uplinks;
use crate::users::UsersFile;

/// How long one listener may take to let its clients go when it is closed by a reload.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// Requests for a reload that may wait; more wait with whoever makes them.
const RELOADS: usize = 4;

/// The gateway, running.
pub struct Gateway {
    settings: Settings,
    supervisor: Supervisor,
    broker: Broker,
    store: Store,
    radios: Arc<Radios>,
    uplinks: Arc<Uplinks>,
    probes: Arc<Probes>,
    sources: Arc<Sources>,
    /// Where clients can connect, by the address in the settings; the two differ where the settings say port 0.
    mqtt: BTreeMap<(Door, SocketAddr), SocketAddr>,
    admin: Option<SocketAddr>,
    reloads: Option<mpsc::Receiver<ReloadAsked>>,
    /// Goes last.
    _data_dir: DataDir,
}

/// What goes on beside messages: figures, the clock, memory, the watchdog.
fn start_housekeeping(supervisor: &Supervisor, sources: &Arc<Sources>) {
    let watched = Arc::clone(sources);
    supervisor.start("figures", Rank::Admin, move |stop| {
        let watched = Arc::clone(&watched);
        async move {
            admin::watch(watched, stop).await;
            Ok(())
        }
    });
    let sampled = Arc::clone(sources);
    supervisor.start("history", Rank::Admin, move |stop| admin::keep_history(Arc::clone(&sampled), stop));
    let updated = Arc::clone(sources);
    supervisor.start("updates", Rank::Admin, move |stop| admin::see_updates_through(Arc::clone(&updated), stop));
    supervisor.start("memory", Rank::Core, |stop| async move {
        memory::tend(stop).await;
        Ok(())
    });
    if let Some(period) = systemd::watchdog_period() {
        supervisor.start("watchdog", Rank::Admin, move |stop| async move {
            systemd::watchdog(period, stop).await;
            Ok(())
        });
    }
}

/// The unit that keeps asking how far the clock is off.
const CLOCK: &str = "clock";

fn start_clock(supervisor: &Supervisor, pipeline: &Arc<Pipeline>, settings: &config::Clock) {
    let (pipeline, chrony) = (Arc::clone(pipeline), settings.chrony);
    supervisor.start(CLOCK, Rank::Core, move |stop| {
        let pipeline = Arc::clone(&pipeline);
        let note = move |quality, timing| {
            pipeline.clock().set_quality(quality);
            pipeline.clock().set_timing(timing);
        };
        async move {
            clock::watch(chrony, note, stop).await;
            Ok(())
        }
    });
}

impl Gateway {
    /// Starts everything that `settings` name. The data folder is taken and addresses are opened first, so that a busy one is found before anything runs.
    ///
    /// # Errors
    /// What could not be opened, with a remedy. Nothing is left running then.
    pub async fn start(settings: Settings, logs: Kept) -> Result<Self, UnitError> {
        let data_dir = DataDir::take(&settings.gateway.data_dir)?;
        let settings = with_certificate(settings)?;
        let mut listeners = Vec::new();
        for (door, address) in settings.broker.listeners() {
            listeners.push((door, address, broker::bind(door, address).await?));
        }
        let admin_listener = match settings.admin.listen {
            Some(address) => Some(admin::bind(address).await?),
            None => None,
        };
        let socket = admin::bind_socket(&settings.gateway.data_dir)?;

        let supervisor = Supervisor::default();
        let (pipeline, delivered) = Pipeline::new(random()?);
        pipeline.clock().set_quality(clock::quality());
        pipeline.place().select(settings.position.source.as_deref());
        let (store, mut stored) = open_store(&settings, &supervisor)?;
        let data_folder = &settings.gateway.data_dir;
        let plugins = Plugins::new(Arc::clone(&pipeline), data_folder, store.clone(), &mut stored);
        let remotes = (store.clone(), std::mem::take(&mut stored.remotes));
        let broker_settings = Arc::new(settings.broker.clone());
        let audit = std::mem::take(&mut stored.audit);
        let (users, kept) = (UsersFile::of(&settings.gateway.data_dir), (store.clone(), stored));
        let broker = Broker::start(broker_settings, users, delivered, Arc::clone(&pipeline), kept, &supervisor).await?;
        let radios =
            Arc::new(Radios::new(&settings.gateway.id, Arc::clone(&pipeline), supervisor.clone(), data_folder));
        let uplinks =
            Uplinks::new(&settings.gateway.id, data_folder, Arc::clone(&pipeline), supervisor.clone(), remotes);
        let measurements = Measurements::new(data_folder, Arc::clone(&pipeline), supervisor.clone());
        measurements.set(&settings.measurements).await;
        let (plugins, uplinks) = (Arc::new(plugins), Arc::new(uplinks));
        let probes = Probes::new(data_folder, Arc::clone(&pipeline), supervisor.clone(), Arc::clone(&uplinks));
        let probes = Arc::new(probes);
        uplinks.record(&settings.uplink, At::Start).await;
        // Before anything brings messages, so that none goes past them.
        for uplink in settings.uplink.clone() {
            uplinks.start(uplink).await;
        }
        // Before anything brings messages: what a plugin is to take out must not go past it.
        // A command that is held would find no radio yet.
        pipeline.keep_shelves();
        plugins.set(&settings.plugin, &settings.plugins).await?;
        let (reload, reloads) = mpsc::channel(RELOADS);
        let page =
            admin::Page::open(data_folder, broker.permit(), settings.admin.setup_code_hash.clone(), &store, audit);
        let sources = Arc::new(Sources {
            id: settings.gateway.id.clone(),
            pipeline: Arc::clone(&pipeline),
            supervisor: supervisor.clone(),
            broker: broker.clone(),
            store: store.clone(),
            radios: Arc::clone(&radios),
            uplinks: Arc::clone(&uplinks),
            probes: Arc::clone(&probes),
            plugins,
            measurements,
            history: History::open(data_folder, pipeline.clock().now()),
            host: Host::new(data_folder),
            logs,
            system: admin::System::new(data_folder, systemd::started_this()),
            updates: admin::Updates::new(data_folder, systemd::runtime_folder()),
            reload,
            page,
            changes: OnceLock::new(),
            port: Arc::default(),
            serving: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let served = Arc::clone(&sources);
        supervisor.start_critical("admin socket", Rank::Admin, move |stop| admin::serve_socket(socket, served, stop));
        start_housekeeping(&supervisor, &sources);
        start_clock(&supervisor, &pipeline, &settings.clock);

        let mut gateway = Self {
            settings,
            supervisor,
            broker,
            store,
            radios,
            uplinks,
            probes,
            sources,
            mqtt: BTreeMap::new(),
            admin: None,
            reloads: Some(reloads),
            _data_dir: data_dir,
        };
        let admin = gateway.settings.admin.clone();
        gateway.open_admin(admin_listener, &admin);
        for (door, address, listener) in listeners {
            gateway.open_mqtt(door, address, listener);
        }
        gateway.tell_doors();
        gateway.radios.start(gateway.settings.radio.clone()).await;
        for probe in gateway.settings.probe.clone() {
            gateway.probes.start(probe).await?;
        }
        gateway.probes.reflect(gateway.settings.reflector.clone()).await;
        gateway.sources.pipeline.work_off_shelves().await;
        gateway.sources.serving.store(true, Ordering::Relaxed);
        Ok(gateway)
    }

    /// What whoever sets the admin page up has to know; `None` when there is an admin already.
    pub fn setup_code(&self) -> Option<String> {
        self.sources.page.setup_code()
    }

    /// Says in which files the settings are, for the pages that change them.
    pub fn settings_are_in(&self, changes: Changes) {
        // Told once, right after the start.
        let _ = self.sources.changes.set(changes);
    }

    /// Says which change of the settings is on trial from now on, for the pages that tell of it.
    pub fn is_on_trial(&self, on_trial: Option<OnTrial>) {
        self.sources.page.is_on_trial(on_trial);
    }

    /// Those who ask over the socket that the settings be read again. Whoever takes them answers them; there is one taker.
    pub fn take_reloads(&mut self) -> Option<mpsc::Receiver<ReloadAsked>> {
        self.reloads.take()
    }

    /// Waits until an admin wants the gateway to end and to be started again.
    pub async fn restart_wanted(&self) {
        self.sources.system.restart_wanted().await;
    }

    /// Waits until something that the gateway can't do without has failed, and says what.
    pub async fn critical_failure(&self) -> String {
        self.supervisor.critical_failure().await
    }
}

/// Makes the gateway's own certificate where the settings name none and there is none yet.
fn with_certificate(mut settings: Settings) -> Result<Settings, UnitError> {
    let data_dir = settings.gateway.data_dir.clone();
    let for_broker = settings.broker.tls.as_ref().is_some_and(|tls| tls.server.is_none());
    let for_admin = settings.admin.secure() && settings.admin.server.is_none();
    if for_broker || for_admin {
        let files = certificate::Files::of(&data_dir.join(tls::FOLDER));
        let names = files.make(&[]).map_err(|error| format!("can't make a certificate: {error}"))?;
        let fingerprint = files.read()?.fingerprint();
        let (names, authority) = (names.join(", "), files.authority.display());
        log::info!(fingerprint = fingerprint, names = names, authority:% = authority; "made a certificate for TLS");
    }
    if let Some(tls) = settings.broker.tls.as_mut().filter(|_| for_broker) {
        tls.read_own(&data_dir)?;
    }
    if for_admin {
        settings.admin.read_own(&data_dir)?;
    }
    Ok(settings)
}

/// Opens the store and starts what writes it.
fn open_store(settings: &Settings, supervisor: &Supervisor) -> Result<(Store, Stored), UnitError> {
    let (store, stored) = Store::open(&settings.gateway.data_dir)?;
    if stored.unreadable > 0 {
        log::warn!(rows = stored.unreadable; "rows of the store could not be read and were let go");
    }
    log::info!(retained = stored.retained.len(), sessions = stored.sessions.len(); "store opened");
    let writer = store.clone();
    supervisor.start("store", Rank::Core, move |stop| writer.clone().run(stop));
    let watched = store.clone();
    supervisor.start_critical("store file", Rank::Core, move |stop| async move {
        match stop.run_until_cancelled(watched.corrupted()).await {
            Some(()) => Err("the store is damaged; the next start sets the file aside".into()),
            None => Ok(()),
        }
    });
    Ok((store, stored))
}

fn random() -> Result<u64, UnitError> {
    getrandom::u64().map_err(|error| format!("the system has no random numbers: {error}").into())
}

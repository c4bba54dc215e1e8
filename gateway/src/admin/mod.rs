//! What operators and their tools look through: the admin page, its API, metrics and health. The only room that names axum.
//!
//! Owns the HTTP side. `port.rs` says who may hold a connection, `routes.rs` is where every route states who may take it,
//! `guard.rs` holds to that, `trust/` knows people and tokens. `pages/` has one file a page, with the part of the API that the
//! page is made from. The command line has a socket in the data folder that only the gateway's own user can open; the same
//! API stands there.

mod assets;
mod attention;
mod audit;
mod clients;
mod figures;
mod guard;
mod history;
mod ledger;
mod live;
mod machine;
mod measurements;
mod metrics;
mod mqtt;
mod openapi;
mod pages;
mod plugins;
mod port;
mod probes;
mod problem;
mod routes;
mod settings;
mod support;
mod system;
#[cfg(test)]
mod tests;
mod trial;
mod trust;
mod updates;
mod uplinks;
mod upload;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::assets::Assets;
use self::audit::Audit;
use self::figures::Figures;
pub use self::history::keep as keep_history;
pub use self::port::PortStats;
use self::routes::{Access, Routes};
pub use self::system::System;
use self::trial::Trials;
use self::trust::{Caller, Trust};
pub use self::updates::{Updates, see_updates_through};
use crate::broker;
use crate::changes::{Changes, OnTrial};
use crate::history::History;
use crate::host::Host;
use crate::logging::Kept;
use crate::measurements::Measurements;
use crate::password::{self, Hash, Permit};
use crate::people::Role;
use crate::pipeline::Pipeline;
use crate::plugins::Plugins;
use crate::probe::Probes;
use crate::radio::Radios;
use crate::store::{AuditRow, Store};
use crate::supervisor::{Health, Supervisor, UnitError};
use crate::tls::Server;
use crate::uplink::Uplinks;

/// The socket's name in the data folder.
pub const SOCKET: &str = "stile.sock";

/// How long requests that are under way when the gateway stops may take.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Somebody who asks that the settings be read again: is told when that is done, or why it is not.
pub type ReloadAsked = oneshot::Sender<Result<(), String>>;

/// What the pages are made from.
pub struct Sources {
    /// The gateway's id.
    pub id: String,
    /// The one path and its ledger.
    pub pipeline: Arc<Pipeline>,
    /// How the units are.
    pub supervisor: Supervisor,
    /// The broker: its counters, and where clients over WebSocket go.
    pub broker: broker::Broker,
    /// The store's counters.
    pub store: Store,
    /// The radios' counters.
    pub radios: Arc<Radios>,
    /// The uplinks, and how they are.
    pub uplinks: Arc<Uplinks>,
    /// The probes, and how they are.
    pub probes: Arc<Probes>,
    /// The plugins, and how they are.
    pub plugins: Arc<Plugins>,
    /// What is kept of measurements.
    pub measurements: Arc<Measurements>,
    /// What the figures were.
    pub history: History,
    /// What the machine says of itself.
    pub host: Host,
    /// The last log lines.
    pub logs: Kept,
    /// What the gateway as a whole can be told.
    pub system: System,
    /// What goes on of updates.
    pub updates: Updates,
    /// Where it is asked that the settings be read again.
    pub reload: mpsc::Sender<ReloadAsked>,
    /// People, and what the page remembers.
    pub page: Page,
    /// The changes of the settings; empty where these are in no file.
    pub changes: OnceLock<Changes>,
    /// What the port counts.
    pub port: Arc<PortStats>,
    /// Set while the gateway serves: after its start and before its end.
    pub serving: AtomicBool,
    /// Where it can be reached now, for `stile health`.
    pub open: Mutex<Vec<Open>>,
}

/// An address that the gateway listens on.
#[derive(Debug, Clone, Serialize)]
pub struct Open {
    /// What answers there: `tcp`, `tls`, `websocket` or `websocket-tls` for MQTT, and `page`.
    pub door: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// Where TLS comes first: the SHA-256 of the certificate that is shown.
    pub certificate: Option<String>,
}

/// What the page has of its own.
pub struct Page {
    trust: Arc<Trust>,
    audit: Audit,
    assets: Assets,
    figures: Figures,
    trials: Trials,
}

impl Page {
    /// Reads who may sign in, and goes on with the audit log; `told` is the hash of a set-up code that was given out beforehand.
    /// Waits for the disk.
    pub fn open(
        data_dir: &Path,
        permit: Permit,
        told: Option<Hash>,
        store: &Store,
        audit: BTreeMap<u64, AuditRow>,
    ) -> Self {
        let audit = Audit::new(store.clone(), audit.into_values());
        let trust = Arc::new(Trust::open(data_dir, permit, told));
        Self { trust, audit, assets: Assets::new(), figures: Figures::new(), trials: Trials::default() }
    }

    /// What whoever sets the gateway up has to know; `None` when there is an admin already.
    pub fn setup_code(&self) -> Option<String> {
        self.trust.setup_code().map(|code| password::grouped(&code))
    }

    /// Says which change of the settings is on trial from now on.
    pub fn is_on_trial(&self, on_trial: Option<OnTrial>) {
        self.trials.set(on_trial);
    }

    /// Reads again who may sign in. Waits for the disk.
    ///
    /// # Errors
    /// What is wrong with the file; it is logged, and what was known before goes on.
    pub fn reload(&self) -> Result<(), String> {
        self.trust.reload()
    }
}

/// How somebody has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// By the socket in the data folder: the gateway's own user.
    Socket,
    /// By plain HTTP, from this machine alone.
    Loopback {
        /// Of the listener.
        port: u16,
    },
    /// By TLS.
    Secure {
        /// Of the listener.
        port: u16,
    },
}

/// Opens the admin address.
///
/// # Errors
/// In words that name the setting.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, UnitError> {
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "another program has this port; set another in `admin.listen`",
            _ => "check `admin.listen`",
        };
        format!("can't serve the admin page on {address}: {error}; {remedy}").into()
    })
}

/// Opens the socket for the command line, in the place of one that a killed gateway left behind.
///
/// # Errors
/// In words that name the path.
pub fn bind_socket(data_dir: &Path) -> Result<UnixListener, UnitError> {
    let path = data_dir.join(SOCKET);
    let explain = |error: io::Error| -> UnitError {
        format!("can't open {}: {error}; check `gateway.data-dir`, its rights and its length", path.display()).into()
    };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(explain(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(explain)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(explain)?;
    Ok(listener)
}

/// Where the socket is.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}

/// Serves the admin address until told to stop; by TLS where there is a certificate.
///
/// # Errors
/// What the listener failed of.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Server>,
    sources: Arc<Sources>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let port = listener.local_addr()?.port();
    let door = if tls.is_some() { Door::Secure { port } } else { Door::Loopback { port } };
    let router = page_routes(Routes::new(door))
        .into_router(Arc::clone(&sources))
        .layer(axum::Extension(live::Stop(stop.clone())));
    let serving = async {
        port::run(listener, tls, router, &sources.port, stop.clone()).await;
        Ok(())
    };
    until_patience_ends(serving, stop.clone()).await
}

/// Notes every few seconds what the counters are, until told to stop.
pub async fn watch(sources: Arc<Sources>, stop: CancellationToken) {
    figures::watch(sources, stop).await;
}

/// Whoever has sent half a request would hold up the end for ever: after [`LAST_ANSWERS`] the rest is cut off.
async fn until_patience_ends(
    serving: impl Future<Output = io::Result<()>>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        served = serving => served.map_err(UnitError::from),
        () = patience => Ok(()),
    }
}

/// Serves the socket until told to stop.
///
/// # Errors
/// What the listener failed of.
pub async fn serve_socket(
    listener: UnixListener,
    sources: Arc<Sources>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let own = Access::Role(Role::Admin);
    let router = page_routes(Routes::new(Door::Socket))
        .post("/users/reload", own, reload_users)
        .post("/people/reload", own, reload_people)
        .get("/setup-code", own, setup_code)
        .get("/doors", own, doors)
        .post("/reload", own, reload)
        .get("/plugins", own, plugins::list)
        .into_router(sources)
        .layer(axum::Extension(live::Stop(stop.clone())));
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    until_patience_ends(serving.into_future(), stop).await
}

/// What stands both on the port and on the socket.
fn page_routes(routes: Routes) -> Routes {
    routes
        .get("/metrics", Access::OpenOnLoopback(Role::Metrics), metrics_page)
        .get("/healthz", Access::Open, health)
        .get("/readyz", Access::Open, readiness)
        // The broker asks whoever comes for his name by itself.
        .page(broker::websocket::PATH, Access::Open, mqtt::upgrade)
        .with(assets::routes)
        .with(ledger::routes)
        .with(live::routes)
        .with(measurements::routes)
        .with(audit::routes)
        .with(probes::routes)
        .with(openapi::routes)
        .with(pages::routes)
}

async fn metrics_page(State(sources): State<Arc<Sources>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::text(&sources))
}

/// 200 while every unit runs, 503 when one is degraded. The body says how each is, but not to strangers from other machines.
async fn health(State(sources): State<Arc<Sources>>, door: Door, caller: Caller) -> Response {
    let units = sources.supervisor.status();
    let degraded = units.values().any(|unit| unit.health == Health::Degraded);
    let balances = sources.pipeline.ledger().snapshot().balances();
    let good = !degraded && balances;
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if matches!(door, Door::Secure { .. }) && caller.role() < Some(Role::Viewer) {
        return (status, Json(serde_json::json!({ "healthy": good }))).into_response();
    }
    (status, Json(serde_json::json!({ "healthy": good, "units": units, "ledger_balances": balances }))).into_response()
}

/// 200 while the gateway serves. A radio that is unplugged does not change that.
async fn readiness(State(sources): State<Arc<Sources>>) -> (StatusCode, &'static str) {
    if sources.serving.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

/// `stile user` has changed `users.toml`. Answered when whoever lost a right has lost it.
async fn reload_users(State(sources): State<Arc<Sources>>) -> (StatusCode, String) {
    match sources.broker.reload_users().await {
        Ok(()) => (StatusCode::OK, "done\n".to_owned()),
        Err(problems) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problems}\n")),
    }
}

/// `stile person` or `stile token` has changed `people.toml`.
async fn reload_people(State(sources): State<Arc<Sources>>) -> (StatusCode, String) {
    let trust = Arc::clone(&sources.page.trust);
    match tokio::task::spawn_blocking(move || trust.reload()).await {
        Ok(Ok(())) => (StatusCode::OK, "done\n".to_owned()),
        Ok(Err(problem)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")),
        Err(panic) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{panic}\n")),
    }
}

/// What whoever sets the page up has to know.
async fn setup_code(State(sources): State<Arc<Sources>>) -> (StatusCode, String) {
    match sources.page.setup_code() {
        Some(code) => (StatusCode::OK, format!("{code}\n")),
        None => (
            StatusCode::NOT_FOUND,
            "the gateway is set up; `stile person passwd NAME` gives a new password\n".to_owned(),
        ),
    }
}

/// What is said where nobody takes or answers any more: either ends with the gateway.
const STOPPING: &str = "the gateway is stopping";

/// The settings have changed. Answered when they are in force, or were refused.
async fn reload(State(sources): State<Arc<Sources>>) -> (StatusCode, String) {
    let (asked, told) = oneshot::channel();
    let answer = match sources.reload.send(asked).await {
        Ok(()) => told.await.ok(),
        Err(_) => None,
    };
    match answer {
        Some(Ok(())) => (StatusCode::OK, "done\n".to_owned()),
        Some(Err(problems)) => (StatusCode::CONFLICT, format!("{problems}\n")),
        None => (StatusCode::SERVICE_UNAVAILABLE, format!("{STOPPING}\n")),
    }
}

/// Where the gateway listens, and with which certificates.
async fn doors(State(sources): State<Arc<Sources>>) -> Json<Vec<Open>> {
    Json(sources.open.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// The same for whoever waits on a thread of his own.
fn ask_reload_now(sources: &Sources) -> Result<(), String> {
    let (asked, told) = oneshot::channel();
    sources.reload.blocking_send(asked).map_err(|_| STOPPING)?;
    told.blocking_recv().map_err(|_| STOPPING)?
}

//! What operators and their tools look through: metrics, health, live messages. The only room that names axum.
//!
//! Owns the HTTP side. Never changes anything itself: it has the settings or the users read again or a client sent away, and
//! hands on the streams of MQTT clients that come over WebSocket. On the TCP address stands what anybody who reaches it may read;
//! messages and the ledger as JSON stand on a socket in the data folder that only the gateway's own user can open.

mod clients;
mod live;
mod metrics;
mod mqtt;
mod plugins;
mod port;
mod uplinks;

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use self::port::PortStats;
use crate::broker;
use crate::pipeline::Pipeline;
use crate::plugins::Plugins;
use crate::radio::Radios;
use crate::store::Store;
use crate::supervisor::{Health, Supervisor, UnitError};
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
    /// The plugins, and how they are.
    pub plugins: Arc<Plugins>,
    /// Where it is asked that the settings be read again.
    pub reload: mpsc::Sender<ReloadAsked>,
    /// What the port counts.
    pub port: PortStats,
    /// Set while the gateway serves: after its start and before its end.
    pub serving: AtomicBool,
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

/// Serves the admin address until told to stop.
///
/// # Errors
/// What the listener failed of.
pub async fn serve(listener: TcpListener, sources: Arc<Sources>, stop: CancellationToken) -> Result<(), UnitError> {
    let routes = open_routes().route(broker::websocket::PATH, get(mqtt::upgrade));
    let router = routes.with_state(Arc::clone(&sources));
    let serving = async {
        port::run(listener, router, &sources.port, stop.clone()).await;
        Ok(())
    };
    until_patience_ends(serving, stop.clone()).await
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
    let routes = open_routes()
        .route("/ledger", get(ledger))
        .route("/tap", get(live::tap))
        .route("/users/reload", post(reload_users))
        .route("/reload", post(reload))
        .route("/plugins", get(plugins::list))
        .route("/uplinks", get(uplinks::list))
        .route("/clients", get(clients::list))
        .route("/clients/{id}/disconnect", post(clients::disconnect));
    let router = routes.with_state(sources).layer(axum::Extension(live::Stop(stop.clone())));
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    until_patience_ends(serving.into_future(), stop).await
}

fn open_routes() -> Router<Arc<Sources>> {
    Router::new()
        .route("/", get(front))
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
}

async fn front(State(sources): State<Arc<Sources>>) -> String {
    let (id, version) = (&sources.id, env!("CARGO_PKG_VERSION"));
    format!(
        "Stile {version} on {id}\n\n/metrics  counters for Prometheus\n/healthz  how each unit is\n/readyz   whether it serves\n/mqtt     MQTT over WebSocket\n"
    )
}

async fn metrics_page(State(sources): State<Arc<Sources>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::text(&sources))
}

/// 200 while every unit runs, 503 when one is degraded; the body says how each is.
async fn health(State(sources): State<Arc<Sources>>) -> impl IntoResponse {
    let units = sources.supervisor.status();
    let degraded = units.values().any(|unit| unit.health == Health::Degraded);
    let balances = sources.pipeline.ledger().snapshot().balances();
    let status = if degraded || !balances { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(serde_json::json!({ "units": units, "ledger_balances": balances })))
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

/// The settings have changed. Answered when they are in force, or were refused.
async fn reload(State(sources): State<Arc<Sources>>) -> (StatusCode, String) {
    let (asked, told) = oneshot::channel();
    // Either ends with the gateway, and nobody else takes or answers.
    let answer = match sources.reload.send(asked).await {
        Ok(()) => told.await,
        Err(_) => return (StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n".to_owned()),
    };
    match answer {
        Ok(Ok(())) => (StatusCode::OK, "done\n".to_owned()),
        Ok(Err(problems)) => (StatusCode::CONFLICT, format!("{problems}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n".to_owned()),
    }
}

async fn ledger(State(sources): State<Arc<Sources>>) -> impl IntoResponse {
    let snapshot = sources.pipeline.ledger().snapshot();
    let radios: serde_json::Map<_, _> = sources
        .radios
        .stats()
        .into_iter()
        .map(|(name, stats)| {
            let counts = serde_json::json!({
                "online": stats.online.load(Ordering::Relaxed),
                "frames_received": stats.frames_received.load(Ordering::Relaxed),
                "frames_rejected": stats.frames_rejected.load(Ordering::Relaxed),
                "frames_sent": stats.frames_sent.load(Ordering::Relaxed),
                "refused": stats.refusals().map(|(_, n)| n).sum::<u64>(),
            });
            (name, counts)
        })
        .collect();
    Json(serde_json::json!({
        "gateway": sources.id,
        "balances": snapshot.balances(),
        "ledger": snapshot,
        "radios": radios,
        "clients": sources.broker.stats().connections.load(Ordering::Relaxed),
        "units": sources.supervisor.status(),
    }))
}

//! Who is connected or away with a session that is kept, and sending a client away: for the page, for programs, and for the
//! command line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::audit::Did;
use super::problem::Problem;
use super::{Door, Sources};
use crate::broker::{self, Client, SessionAfter, Transport};
use crate::codec::Version;

/// Clients of one answer, unless fewer are asked for.
const MOST: usize = 1000;

/// Some of the clients, by id, and how the broker is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Clients {
    pub(super) clients: Vec<OneClient>,
    /// How many there are of those that were asked for.
    pub(super) matching: usize,
    pub(super) connected: u64,
    /// Those that are away with a session that is kept.
    pub(super) away: u64,
    /// Distinct filters of all subscriptions.
    pub(super) filters: u64,
    /// Retained messages.
    pub(super) retained: Amount,
    /// What waits for all clients together.
    pub(super) waiting: Amount,
}

/// One client. Its counts are of its session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneClient {
    pub(super) id: String,
    /// Whether it is there.
    pub(super) connected: bool,
    /// Since when it is there, or away, RFC 3339.
    pub(super) since: String,
    pub(super) user: Option<String>,
    /// Where it is, or was last; not known of one that is away since the last start.
    pub(super) address: Option<String>,
    /// The version of MQTT.
    pub(super) protocol: Option<&'static str>,
    /// `tcp`, `tls`, `websocket` or `websocket-tls`.
    pub(super) transport: Option<&'static str>,
    /// How long it may be silent; none: for ever.
    pub(super) keep_alive_seconds: Option<u64>,
    /// How long its session outlives its connection.
    session_expiry_seconds: u64,
    pub(super) subscriptions: Vec<Subscription>,
    /// What waits for it.
    pub(super) queue: Amount,
    /// What was sent to it and is not acknowledged.
    pub(super) in_flight: u64,
    received: Amount,
    sent: Amount,
    /// Why it was last lost or cut off.
    pub(super) last_error: Option<String>,
}

/// One subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscription {
    pub(super) filter: String,
    /// The highest QoS that it gets.
    pub(super) qos: u8,
}

/// Messages and their bytes.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Amount {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl From<broker::Amount> for Amount {
    fn from(broker::Amount { messages, bytes }: broker::Amount) -> Self {
        Self { messages, bytes }
    }
}

impl From<Client> for OneClient {
    fn from(client: Client) -> Self {
        let subscriptions = client.subscriptions.iter();
        Self {
            id: client.id.to_string(),
            connected: client.connected,
            since: client.since.rfc3339(),
            user: client.user.as_deref().map(str::to_owned),
            address: client.address.map(|address| address.to_string()),
            protocol: client.protocol.map(Version::as_str),
            transport: client.transport.map(Transport::as_str),
            keep_alive_seconds: client.keep_alive.filter(|time| !time.is_zero()).map(|time| time.as_secs()),
            session_expiry_seconds: client.session_expiry.as_secs(),
            subscriptions: subscriptions
                .map(|(filter, qos)| Subscription { filter: filter.to_string(), qos: *qos as u8 })
                .collect(),
            queue: client.queue.into(),
            in_flight: client.in_flight,
            received: client.received.into(),
            sent: client.sent.into(),
            last_error: client.last_error,
        }
    }
}

/// Gathers those that are asked for.
pub(super) fn gather(sources: &Sources, wanted: &broker::Search) -> Clients {
    let broker::Found { clients, matching, there, away, waiting } = sources.broker.find_clients(wanted);
    let stats = sources.broker.stats();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Clients {
        clients: clients.into_iter().map(OneClient::from).collect(),
        matching,
        connected: there as u64,
        away: away as u64,
        filters: read(&stats.filters),
        retained: Amount { messages: read(&stats.retained), bytes: read(&stats.retained_bytes) },
        waiting: waiting.into(),
    }
}

/// The same in a thread of its own: of thousands it takes a while, and messages go on meanwhile.
pub(super) async fn gather_aside<T: Send + 'static>(
    sources: Arc<Sources>,
    wanted: broker::Search,
    make: impl FnOnce(Clients) -> T + Send + 'static,
) -> Result<T, Problem> {
    let made = tokio::task::spawn_blocking(move || make(gather(&sources, &wanted))).await;
    made.map_err(|panic| Problem::failed(panic.to_string()))
}

/// Which clients are asked for.
#[derive(Deserialize)]
pub(super) struct Asked {
    /// A part of the id, in small letters or large ones.
    #[serde(default)]
    part: String,
    /// Those that are there, or those that are away; without it, all.
    connected: Option<bool>,
    /// So many of the first ones are left out.
    #[serde(default)]
    skip: usize,
    /// At most so many, up to 1000.
    most: Option<usize>,
}

/// Who is connected or away.
#[utoipa::path(get, path = "/api/v1/clients", tag = "broker", responses((status = 200, body = Clients)),
    params(("part" = Option<String>, Query, description = "a part of the id, in small letters or large ones"),
        ("connected" = Option<bool>, Query, description = "those that are there, or those that are away"),
        ("skip" = Option<usize>, Query, description = "so many of the first ones are left out"),
        ("most" = Option<usize>, Query, description = "at most so many, up to 1000")))]
pub(super) async fn get_clients(
    State(sources): State<Arc<Sources>>,
    door: Door,
    Query(Asked { part, connected, skip, most }): Query<Asked>,
) -> Result<Response, Problem> {
    // The command line shows all of them.
    let limit = if door == Door::Socket { usize::MAX } else { MOST };
    let wanted = broker::Search { part, connected, skip, most: most.unwrap_or(limit).min(limit) };
    let text = gather_aside(sources, wanted, |clients| serde_json::to_string(&clients)).await?;
    let text = text.map_err(|error| Problem::failed(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// What becomes of the session.
#[derive(Deserialize)]
pub(super) struct Sent {
    /// Whether it ends too, with its subscriptions and all that waits in it.
    #[serde(default)]
    forget: bool,
}

/// Sends a client away, and ends its session where that is wanted. Gives what was done, in words.
pub(super) async fn send_away(sources: &Sources, id: &str, forget: bool) -> Result<String, Problem> {
    let session = if forget { SessionAfter::Ended } else { SessionAfter::Kept };
    if sources.broker.disconnect(id, session).await {
        let and = if forget { ", and its session ended" } else { "" };
        return Ok(format!("the client {id} was sent away{and}"));
    }
    let what = if forget { "and no session" } else { "now" };
    Err(Problem::not_found(format!("there is no client {id:?} {what}")))
}

/// Sends a client away. Nothing keeps it from coming again.
#[utoipa::path(post, path = "/api/v1/clients/{id}/disconnect", tag = "broker",
    params(("id" = String, Path), ("forget" = Option<bool>, Query, description = "its session ends too")),
    responses((status = 200, description = "sent away", body = Object), (status = 404, body = Problem)))]
pub(super) async fn disconnect(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
    Query(Sent { forget }): Query<Sent>,
) -> Result<Response, Problem> {
    let did = send_away(&sources, &id, forget).await?;
    Ok((Extension(Did::at(did)), Json(json!({ "client": id, "forgotten": forget }))).into_response())
}

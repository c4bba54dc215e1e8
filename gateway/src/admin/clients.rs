//! Who is connected, and sending a client away. On the socket alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Sources;
use crate::broker::{Amount, Client, SessionAfter, Transport};
use crate::codec::Version;

/// `GET /clients`. Made in a thread of its own: of thousands it takes a while, and messages go on meanwhile.
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Response {
    let described = tokio::task::spawn_blocking(move || {
        let clients: Vec<_> = sources.broker.clients().iter().map(describe).collect();
        json!({ "clients": clients }).to_string()
    });
    match described.await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(panic) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{panic}\n")).into_response(),
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Whether its session ends too.
    #[serde(default)]
    forget: bool,
}

/// `POST /clients/{id}/disconnect`, with `?forget=true` to end the session too.
pub(super) async fn disconnect(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let session = if wanted.forget { SessionAfter::Ended } else { SessionAfter::Kept };
    if sources.broker.disconnect(&id, session).await {
        return Json(json!({ "client": id, "forgotten": wanted.forget })).into_response();
    }
    let what = if wanted.forget { "and no session" } else { "now" };
    (StatusCode::NOT_FOUND, format!("there is no client {id:?} {what}\n")).into_response()
}

fn describe(client: &Client) -> Value {
    let amount = |amount: Amount| json!({ "messages": amount.messages, "bytes": amount.bytes });
    let subscriptions: Vec<_> = client
        .subscriptions
        .iter()
        .map(|(filter, qos)| json!({ "filter": filter.as_str(), "qos": *qos as u8 }))
        .collect();
    json!({
        "id": &*client.id,
        "connected": client.connected,
        "since": client.since.rfc3339(),
        "user": client.user.as_deref(),
        "address": client.address.map(|address| address.to_string()),
        "protocol": client.protocol.map(Version::as_str),
        "transport": client.transport.map(Transport::as_str),
        "session_expiry_seconds": client.session_expiry.as_secs(),
        "subscriptions": subscriptions,
        "queue": amount(client.queue),
        "in_flight": client.in_flight,
        "received": amount(client.received),
        "sent": amount(client.sent),
        "last_error": client.last_error.as_deref(),
    })
}

//! The ledger, with radios and units, as `stile top` shows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Sources;
use super::routes::{Access, Routes};
use crate::people::Role;
use crate::pipeline::Snapshot;
use crate::supervisor::Status;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/v1/ledger", Access::Role(Role::Viewer), get_ledger)
}

/// The ledger of now.
#[derive(Serialize, ToSchema)]
pub(super) struct LedgerNow {
    /// The gateway's id.
    gateway: String,
    /// Whether received + added = delivered + filtered + dropped + held + in flight.
    balances: bool,
    /// Its terms; `received` by door and `dropped` by reason.
    #[schema(value_type = Object)]
    ledger: Snapshot,
    /// Radios by name.
    radios: BTreeMap<String, RadioCounts>,
    /// MQTT clients that are connected.
    clients: u64,
    /// Units by name: `health`, `restarts`, `last_error`.
    #[schema(value_type = Object)]
    units: BTreeMap<String, Status>,
}

/// A radio's counters.
#[derive(Serialize, ToSchema)]
pub(super) struct RadioCounts {
    online: bool,
    frames_received: u64,
    frames_rejected: u64,
    frames_sent: u64,
    refused: u64,
}

/// The ledger that counts every message, and how radios and units are.
#[utoipa::path(get, path = "/api/v1/ledger", tag = "overview", responses((status = 200, body = LedgerNow)))]
pub(super) async fn get_ledger(State(sources): State<Arc<Sources>>) -> Json<LedgerNow> {
    let ledger = sources.pipeline.ledger().snapshot();
    let radios = sources.radios.stats().into_iter().map(|(name, stats)| {
        let radio = RadioCounts {
            online: stats.online.load(Ordering::Relaxed),
            frames_received: stats.frames_received.load(Ordering::Relaxed),
            frames_rejected: stats.frames_rejected.load(Ordering::Relaxed),
            frames_sent: stats.frames_sent.load(Ordering::Relaxed),
            refused: stats.refusals().map(|(_, count)| count).sum(),
        };
        (name, radio)
    });
    Json(LedgerNow {
        gateway: sources.id.clone(),
        balances: ledger.balances(),
        ledger,
        radios: radios.collect(),
        clients: sources.broker.stats().connections.load(Ordering::Relaxed),
        units: sources.supervisor.status(),
    })
}

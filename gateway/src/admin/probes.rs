//! Probes: how they are, and a run of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::Sources;
use super::audit::Did;
use super::problem::Problem;
use super::routes::{Access, Routes};
use crate::people::Role;
use crate::probe::{NotRun, Shown};

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/v1/probes", Access::Role(Role::Viewer), list).post(
        "/api/v1/probes/{name}/run",
        Access::Role(Role::Operator),
        post_run,
    )
}

/// All probes, by name, and the reflector.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Probes {
    probes: Vec<Probe>,
    /// None where it is off.
    reflector: Option<Reflector>,
}

/// One probe.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeShown)]
struct Probe {
    name: String,
    /// `stamp`, `dns`, `mqtt`, `tcp` or `udp`.
    kind: &'static str,
    /// Whom it asks: a place, or an uplink's name.
    target: String,
    interface: Option<String>,
    /// From one run to the next; none where it runs only when somebody asks.
    interval_seconds: Option<f64>,
    /// Runs since the start.
    runs: u64,
    /// Of these, those that failed.
    failures: u64,
    /// Bytes sent and received since the start, with headers, as far as they can be known.
    data_bytes: u64,
    /// The same of this day and this month of UTC, and what may be; none: not limited.
    budget: Budgets,
    /// The results of its last run, as they stand on `probe/<name>/result`.
    #[schema(value_type = Vec<Object>)]
    last: Vec<serde_json::Value>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Budgets {
    day_spent: u64,
    day_most: Option<u64>,
    month_spent: u64,
    month_most: Option<u64>,
}

/// What the reflector of STAMP packets counts.
#[derive(Debug, Serialize, ToSchema)]
struct Reflector {
    answered: u64,
    /// Packets that were not answered, by reason.
    refused: BTreeMap<&'static str, u64>,
}

impl From<Shown> for Probe {
    fn from(shown: Shown) -> Self {
        let (settings, (day_spent, month_spent)) = (shown.settings, shown.spent);
        Self {
            kind: settings.kind.as_str(),
            target: settings.kind.target(),
            interface: settings.way.interface,
            interval_seconds: settings.interval.map(|interval| interval.as_secs_f64()),
            runs: shown.runs,
            failures: shown.failures,
            data_bytes: shown.bytes,
            budget: Budgets {
                day_spent,
                day_most: settings.budget.day,
                month_spent,
                month_most: settings.budget.month,
            },
            last: shown.last,
            name: settings.name,
        }
    }
}

/// How each probe is, what it has spent, and what it found last; and what the reflector counts.
#[utoipa::path(get, path = "/api/v1/probes", tag = "probes", responses((status = 200, body = Probes)))]
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Json<Probes> {
    let probes = sources.probes.shown().into_iter().map(Probe::from).collect();
    let reflector = sources.probes.reflector();
    let reflector = reflector.map(|stats| Reflector { answered: stats.answered(), refused: stats.refused().collect() });
    Json(Probes { probes, reflector })
}

/// Runs a probe now, and gives its results: those that its topic gets. Takes 40 s at most;
/// whoever hangs up before that finds them on the topic and in the list.
#[utoipa::path(post, path = "/api/v1/probes/{name}/run", tag = "probes", params(("name" = String, Path)),
    responses((status = 200, body = Vec<Object>), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn post_run(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    match sources.probes.run(&name).await {
        Ok(results) => {
            let did = Extension(Did::at(format!("ran the probe {name}")));
            Ok((did, Json(results)).into_response())
        }
        Err(NotRun::Unknown) => {
            Err(Problem::not_found("the settings have no probe of that name; `stile probe list` shows which"))
        }
        Err(NotRun::Busy) => Err(Problem::new(
            StatusCode::CONFLICT,
            "a run is under way, or one of another that it has to wait for; try again",
        )),
    }
}

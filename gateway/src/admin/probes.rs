//! Probes: how they are, and a run of one. What is kept of their results is `pages/probes/`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Sources;
use super::audit::Did;
use super::problem::Problem;
use super::routes::{Access, Routes};
use crate::people::Role;
use crate::probe::{Demanded, NotRun, Shown};

pub(super) fn routes(routes: Routes) -> Routes {
    let (path, operator) = ("/api/v1/probes/{name}/run", Access::Role(Role::Operator));
    routes
        .get("/api/v1/probes", Access::Role(Role::Viewer), list)
        .post(path, operator, post_run)
        .delete(path, operator, delete_run)
}

/// All probes, by name, and the reflector.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Probes {
    pub(super) probes: Vec<Probe>,
    /// None where it is off.
    pub(super) reflector: Option<Reflector>,
}

/// One probe.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ProbeShown)]
pub(super) struct Probe {
    pub(super) name: String,
    /// `stamp`, `dns`, `mqtt`, `tcp` or `udp`.
    pub(super) kind: &'static str,
    /// Whom it asks: a place, or an uplink's name.
    pub(super) target: String,
    pub(super) interface: Option<String>,
    /// From one run to the next; none where it runs only when somebody asks.
    pub(super) interval_seconds: Option<f64>,
    /// Runs since the start.
    pub(super) runs: u64,
    /// Of these, those that failed.
    pub(super) failures: u64,
    /// Bytes sent and received since the start, with headers, as far as they can be known.
    pub(super) data_bytes: u64,
    /// The same of this day and this month of UTC, and what may be; none: not limited.
    pub(super) budget: Budgets,
    /// The results of its last run, as they stand on `probe/<name>/result`.
    #[schema(value_type = Vec<Object>)]
    pub(super) last: Vec<Value>,
    /// The run that somebody asks for.
    pub(super) demand: Demand,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ProbeBudgets)]
pub(super) struct Budgets {
    pub(super) day_spent: u64,
    pub(super) day_most: Option<u64>,
    pub(super) month_spent: u64,
    pub(super) month_most: Option<u64>,
}

/// A run that somebody asks for: there is one at a time.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ProbeDemand)]
pub(super) struct Demand {
    /// How long there has been one; none where there is none.
    pub(super) running_seconds: Option<f64>,
    /// The results of the last one since the start.
    #[schema(value_type = Vec<Object>)]
    pub(super) results: Vec<Value>,
    /// Why the last one was not run.
    pub(super) not_run: Option<&'static str>,
}

/// The reflector of STAMP packets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reflector {
    /// Where it listens; none while it can't.
    pub(super) address: Option<String>,
    pub(super) answered: u64,
    /// Packets that were not answered, by reason.
    pub(super) refused: BTreeMap<&'static str, u64>,
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
            demand: shown.demanded.into(),
            name: settings.name,
        }
    }
}

impl From<Demanded> for Demand {
    fn from(demanded: Demanded) -> Self {
        let (results, not_run) = match demanded.last {
            Some(Ok(results)) => (results, None),
            Some(Err(why)) => (Vec::new(), Some(in_words(why))),
            None => (Vec::new(), None),
        };
        Self { running_seconds: demanded.since.map(|since| since.as_secs_f64()), results, not_run }
    }
}

fn in_words(why: NotRun) -> &'static str {
    match why {
        NotRun::Unknown => "the settings have no probe of that name; `stile probe list` shows which",
        NotRun::Busy => "a run is under way; try again when it has ended",
        NotRun::Cancelled => "it was cancelled before it began",
    }
}

impl From<NotRun> for Problem {
    fn from(why: NotRun) -> Self {
        match why {
            NotRun::Unknown => Self::not_found(in_words(why)),
            NotRun::Busy | NotRun::Cancelled => Self::new(StatusCode::CONFLICT, in_words(why)),
        }
    }
}

/// Gathers them.
pub(super) fn gather(sources: &Sources) -> Probes {
    let probes = sources.probes.shown().into_iter().map(Probe::from).collect();
    let reflector = sources.probes.reflector().map(|stats| Reflector {
        address: stats.address().map(|address| address.to_string()),
        answered: stats.answered(),
        refused: stats.refused().collect(),
    });
    Probes { probes, reflector }
}

/// Finds one.
pub(super) fn find(sources: &Sources, name: &str) -> Result<Shown, Problem> {
    let found = sources.probes.shown().into_iter().find(|shown| shown.settings.name == name);
    found.ok_or_else(|| NotRun::Unknown.into())
}

/// How each probe is, what it has spent, and what it found last; and what the reflector counts.
#[utoipa::path(get, path = "/api/v1/probes", tag = "probes", responses((status = 200, body = Probes)))]
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Json<Probes> {
    Json(gather(&sources))
}

/// Runs a probe now, and gives its results: those that its topic gets. Takes 40 s at most;
/// whoever hangs up before that finds them on the topic and in the list.
#[utoipa::path(post, path = "/api/v1/probes/{name}/run", tag = "probes", params(("name" = String, Path)),
    responses((status = 200, body = Vec<Object>), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn post_run(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let results = sources.probes.run(&name).await?;
    Ok((ran(&name), Json(results)).into_response())
}

/// For the audit log.
pub(super) fn ran(probe: &str) -> Extension<Did> {
    Extension(Did::at(format!("ran the probe {probe}")))
}

/// Has the run end that somebody asked for. Says what was done.
pub(super) fn cancel(sources: &Sources, probe: &str) -> Result<String, Problem> {
    if !sources.probes.cancel(probe).ok_or(NotRun::Unknown)? {
        return Err(Problem::new(StatusCode::CONFLICT, "no run that somebody asked for is under way"));
    }
    Ok(format!("cancelled the run of the probe {probe}"))
}

/// Cancels the run that somebody asked for. It ends within a moment, with a result that says so.
#[utoipa::path(delete, path = "/api/v1/probes/{name}/run", tag = "probes", params(("name" = String, Path)),
    responses((status = 204, description = "cancelled"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn delete_run(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let did = cancel(&sources, &name)?;
    Ok((StatusCode::NO_CONTENT, Extension(Did::at(did))).into_response())
}

//! Measurements of the network: all probes and the reflector, and a page of each probe, where operators run it.
//!
//! `words.rs` says what a result says, `kept.rs` reads what is kept of results and draws it as `plots.rs` has it.

pub(in crate::admin) mod kept;
mod plots;
mod words;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::kept::{Figures, Kept};
use self::words::Told;
use super::charts::Drawn;
use super::measurements::{SPANS, formats, span_of};
use super::shown::{bytes, count, duration};
use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::probes::{self, Probe, Reflector};
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::people::Role;

pub(super) const PATH: &str = "/probes";
/// How long a run may take that the page waits for; of a longer one it says that it is under way.
const WAIT: Duration = Duration::from_millis(1500);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn routes(routes: Routes) -> Routes {
    let (viewer, operator) = (Access::Role(Role::Viewer), Access::Role(Role::Operator));
    routes
        .page(PATH, viewer, page)
        .page("/probes/{name}", viewer, page_of_one)
        .form("/probes/{name}/run", operator, run_form)
        .form("/probes/{name}/cancel", operator, cancel_form)
        .get("/api/v1/probes/{name}", viewer, get_probe)
}

/// What pages say of a probe.
impl Probe {
    fn schedule(&self) -> String {
        match self.interval_seconds {
            None => "when somebody asks".to_owned(),
            Some(seconds) if seconds < 1.0 => format!("every {} ms", (seconds * 1e3).round()),
            Some(seconds) => format!("every {}", duration(Duration::from_secs_f64(seconds))),
        }
    }

    /// Of its last run: one, or with `mqtt` one for each path.
    fn told(&self) -> Vec<Told> {
        self.last.iter().map(Told::of).collect()
    }

    /// When its last run began.
    fn when(&self) -> String {
        self.last.first().map(|result| Told::of(result).when).unwrap_or_default()
    }

    /// Of each budget: what it is, in words, and how much of it is spent, in hundredths.
    fn budgets(&self) -> Vec<(&'static str, String, u64)> {
        let budget = &self.budget;
        let both = [("day", budget.day_spent, budget.day_most), ("month", budget.month_spent, budget.month_most)];
        let limited = both.into_iter().filter_map(|(of, spent, most)| Some((of, spent, most?)));
        let words = |(of, spent, most): (&'static str, u64, u64)| {
            let part = spent.saturating_mul(100).checked_div(most).unwrap_or(100).min(100);
            (of, format!("{} of {} this {of}", bytes(spent), bytes(most)), part)
        };
        limited.map(words).collect()
    }

    fn spent(&self) -> String {
        format!(
            "{} today, {} this month; no limit is set",
            bytes(self.budget.day_spent),
            bytes(self.budget.month_spent)
        )
    }

    fn counted(&self) -> String {
        format!("{}, of which {} failed", count(self.runs), count(self.failures))
    }

    fn moved(&self) -> String {
        bytes(self.data_bytes)
    }

    /// How long a run has been under way that somebody asked for.
    fn running(&self) -> Option<String> {
        self.demand.running_seconds.map(|seconds| duration(Duration::from_secs_f64(seconds)))
    }

    /// What came of the last run that somebody asked for.
    fn demanded(&self) -> Vec<Told> {
        self.demand.results.iter().map(Told::of).collect()
    }
}

impl Reflector {
    fn replies(&self) -> String {
        count(self.answered)
    }

    /// Reasons that have counted something, in words.
    fn refusals(&self) -> Vec<(&'static str, &'static str, String)> {
        let some = self.refused.iter().filter(|(_, number)| **number > 0);
        some.map(|(why, number)| (*why, refused(why), count(*number))).collect()
    }
}

/// The reasons of `/metrics` in words.
fn refused(reason: &str) -> &'static str {
    match reason {
        "not-allowed" => "its address is not in `allow`",
        "rate-limit" => "too many from its address: see `rate-limit`",
        "short" => "shorter than STAMP's 44 bytes: the answer would be longer",
        "long" => "longer than what leaves in one piece",
        "reflector" => "from where reflectors are: two would answer each other for ever",
        _ => "the answer could not be sent",
    }
}

#[derive(Template)]
#[template(path = "probes.html")]
struct Page {
    frame: Frame,
    probes: Vec<Probe>,
    reflector: Option<Reflector>,
}

async fn page(frame: Frame, State(sources): State<Arc<Sources>>) -> Response {
    let probes::Probes { probes, reflector } = probes::gather(&sources);
    show(&Page { frame, probes, reflector })
}

/// What is to be shown of one.
#[derive(Debug, Default, Deserialize)]
pub(in crate::admin) struct Wanted {
    /// How far back.
    #[serde(default)]
    span: String,
    /// Only how it is now: the page asks for that again and again.
    #[serde(default)]
    now: Option<String>,
}

#[derive(Template)]
#[template(path = "probe.html")]
struct PageOfOne {
    frame: Frame,
    probe: Probe,
    /// Whether results are kept at all.
    keeps: bool,
    span: &'static str,
    /// None where only how it is now is asked for.
    history: Option<History>,
    /// Whether whoever looks may run it.
    acts: bool,
}

/// What was, as the page shows it.
#[derive(Default)]
struct History {
    charts: Vec<Drawn>,
    results: Vec<Told>,
    cut: bool,
    /// Why it can't be shown.
    trouble: Option<String>,
}

impl PageOfOne {
    fn spans(&self) -> [(&'static str, &'static str, bool); SPANS.len()] {
        SPANS.map(|(span, words)| (span, words, span == self.span))
    }

    fn formats(&self) -> [(&'static str, &'static str); 5] {
        formats()
    }

    /// What it is, in names and words.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let probe = &self.probe;
        let rows = [
            ("Measures", Some(measures(probe.kind).to_owned())),
            ("Against", Some(probe.target.clone())),
            ("By the interface", probe.interface.clone()),
            ("Runs", Some(probe.schedule())),
            ("Runs since the start", Some(probe.counted())),
            ("Data since the start", Some(probe.moved())),
            ("Spent", Some(probe.spent()).filter(|_| probe.budgets().is_empty())),
        ];
        rows.into_iter().filter_map(|(name, words)| Some((name, words?))).collect()
    }
}

fn measures(kind: &str) -> &'static str {
    match kind {
        "stamp" => "round trips to a STAMP reflector (stamp)",
        "dns" => "how long a name server takes (dns)",
        "mqtt" => "acknowledgement by an uplink's remote (mqtt)",
        "tcp" => "throughput of TCP to an iperf3 server (tcp)",
        _ => "throughput of UDP to an iperf3 server (udp)",
    }
}

async fn page_of_one(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let probe = Probe::from(probes::find(&sources, &name)?);
    let (span, back) = span_of(&wanted.span);
    let history = match wanted.now {
        Some(_) => None,
        None => Some(match kept::read(&sources, &probe, back).await {
            Ok(kept) => {
                let results = kept.results.iter().rev().map(Told::of).collect();
                History { charts: kept.draw(), results, cut: kept.cut, trouble: None }
            }
            Err(why) => History { trouble: Some(why.detail), ..History::default() },
        }),
    };
    let (keeps, acts) = (sources.measurements.shown().is_some(), frame.may(Role::Operator));
    Ok(show(&PageOfOne { frame, probe, keeps, span, history, acts }))
}

/// A probe, and what is kept of its results.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeDetail)]
pub(in crate::admin) struct Detail {
    probe: Probe,
    figures: Figures,
    /// The newest results of the time that was asked for, the oldest first, up to 20.
    #[schema(value_type = Vec<Object>)]
    results: Vec<serde_json::Value>,
    /// There is more than could be read in time: the newest are missing.
    cut: bool,
}

/// One probe, what its figures were, and the last results that are kept.
#[utoipa::path(get, path = "/api/v1/probes/{name}", tag = "probes", params(("name" = String, Path),
    ("span" = Option<String>, Query, description = "how far back: `1h`, `6h`, `24h` or `7d`; else `1h`")),
    responses((status = 200, body = Detail), (status = 404, body = Problem),
        (status = 503, description = "others are reading already", body = Problem)))]
pub(in crate::admin) async fn get_probe(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Detail>, Problem> {
    let probe = Probe::from(probes::find(&sources, &name)?);
    let kept: Kept = kept::read(&sources, &probe, span_of(&wanted.span).1).await?;
    let figures = kept.figures();
    Ok(Json(Detail { probe, figures, cut: kept.cut, results: kept.results.into() }))
}

/// Begins a run, and waits for a short one. It goes on whether anybody looks or not.
async fn run_form(State(sources): State<Arc<Sources>>, Path(name): Path<String>) -> Result<Response, Problem> {
    sources.probes.begin(&name)?;
    let ended = async {
        while probes::find(&sources, &name).is_ok_and(|shown| shown.demanded.since.is_some()) {
            tokio::time::sleep(LOOK).await;
        }
    };
    // It is under way then, which the page says.
    let _ = tokio::time::timeout(WAIT, ended).await;
    Ok((probes::ran(&name), Redirect::to(&format!("{PATH}/{name}#run"))).into_response())
}

async fn cancel_form(
    caller: Caller,
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let did = probes::cancel(&sources, &name)?;
    sources.page.trust.tell(&caller, format!("Done: {did}."));
    let did = axum::Extension(Did::at(did));
    Ok((did, Redirect::to(&format!("{PATH}/{name}#run"))).into_response())
}

//! How plugins are. On the socket alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Sources;
use crate::plugin_host::{FailureKind, Figure, Report};
use crate::plugins::Shown;

/// `GET /plugins`, in the order of the messages' way.
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Json<Value> {
    Json(json!({ "plugins": sources.plugins.shown().iter().map(describe).collect::<Vec<_>>() }))
}

fn describe(shown: &Shown) -> Value {
    let report = shown.status.as_ref().map(|status| status.report());
    json!({
        "name": shown.name,
        "hash": shown.hash,
        "load_error": shown.load_error,
        "state": report.as_ref().map_or("not-loaded", |report| report.health.as_str()),
        "report": report.as_ref().map(counts),
    })
}

fn counts(report: &Report) -> Value {
    let failures = FailureKind::ALL.iter().map(|kind| (kind.as_str().to_owned(), report.failures_of(*kind).into()));
    let metrics = report.metrics.iter().map(|(name, figure)| (name.clone(), value(*figure)));
    let last_error = report.last_error.as_ref();
    json!({
        "calls": report.calls,
        "messages": report.messages,
        "passed": report.passed,
        "modified": report.modified,
        "filtered": report.filtered,
        "replaced": report.replaced,
        "rejected": report.rejected,
        "last_rejection": report.last_rejection,
        "failed": report.failed,
        "skipped": report.skipped,
        "made": report.made,
        "failures": failures.collect::<Map<_, _>>(),
        "instances": report.instances,
        "quarantines": report.quarantines,
        "last_error": last_error.map(|(text, _)| text),
        "cpu_seconds": report.cpu.as_secs_f64(),
        "memory_bytes": report.memory,
        "metrics": metrics.collect::<Map<_, _>>(),
    })
}

fn value(figure: Figure) -> Value {
    match figure {
        Figure::Count(count) => count.into(),
        // Neither infinity nor what is no number can be written in JSON.
        Figure::Gauge(value) => value.into(),
    }
}

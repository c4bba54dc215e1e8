//! How uplinks are. On the socket alone: addresses and errors are not for everybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Sources;
use crate::spool::{Dropped, Figures};
use crate::uplink::Shown;

/// `GET /uplinks`, by name.
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Json<Value> {
    Json(json!({ "uplinks": sources.uplinks.shown().iter().map(describe).collect::<Vec<_>>() }))
}

fn describe(shown: &Shown) -> Value {
    let (settings, stats) = (&shown.settings, &shown.stats);
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let condition = stats.condition();
    let to_drain = shown.spool.as_ref().and_then(|spool| stats.time_for(spool.messages));
    json!({
        "name": settings.name,
        "url": settings.url,
        "state": if condition.online { "online" } else { "offline" },
        "since": condition.since,
        "last_error": condition.last_error,
        "limits": condition.limits,
        "paths": condition.paths,
        "path_changes": read(&stats.path_changes),
        "path_gap_seconds": condition.path_gap.map(|gap| gap.as_secs_f64()),
        "queue": shown.spool.as_ref().map(queue),
        "seconds_to_drain": to_drain.map(|time| time.as_secs()),
        "sent": read(&stats.sent),
        "repeated": read(&stats.repeated),
        "delivered": read(&stats.delivered),
        "received": read(&stats.received),
        "unwanted": read(&stats.unwanted),
        "connected": read(&stats.connected),
        "failed": read(&stats.failed),
        "dropped": drops(shown),
        "withheld": stats.withholdings().map(|(why, count)| (why.to_owned(), count.into())).collect::<Map<_, Value>>(),
    })
}

fn queue(figures: &Figures) -> Value {
    json!({
        "messages": figures.messages,
        "in_flight": figures.in_flight,
        "bytes": figures.bytes,
        "disk_bytes": figures.disk_bytes,
        "oldest_seconds": figures.oldest_age.map(|age| age.as_secs_f64()),
        "failing": figures.failing,
        "last_error": figures.last_error,
    })
}

fn drops(shown: &Shown) -> Map<String, Value> {
    reasons(shown).map(|(why, count)| (why.to_owned(), count.into())).collect()
}

/// All that did not reach a remote, by reason: what the spool dropped, and what can't go there.
pub(super) fn reasons(shown: &Shown) -> impl Iterator<Item = (&'static str, u64)> {
    let Dropped { full, oldest, expired, busy, disk, size } =
        shown.spool.as_ref().map(|spool| spool.dropped).unwrap_or_default();
    let damaged = shown.spool.as_ref().map_or(0, |spool| spool.quarantined.messages);
    let spool = [
        ("spool-full", full),
        ("spool-oldest", oldest),
        ("spool-too-old", expired),
        ("spool-busy", busy),
        ("spool-disk", disk),
        ("spool-size", size),
        ("spool-damaged", damaged),
    ];
    shown.stats.deaths().chain(spool)
}

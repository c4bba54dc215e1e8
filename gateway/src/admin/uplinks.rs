//! How uplinks are: for the page, for programs, and for the command line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Sources;
use super::figures::Figures;
use crate::spool::{self, Dropped};
use crate::uplink::{Limits, PathCondition, Shown};

/// All uplinks, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Uplinks {
    pub(super) uplinks: Vec<Uplink>,
}

/// One uplink.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Uplink {
    pub(super) name: String,
    /// Where the remote is.
    pub(super) url: String,
    /// `online` or `offline`.
    pub(super) state: &'static str,
    /// Since when, RFC 3339.
    pub(super) since: String,
    /// Why the remote was lost or could not be reached last.
    pub(super) last_error: Option<String>,
    /// What the remote said of its limits; none where it was never there.
    #[schema(value_type = Option<Object>)]
    limits: Option<Limits>,
    /// The ways there, the preferred one first; empty where the settings name none.
    #[schema(value_type = Vec<Object>)]
    pub(super) paths: Vec<PathCondition>,
    pub(super) path_changes: u64,
    /// How long the last change of paths left the remote without messages.
    pub(super) path_gap_seconds: Option<f64>,
    /// What waits; none where the queue on disk can't be opened.
    pub(super) queue: Option<Queue>,
    /// Whether the queue becomes empty.
    pub(super) drain: Drain,
    /// In so many seconds, as it went in the last minute; none where that can't be said.
    pub(super) seconds_to_drain: Option<u64>,
    /// Messages a second that come to the queue, in the last minute; none when it is too new to tell.
    pub(super) queued_per_second: Option<f64>,
    /// Messages a second that leave it.
    pub(super) left_per_second: Option<f64>,
    /// PUBLISH packets, repeated ones included.
    pub(super) sent: u64,
    pub(super) repeated: u64,
    /// Messages that the remote has acknowledged.
    pub(super) delivered: u64,
    /// Messages of the remote.
    pub(super) received: u64,
    /// Messages of the remote that no rule wants.
    pub(super) unwanted: u64,
    /// Times that the remote let the gateway in.
    pub(super) connected: u64,
    /// Times that a connection was lost or not made.
    pub(super) failed: u64,
    /// Messages that did not get there, by reason.
    pub(super) dropped: BTreeMap<&'static str, u64>,
    /// Messages that the sharing policy keeps here, by reason.
    pub(super) withheld: BTreeMap<&'static str, u64>,
}

/// What waits for a remote.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    pub(super) messages: u64,
    /// Of these, sent and not acknowledged.
    pub(super) in_flight: u64,
    /// What they weigh.
    pub(super) bytes: u64,
    /// What the files take.
    pub(super) disk_bytes: u64,
    /// What the files may take.
    pub(super) max_bytes: u64,
    /// How long the oldest has waited.
    pub(super) oldest_seconds: Option<f64>,
    /// The last write failed.
    pub(super) failing: bool,
    pub(super) last_error: Option<String>,
}

/// Whether a queue becomes empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Drain {
    /// It is.
    Empty,
    /// All that waits is under way.
    KeepsUp,
    /// More leaves than comes.
    Draining,
    /// At least as much comes as leaves.
    NotDraining,
    /// Nothing leaves while the remote is away.
    Away,
    /// It is too early to say.
    Unknown,
}

impl Drain {
    /// What is to be said, and in how many seconds the queue is empty, of what comes and leaves a second.
    fn of(online: bool, queue: Option<&Queue>, comes: Option<f64>, leaves: Option<f64>) -> (Self, Option<u64>) {
        let Some(queue) = queue else { return (Self::Unknown, None) };
        if queue.messages == 0 {
            return (Self::Empty, Some(0));
        }
        if !online {
            return (Self::Away, None);
        }
        if queue.in_flight >= queue.messages {
            return (Self::KeepsUp, None);
        }
        match comes.zip(leaves).map(|(comes, leaves)| leaves - comes) {
            None => (Self::Unknown, None),
            Some(fewer) if fewer > 0.0 => (Self::Draining, Some((queue.messages as f64 / fewer).ceil() as u64)),
            Some(_) => (Self::NotDraining, None),
        }
    }
}

impl Uplink {
    pub(super) fn of(shown: &Shown, figures: &Figures) -> Self {
        let (settings, stats) = (&shown.settings, &shown.stats);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let condition = stats.condition();
        let queue = shown.spool.as_ref().map(|spool| Queue::of(spool, settings.spool.max_bytes));
        let rate = |what: &str| figures.rate(&format!("uplink.{}.{what}", settings.name));
        let (queued, left) = (rate("queued"), rate("left"));
        let (drain, seconds_to_drain) = Drain::of(condition.online, queue.as_ref(), queued, left);
        Self {
            name: settings.name.clone(),
            url: settings.url.to_string(),
            state: if condition.online { "online" } else { "offline" },
            since: condition.since,
            last_error: condition.last_error,
            limits: condition.limits,
            paths: condition.paths,
            path_changes: read(&stats.path_changes),
            path_gap_seconds: condition.path_gap.map(|gap| gap.as_secs_f64()),
            queue,
            drain,
            seconds_to_drain,
            queued_per_second: queued,
            left_per_second: left,
            sent: read(&stats.sent),
            repeated: read(&stats.repeated),
            delivered: read(&stats.delivered),
            received: read(&stats.received),
            unwanted: read(&stats.unwanted),
            connected: read(&stats.connected),
            failed: read(&stats.failed),
            dropped: reasons(shown).collect(),
            withheld: stats.withholdings().collect(),
        }
    }

    pub(super) fn online(&self) -> bool {
        self.state == "online"
    }
}

impl Queue {
    fn of(figures: &spool::Figures, max_bytes: u64) -> Self {
        Self {
            messages: figures.messages,
            in_flight: figures.in_flight,
            bytes: figures.bytes,
            disk_bytes: figures.disk_bytes,
            max_bytes,
            oldest_seconds: figures.oldest_age.map(|age| age.as_secs_f64()),
            failing: figures.failing,
            last_error: figures.last_error.clone(),
        }
    }
}

/// Gathers them.
pub(super) fn gather(sources: &Sources) -> Uplinks {
    let of = |shown: &Shown| Uplink::of(shown, &sources.page.figures);
    Uplinks { uplinks: sources.uplinks.shown().iter().map(of).collect() }
}

/// How each uplink is, what waits for its remote, and what did not get there.
#[utoipa::path(get, path = "/api/v1/uplinks", tag = "uplinks", responses((status = 200, body = Uplinks)))]
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Json<Uplinks> {
    Json(gather(&sources))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_queue_is_empty_is_said_only_where_it_can_be() {
        let queue = |messages, in_flight| {
            let figures = spool::Figures { messages, in_flight, ..spool::Figures::default() };
            Queue::of(&figures, 1)
        };
        let (none, some) = (queue(0, 0), queue(100, 10));
        for (online, queue, comes, leaves, said) in [
            (true, Some(&none), None, None, (Drain::Empty, Some(0))),
            (false, Some(&none), None, None, (Drain::Empty, Some(0))),
            (false, Some(&some), Some(1.0), Some(9.0), (Drain::Away, None)),
            (true, Some(&queue(7, 7)), Some(9.0), Some(9.0), (Drain::KeepsUp, None)),
            (true, Some(&some), Some(1.0), Some(9.0), (Drain::Draining, Some(13))),
            (true, Some(&some), Some(9.0), Some(9.0), (Drain::NotDraining, None)),
            (true, Some(&some), Some(0.0), Some(0.0), (Drain::NotDraining, None)),
            (true, Some(&some), None, Some(9.0), (Drain::Unknown, None)),
            (true, None, Some(1.0), Some(9.0), (Drain::Unknown, None)),
        ] {
            assert_eq!(Drain::of(online, queue, comes, leaves), said, "{comes:?} {leaves:?}");
        }
    }
}

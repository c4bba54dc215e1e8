//! Remote brokers: what waits for them, whether that becomes less, and what did not get there (`letters.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::charts::{self, Back, Drawn};
use super::letters::{self, DeadLetter, Trial};
use super::shown::{bytes, count, duration, minute, rate};
use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::uplinks::{self, Drain, Uplink};
use crate::chart::Unit;
use crate::people::Role;

pub(super) const PATH: &str = "/uplinks";

pub(super) fn routes(routes: Routes) -> Routes {
    let viewer = Access::Role(Role::Viewer);
    routes.page(PATH, viewer, page).page("/uplinks/{name}", viewer, page_of_one).get(
        "/api/v1/uplinks",
        viewer,
        uplinks::list,
    )
}

/// What pages say of an uplink.
impl Uplink {
    fn waiting(&self) -> String {
        let Some(queue) = &self.queue else { return "the queue can't be opened".to_owned() };
        match queue.messages {
            0 => "nothing".to_owned(),
            1 => format!("1 message, {}", bytes(queue.bytes)),
            more => format!("{} messages, {}", count(more), bytes(queue.bytes)),
        }
    }

    fn oldest(&self) -> String {
        let oldest = self.queue.as_ref().and_then(|queue| queue.oldest_seconds);
        oldest.map_or_else(|| "–".to_owned(), |seconds| duration(Duration::from_secs_f64(seconds)))
    }

    /// When the queue is empty, as far as that can be said.
    fn drained(&self) -> String {
        let [comes, leaves] = [self.queued_per_second, self.left_per_second].map(rate);
        match (self.drain, self.seconds_to_drain) {
            (Drain::Empty, _) => "empty".to_owned(),
            (Drain::KeepsUp, _) => "keeps up: all that waits is under way".to_owned(),
            (Drain::Draining, Some(seconds)) => format!("empty in about {}", duration(Duration::from_secs(seconds))),
            (Drain::NotDraining, _) => format!("not at this pace: {comes} come and {leaves} leave"),
            (Drain::Away, _) => "not while the remote is away".to_owned(),
            (Drain::Draining | Drain::Unknown, _) => "too early to say".to_owned(),
        }
    }

    fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }

    fn lost_in_words(&self) -> String {
        count(self.lost())
    }

    fn delivered_in_words(&self) -> String {
        count(self.delivered)
    }

    /// How full the queue is, in hundredths.
    fn full(&self) -> u64 {
        let queue = self.queue.as_ref().filter(|queue| queue.max_bytes > 0);
        queue.map_or(0, |queue| (queue.disk_bytes.saturating_mul(100) / queue.max_bytes).min(100))
    }

    fn since_minute(&self) -> String {
        minute(&self.since)
    }
}

#[derive(Template)]
#[template(path = "uplinks.html")]
struct Page {
    frame: Frame,
    uplinks: Vec<Uplink>,
}

async fn page(frame: Frame, State(sources): State<Arc<Sources>>) -> Response {
    show(&Page { frame, uplinks: uplinks::gather(&sources).uplinks })
}

#[derive(Template)]
#[template(path = "uplink.html")]
pub(super) struct PageOfOne {
    frame: Frame,
    uplink: Uplink,
    path: String,
    back: Back,
    charts: Vec<Drawn>,
    letters: Vec<DeadLetter>,
    /// What a test has just found.
    pub(super) trials: Vec<Trial>,
    /// Whether whoever looks may test it, and act on letters.
    acts: bool,
}

impl PageOfOne {
    pub(super) fn new(sources: &Sources, frame: Frame, name: &str, back: Back) -> Result<Self, Problem> {
        let shown = sources.uplinks.shown().into_iter().find(|shown| shown.settings.name == name);
        let shown = shown.ok_or_else(|| unknown(name))?;
        let uplink = Uplink::of(&shown, &sources.page.figures);
        let letters = letters::gather(sources, name)?;
        let (path, charts) = (format!("{PATH}/{name}"), draw(sources, name, back));
        let acts = frame.may(Role::Operator);
        Ok(Self { frame, uplink, path, back, charts, letters, trials: Vec::new(), acts })
    }

    /// What is known of it, as names, words, and for what fills up how full it is, in hundredths.
    fn facts(&self) -> Vec<(&'static str, String, Option<u64>)> {
        let uplink = &self.uplink;
        let queue = uplink.queue.as_ref();
        let space = queue.map(|q| format!("{} of {} on disk", bytes(q.disk_bytes), bytes(q.max_bytes)));
        let under_way = queue.map(|queue| count(queue.in_flight));
        let gap = uplink.path_gap_seconds.map(|gap| format!("{gap:.1} s without an acknowledgement"));
        let rows = [
            ("Waits", Some(uplink.waiting()), None),
            ("Of it, under way", under_way, None),
            ("Its files", space, Some(uplink.full())),
            ("The oldest has waited", Some(uplink.oldest()), None),
            ("Becomes empty", Some(uplink.drained()), None),
            ("Comes to the queue", Some(rate(uplink.queued_per_second)), None),
            ("Leaves it", Some(rate(uplink.left_per_second)), None),
            ("Delivered", Some(count(uplink.delivered)), None),
            ("Sent again", Some(count(uplink.repeated)), None),
            ("Came from there", Some(count(uplink.received)), None),
            ("Connections", Some(format!("{} made, {} lost or not made", uplink.connected, uplink.failed)), None),
            ("Last change of paths", gap, None),
        ];
        rows.into_iter().filter_map(|(name, words, full)| Some((name, words?, full))).collect()
    }

    /// Reasons that have counted something, in words.
    fn losses(&self) -> Vec<(&'static str, &'static str, String)> {
        let some = |counts: &BTreeMap<&'static str, u64>| {
            let some = counts.iter().filter(|(_, number)| **number > 0);
            some.map(|(why, number)| (*why, in_words(why), count(*number))).collect::<Vec<_>>()
        };
        [some(&self.uplink.dropped), some(&self.uplink.withheld)].concat()
    }
}

/// The reasons of `/metrics` in words.
fn in_words(reason: &str) -> &'static str {
    match reason {
        "too-large" => "larger than the remote takes",
        "bad-topic" => "its topic is too long or too deep for the remote",
        "refused" => "the remote refused it",
        "no-rule" => "no rule sends it any more",
        "expired" => "its time ran out while it waited",
        "unreadable" => "its record on disk can't be read",
        "no-room" => "the queue was full, and nobody could be made to wait",
        "bad-payload" => "the remote takes JSON alone there",
        "no-call" => "it answers what nobody asks any more",
        "spool-full" => "the queue was full",
        "spool-oldest" => "it made room for newer ones",
        "spool-too-old" => "older than `max-age`",
        "spool-busy" => "the disk was too slow",
        "spool-disk" => "the disk failed",
        "spool-size" => "empty, or too large for the queue",
        "spool-damaged" => "lost to damage on disk",
        _ => "kept here by the sharing policy",
    }
}

fn draw(sources: &Sources, name: &str, back: Back) -> Vec<Drawn> {
    let series = |what: &str| format!("uplink/{name}/{what}");
    let draw = |head, lines: &[(&str, String)]| charts::drawn(&sources.history, back, head, lines);
    vec![
        draw(("c-messages", "Messages that wait", Unit::Count), &[("waiting", series("messages"))]),
        draw(
            ("c-rates", "Messages a second", Unit::PerSecond),
            &[("come to the queue", series("queued")), ("delivered", series("delivered"))],
        ),
        draw(("c-bytes", "Bytes that wait", Unit::Bytes), &[("waiting", series("bytes"))]),
        draw(("c-oldest", "How long the oldest has waited", Unit::Seconds), &[("oldest", series("oldest"))]),
    ]
}

pub(super) fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no uplink {name}"))
}

/// How far back charts go.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default, rename = "span")]
    back: Back,
}

async fn page_of_one(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Query(Wanted { back }): Query<Wanted>,
) -> Result<Response, Problem> {
    Ok(show(&PageOfOne::new(&sources, frame, &name, back)?))
}

//! Radios: all of them with their counters. `one.rs` is one of them, with the gateways behind it (`behind.rs`), its last
//! frames (`last_frame.rs`) and charts (`charts.rs`); `framing.rs` tries a framing on the bytes that came last, `send.rs`
//! sends a frame.

mod behind;
mod charts;
pub(in crate::admin) mod framing;
mod last_frame;
pub(in crate::admin) mod one;
pub(in crate::admin) mod send;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::shown::{bytes, count, duration, rate};
use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::people::Role;
use crate::radio::serial::found;
use crate::radio::{LoraStats, Shown};
use crate::supervisor::{Health, Status};

pub(super) const PATH: &str = "/radios";

pub(super) fn routes(routes: Routes) -> Routes {
    let viewer = Access::Role(Role::Viewer);
    routes
        .page(PATH, viewer, page)
        .get("/api/v1/radios", viewer, get_radios)
        .with(one::routes)
        .with(framing::routes)
        .with(send::routes)
}

/// All radios, and the ports that none has.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Radios {
    radios: Vec<Radio>,
    /// Serial ports that are there and no radio has.
    free_ports: Vec<Port>,
}

/// A radio.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Radio {
    name: String,
    /// As the settings call it.
    kind: &'static str,
    /// `online`, `offline`; `failing` when it can't be started.
    state: &'static str,
    /// A path, the marks of an adapter, an address.
    place: String,
    /// LoRa gateways behind it that can be sent to; none where there are no gateways.
    gateways_online: Option<u64>,
    /// The EUIs of all that are known.
    gateways: Vec<String>,
    /// Frames a second in the last minute; none when it is too new to tell.
    per_second: Option<f64>,
    frames_received: u64,
    frames_sent: u64,
    bytes_received: u64,
    bytes_sent: u64,
    /// What came in and went no further, by reason.
    dropped: BTreeMap<&'static str, u64>,
    /// What was to be sent and was not, by reason.
    refused: BTreeMap<&'static str, u64>,
    /// How long ago the last frame came.
    last_frame_seconds: Option<u64>,
    last_error: Option<LastError>,
}

/// What went wrong last.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct LastError {
    what: String,
    /// How long ago, where that is known.
    seconds_ago: Option<u64>,
}

/// A serial port of the machine.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Port {
    path: String,
    /// The name of it that stays the same.
    stable: Option<String>,
    /// What it says of itself.
    about: Option<String>,
    /// The lines for the settings that make a radio of it.
    settings: String,
}

fn seconds_since(moment: Instant) -> u64 {
    moment.elapsed().as_secs()
}

/// Those that have counted something.
fn some(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<&'static str, u64> {
    counts.filter(|(_, count)| *count > 0).collect()
}

impl Radio {
    fn of(sources: &Sources, units: &BTreeMap<String, Status>, shown: &Shown) -> Self {
        let (name, stats) = (shown.name().to_owned(), &shown.stats);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let unit = units.get(&format!("radio {name}"));
        let failing = unit.is_some_and(|unit| matches!(unit.health, Health::Restarting | Health::Degraded));
        let online = stats.online.load(Ordering::Relaxed);
        let of_unit = unit.filter(|_| failing).and_then(|unit| unit.last_error.clone());
        let of_unit = of_unit.map(|what| LastError { what, seconds_ago: None });
        let of_port =
            || stats.seen.trouble().map(|t| LastError { what: t.what, seconds_ago: Some(seconds_since(t.at)) });
        let dropped = stats.seen.rejections().chain(stats.lora.iter().flat_map(LoraStats::refusals));
        Self {
            kind: shown.kind(),
            state: match (failing, online) {
                (true, _) => "failing",
                (false, true) => "online",
                (false, false) => "offline",
            },
            place: shown.place(),
            gateways_online: stats.lora.as_ref().map(|lora| read(&lora.gateways_online)),
            gateways: stats
                .lora
                .iter()
                .flat_map(|lora| lora.gateways().into_keys())
                .map(|eui| eui.to_string())
                .collect(),
            per_second: sources.page.figures.rate(&format!("radio.{name}.in")),
            frames_received: read(&stats.frames_received),
            frames_sent: read(&stats.frames_sent),
            bytes_received: read(&stats.bytes_received),
            bytes_sent: read(&stats.bytes_sent),
            dropped: some(dropped),
            refused: some(stats.refusals()),
            last_frame_seconds: stats.seen.last_frame().map(seconds_since),
            last_error: of_unit.or_else(of_port),
            name,
        }
    }

    fn is_online(&self) -> bool {
        self.state == "online"
    }

    /// As many as a row has room for.
    fn first_gateways(&self) -> &[String] {
        self.gateways.get(..3).unwrap_or(&self.gateways)
    }

    fn rate(&self) -> String {
        rate(self.per_second)
    }

    /// A row of counters each: what, in, out.
    fn counters(&self) -> [(&'static str, String, String); 2] {
        [
            ("Frames", count(self.frames_received), count(self.frames_sent)),
            ("Bytes", bytes(self.bytes_received), bytes(self.bytes_sent)),
        ]
    }

    /// All that went no further, by reason.
    fn losses(&self) -> Vec<(String, String)> {
        let dropped = self.dropped.iter().map(|(reason, n)| (format!("dropped: {reason}"), count(*n)));
        dropped.chain(self.refused.iter().map(|(reason, n)| (format!("not sent: {reason}"), count(*n)))).collect()
    }

    fn lost(&self) -> String {
        count(self.dropped.values().chain(self.refused.values()).sum())
    }

    fn last_frame(&self) -> Option<String> {
        self.last_frame_seconds.map(ago)
    }
}

impl LastError {
    fn ago(&self) -> Option<String> {
        self.seconds_ago.map(ago)
    }
}

/// `now`, `12 s ago`, `3 d 4 h ago`.
fn ago(seconds: u64) -> String {
    if seconds == 0 { "now".to_owned() } else { format!("{} ago", duration(Duration::from_secs(seconds))) }
}

fn megahertz(hertz: u32) -> String {
    format!("{} MHz", f64::from(hertz) / 1e6)
}

/// The ports of the machine that no radio has.
async fn free_ports(radios: Vec<Shown>) -> Vec<Port> {
    let found = tokio::task::spawn_blocking(move || found(&radios)).await.unwrap_or_default();
    let free = found.into_iter().filter(|port| port.radio.is_none()).map(|port| Port {
        settings: port.lines(),
        path: port.path.display().to_string(),
        stable: port.stable.map(|path| path.display().to_string()),
        about: port.about,
    });
    free.collect()
}

async fn gather(sources: &Sources) -> Radios {
    let (shown, units) = (sources.radios.shown(), sources.supervisor.status());
    let radios = shown.iter().map(|shown| Radio::of(sources, &units, shown)).collect();
    Radios { radios, free_ports: free_ports(shown).await }
}

/// The radio with this name.
fn find(sources: &Sources, name: &str) -> Result<Shown, Problem> {
    let missing = || Problem::not_found(format!("there is no radio {:?}", super::shown::beginning(name, 64)));
    sources.radios.get(name).ok_or_else(missing)
}

/// All radios: what each is, how it is, what it has counted; and the serial ports that none has.
#[utoipa::path(get, path = "/api/v1/radios", tag = "radios", responses((status = 200, body = Radios)))]
pub(in crate::admin) async fn get_radios(State(sources): State<Arc<Sources>>) -> Json<Radios> {
    Json(gather(&sources).await)
}

#[derive(Template)]
#[template(path = "radios.html")]
struct Page {
    frame: Frame,
    all: Radios,
}

async fn page(frame: Frame, State(sources): State<Arc<Sources>>) -> Response {
    show(&Page { frame, all: gather(&sources).await })
}

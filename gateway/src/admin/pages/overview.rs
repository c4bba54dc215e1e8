//! The first page: how messages flow, whether the ledger balances, how the machine is, and what needs attention first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::charts::{Back, Drawn};
use super::history::of_overview;
use super::shown::{bytes, count, duration, rate};
use super::{Frame, first_steps, show};
use crate::admin::guard::by_itself;
use crate::admin::machine::Machine;
use crate::admin::routes::{Access, Routes};
use crate::admin::{Sources, attention, uplinks};
use crate::people::Role;
use crate::pipeline::Snapshot;
use crate::supervisor::Status;

pub(super) const PATH: &str = "/";

pub(super) fn routes(routes: Routes) -> Routes {
    routes.page(PATH, Access::Role(Role::Viewer), page).get(
        "/api/v1/overview",
        Access::Role(Role::Viewer),
        get_overview,
    )
}

/// How the gateway is.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Overview {
    /// The gateway's id.
    gateway: String,
    version: &'static str,
    up_seconds: u64,
    /// What needs attention, the worst first.
    attention: Vec<attention::Item>,
    /// Where messages come from.
    sources: Vec<Station>,
    /// Plugins in the order of the messages' way.
    stages: Vec<Station>,
    /// Where messages go.
    outputs: Vec<Station>,
    ledger: Ledger,
    /// What the kernel says of the wall clock.
    clock: &'static str,
    machine: Machine,
}

/// A place on the messages' way.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Station {
    name: String,
    /// What it is: `radio`, `clients`, `gateway`, `plugin`, `uplink`.
    kind: &'static str,
    /// How it is, in a word.
    state: String,
    /// Whether that is well.
    well: bool,
    /// Messages a second in the last minute; none when it is too new to tell.
    per_second: Option<f64>,
    /// Messages since the start.
    messages: u64,
    /// Messages that went no further here.
    dropped: u64,
    last_error: Option<String>,
}

impl Station {
    fn rate(&self) -> String {
        rate(self.per_second)
    }

    fn count(&self) -> String {
        count(self.messages)
    }

    fn drops(&self) -> String {
        count(self.dropped)
    }
}

/// The ledger: received + added = delivered + filtered + dropped + held + in flight.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Ledger {
    balances: bool,
    /// By door.
    received: BTreeMap<&'static str, u64>,
    added: u64,
    delivered: u64,
    filtered: u64,
    /// By reason.
    dropped: BTreeMap<&'static str, u64>,
    held: u64,
    in_flight: u64,
}

impl Ledger {
    fn of(snapshot: Snapshot) -> Self {
        let balances = snapshot.balances();
        let Snapshot { received, added, delivered, filtered, dropped, held, in_flight } = snapshot;
        Self { balances, received, added, delivered, filtered, dropped, held, in_flight }
    }

    fn taken_in(&self) -> u64 {
        self.received.values().sum()
    }

    fn let_go(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// The terms of the left side, with their names.
    fn came(&self) -> [(&'static str, String); 2] {
        [("received", self.taken_in()), ("added", self.added)].map(|(name, value)| (name, count(value)))
    }

    /// The terms of the right side.
    fn went(&self) -> [(&'static str, String); 5] {
        let terms = [
            ("delivered", self.delivered),
            ("filtered", self.filtered),
            ("dropped", self.let_go()),
            ("held", self.held),
            ("in flight", self.in_flight),
        ];
        terms.map(|(name, value)| (name, count(value)))
    }

    /// Doors and reasons that have counted something.
    fn parts(&self) -> Vec<(String, String)> {
        let doors =
            self.received.iter().map(|(door, count)| (format!("received from {}", door_in_words(door)), *count));
        let reasons = self.dropped.iter().map(|(reason, count)| (format!("dropped: {reason}"), *count));
        doors.chain(reasons).filter(|(_, count)| *count > 0).map(|(name, value)| (name, count(value))).collect()
    }
}

fn door_in_words(door: &str) -> &str {
    match door {
        "radio" => "radios",
        "client" => "MQTT clients",
        "gateway" => "the gateway itself",
        "uplink" => "uplinks",
        "held" => "what was held before the restart",
        other => other,
    }
}

/// Gathers it.
fn gather(sources: &Sources) -> Overview {
    let figures = &sources.page.figures;
    let units = sources.supervisor.status();
    let ledger = Ledger::of(sources.pipeline.ledger().snapshot());
    let machine = figures.machine();
    let clock = sources.pipeline.clock().quality().as_str();
    Overview {
        gateway: sources.id.clone(),
        version: env!("CARGO_PKG_VERSION"),
        up_seconds: figures.uptime().as_secs(),
        attention: attention::gather(sources, &units, &machine),
        sources: ways_in(sources, &units),
        stages: stages(sources),
        outputs: ways_out(sources, &units),
        ledger,
        clock,
        machine,
    }
}

fn ways_in(sources: &Sources, units: &BTreeMap<String, Status>) -> Vec<Station> {
    let figures = &sources.page.figures;
    let received = sources.pipeline.ledger().snapshot().received;
    let mut found: Vec<_> = sources
        .radios
        .stats()
        .into_iter()
        .map(|(name, stats)| {
            let online = stats.online.load(Ordering::Relaxed);
            Station {
                kind: "radio",
                state: if online { "online" } else { "offline" }.to_owned(),
                well: online,
                per_second: figures.rate(&format!("radio.{name}.in")),
                messages: stats.frames_received.load(Ordering::Relaxed),
                dropped: stats.frames_rejected.load(Ordering::Relaxed),
                last_error: units.get(&format!("radio {name}")).and_then(|unit| unit.last_error.clone()),
                name,
            }
        })
        .collect();
    let connected = sources.broker.stats().connections.load(Ordering::Relaxed);
    let clients = if connected == 1 { "1 connected".to_owned() } else { format!("{connected} connected") };
    let remotes = sources.uplinks.shown().iter().any(|shown| shown.stats.received.load(Ordering::Relaxed) > 0);
    for (door, name, kind, state) in [
        ("client", "MQTT clients", "clients", clients),
        ("uplink", "Remote brokers", "uplink", "well".to_owned()),
        ("gateway", "The gateway itself", "gateway", "well".to_owned()),
    ] {
        if door == "uplink" && !remotes {
            continue;
        }
        found.push(Station {
            name: name.to_owned(),
            kind,
            state,
            well: true,
            per_second: figures.rate(&format!("received.{door}")),
            messages: received.get(door).copied().unwrap_or(0),
            dropped: 0,
            last_error: None,
        });
    }
    found
}

fn stages(sources: &Sources) -> Vec<Station> {
    let station = |shown: crate::plugins::Shown| {
        let report = shown.status.as_ref().map(|status| status.report());
        let state = report.as_ref().map_or("not-loaded", |report| report.health.as_str());
        let last_error = report.as_ref().and_then(|report| report.last_error.as_ref().map(|(text, _)| text.clone()));
        Station {
            kind: "plugin",
            state: state.to_owned(),
            well: matches!(state, "ready" | "new") && shown.load_error.is_none(),
            per_second: sources.page.figures.rate(&format!("plugin.{}.in", shown.name)),
            messages: report.as_ref().map_or(0, |report| report.messages),
            dropped: report.as_ref().map_or(0, |report| report.filtered.values().sum()),
            last_error: shown.load_error.or(last_error),
            name: shown.name,
        }
    };
    sources.plugins.shown().into_iter().map(station).collect()
}

fn ways_out(sources: &Sources, units: &BTreeMap<String, Status>) -> Vec<Station> {
    let figures = &sources.page.figures;
    let stats = sources.broker.stats();
    let sessions = stats.sessions.load(Ordering::Relaxed);
    let mut found = vec![Station {
        name: "MQTT clients".to_owned(),
        kind: "clients",
        state: if sessions == 1 { "1 session".to_owned() } else { format!("{sessions} sessions") },
        well: true,
        per_second: figures.rate("mqtt.out"),
        messages: stats.publishes_sent.load(Ordering::Relaxed),
        dropped: stats.drops().map(|(_, count)| count).sum(),
        last_error: None,
    }];
    found.extend(sources.radios.stats().into_iter().map(|(name, stats)| {
        let online = stats.online.load(Ordering::Relaxed);
        Station {
            kind: "radio",
            state: if online { "online" } else { "offline" }.to_owned(),
            well: online,
            per_second: figures.rate(&format!("radio.{name}.out")),
            messages: stats.frames_sent.load(Ordering::Relaxed),
            dropped: stats.refusals().map(|(_, count)| count).sum(),
            last_error: units.get(&format!("radio {name}")).and_then(|unit| unit.last_error.clone()),
            name,
        }
    }));
    found.extend(sources.uplinks.shown().into_iter().map(|shown| {
        let condition = shown.stats.condition();
        Station {
            name: shown.settings.name.clone(),
            kind: "uplink",
            state: if condition.online { "online" } else { "offline" }.to_owned(),
            well: condition.online,
            per_second: figures.rate(&format!("uplink.{}.out", shown.settings.name)),
            messages: shown.stats.delivered.load(Ordering::Relaxed),
            dropped: uplinks::reasons(&shown).map(|(_, count)| count).sum(),
            last_error: condition.last_error.filter(|_| !condition.online),
        }
    }));
    found
}

/// How the gateway is: flow, ledger, machine, and what needs attention.
#[utoipa::path(get, path = "/api/v1/overview", tag = "overview", responses((status = 200, body = Overview)))]
pub(in crate::admin) async fn get_overview(State(sources): State<Arc<Sources>>) -> Json<Overview> {
    Json(gather(&sources))
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    overview: Overview,
    charts: Vec<Drawn>,
    back: Back,
}

impl Page {
    fn uptime(&self) -> String {
        duration(Duration::from_secs(self.overview.up_seconds))
    }

    fn has_radio(&self) -> bool {
        self.overview.sources.iter().any(|station| station.kind == "radio")
    }

    /// Where the first steps are, for those who may take them.
    fn first_steps(&self) -> Option<&'static str> {
        self.frame.is_admin().then_some(first_steps::PATH)
    }

    fn is_hour(&self) -> bool {
        self.back == Back::Hour
    }

    /// Nothing but the gateway's own messages has come yet.
    fn is_new(&self) -> bool {
        self.overview.ledger.received.iter().all(|(door, count)| *door == "gateway" || *count == 0)
    }

    /// The machine as names, words, and for what fills up how full it is, in hundredths.
    fn machine(&self) -> Vec<(&'static str, String, Option<u64>)> {
        let machine = &self.overview.machine;
        let of = |free: Option<u64>, total: Option<u64>| {
            let (free, total) = free.zip(total)?;
            Some(format!("{} free of {}", bytes(free), bytes(total)))
        };
        let rows = [
            ("Clock", Some(self.overview.clock.to_owned()), None),
            ("Disk", of(machine.disk_free, machine.disk_total), machine.disk_used()),
            ("Memory", of(machine.memory_available, machine.memory_total), machine.memory_used()),
            ("Of it, the gateway", machine.memory_own.map(bytes), None),
            ("Temperature", machine.temperature.map(|degrees| format!("{degrees:.0} °C")), None),
            ("Load", machine.load.map(|load| format!("{load:.2} on {} processors", machine.processors)), None),
            ("Machine up", machine.up_seconds.map(|up| duration(Duration::from_secs(up))), None),
        ];
        rows.into_iter().filter_map(|(name, words, used)| Some((name, words?, used))).collect()
    }
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    span: Back,
    /// Anything: the charts are wanted, and the rest may come along.
    charts: Option<String>,
}

async fn page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
    Query(Wanted { span: back, charts }): Query<Wanted>,
) -> Response {
    // What a page asks for every few seconds by itself does without them: they change more slowly, and are the most of it.
    let drawn = charts.is_some() || !by_itself(&headers);
    let charts = if drawn { of_overview(&sources.history, back) } else { Vec::new() };
    show(&Page { frame, overview: gather(&sources), charts, back })
}

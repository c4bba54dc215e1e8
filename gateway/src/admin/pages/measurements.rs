//! What is kept of measurements: where modems heard how well, as a map, and all of it as a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::charts::Drawn;
use super::shown::{bytes, count, in_query};
use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::measurements::Asked;
use crate::admin::metrics::dropped;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::chart::{Grid, MapChart, Metric, Unit};
use crate::measurements::{Range, Reading};
use crate::message::TopicFilter;
use crate::people::Role;
use crate::series::{Format, Measurement};

pub(super) const PATH: &str = "/measurements";
/// Cells that readings are gathered in, at most.
const CELLS: usize = 2000;
/// How long the readings of one page may be read.
const PATIENCE: Duration = Duration::from_secs(8);
/// Names of modems that can be chosen.
const NAMES_MAX: usize = 64;
/// How far back, as in a query and in words.
pub(super) const SPANS: [(&str, &str); 4] =
    [("1h", "the last hour"), ("6h", "the last 6 hours"), ("24h", "the last day"), ("7d", "the last week")];

/// The span that is wanted, or the first: as in a query, and as a time.
pub(super) fn span_of(wanted: &str) -> (&'static str, Duration) {
    let span = SPANS.iter().map(|(span, _)| *span).find(|span| *span == wanted).unwrap_or(SPANS[0].0);
    (span, humantime::parse_duration(span).unwrap_or_default())
}

/// What can be shown, by the name of its value. Where it becomes worse is how operators of networks judge it by and large; it
/// is a matter of colours alone.
const METRICS: [(&str, Metric); 3] = [
    ("rsrp", Metric { name: "RSRP", unit: Unit::Dbm, limits: [-80.0, -90.0, -100.0, -110.0] }),
    ("rsrq", Metric { name: "RSRQ", unit: Unit::Decibel, limits: [-10.0, -13.0, -16.0, -20.0] }),
    ("sinr", Metric { name: "SINR", unit: Unit::Decibel, limits: [20.0, 13.0, 5.0, 0.0] }),
];

pub(super) fn routes(routes: Routes) -> Routes {
    let viewer = Access::Role(Role::Viewer);
    routes.page(PATH, viewer, page).get("/api/v1/measurements/kept", viewer, get_kept)
}

/// How the keeping of measurements goes.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = MeasurementsKept)]
pub(in crate::admin) struct Kept {
    /// Whether any are kept.
    enabled: bool,
    /// Whether the disk takes them.
    good: bool,
    /// How many there are.
    records: u64,
    /// What their files take.
    bytes: u64,
    /// How many were taken since the start.
    taken: u64,
    /// How many are kept no more, or never were, by reason, since the start.
    dropped: BTreeMap<&'static str, u64>,
}

impl Kept {
    fn of(sources: &Sources) -> Self {
        let Some(shown) = sources.measurements.shown() else { return Self::default() };
        let dropped = dropped(&shown).into_iter().filter(|(_, count)| *count > 0).collect();
        let good = shown.files.as_ref().is_some_and(|files| !files.failing);
        let files = shown.files.unwrap_or_default();
        let (records, bytes, taken) = (files.messages, files.disk_bytes, files.appended);
        Self { enabled: true, good, records, bytes, taken, dropped }
    }
}

/// How the keeping of measurements goes.
#[utoipa::path(get, path = "/api/v1/measurements/kept", tag = "measurements", responses((status = 200, body = Kept)))]
pub(in crate::admin) async fn get_kept(State(sources): State<Arc<Sources>>) -> Json<Kept> {
    Json(Kept::of(&sources))
}

/// What is to be shown. Empty ones are as if they were not there.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    modem: String,
    #[serde(default)]
    metric: String,
    #[serde(default)]
    span: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

impl Wanted {
    /// One of the spans, unless both ends are said.
    fn span(&self) -> &'static str {
        span_of(&self.span).0
    }

    fn metric(&self) -> (&'static str, Metric) {
        METRICS.into_iter().find(|(name, _)| *name == self.metric).unwrap_or(METRICS[0])
    }

    fn has_times(&self) -> bool {
        !self.from.is_empty() || !self.to.is_empty()
    }

    fn asked(&self) -> Asked {
        let from = if self.has_times() { self.from.clone() } else { self.span().to_owned() };
        Asked { from, to: self.to.clone(), ..Asked::default() }
    }
}

/// What was read for the map.
struct Gathered {
    grid: Grid,
    /// Of modems that said something.
    names: BTreeSet<String>,
    /// Readings of this that say nowhere where they were.
    nowhere: u64,
    /// It took too long: not all was read.
    cut: bool,
}

fn gather(reading: Reading, metric: &'static str) -> std::io::Result<Gathered> {
    let (began, grid) = (Instant::now(), Grid::new(CELLS));
    let in_time = || began.elapsed() <= PATIENCE;
    let mut gathered = Gathered { grid, names: BTreeSet::new(), nowhere: 0, cut: false };
    let keys = [format!("nr_{metric}"), format!("lte_{metric}")];
    let read = reading.run(in_time, |message| {
        if let Some(said) = Measurement::of(&message)
            && let Some(value) = keys.iter().find_map(|key| said.number(key))
        {
            if let Some(name) = said.kind().1.filter(|_| gathered.names.len() < NAMES_MAX) {
                gathered.names.insert(name.to_owned());
            }
            match said.position() {
                Some((lat, lon)) => gathered.grid.add(lat, lon, value),
                None => gathered.nowhere += 1,
            }
        }
        if in_time() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    gathered.cut = read.is_break();
    Ok(gathered)
}

fn draw(grid: &Grid, metric: Metric) -> Drawn {
    let title = format!("{} by place", metric.name);
    let map = MapChart { id: "coverage", title: &title, metric, grid };
    let (svg, table) = (map.svg(), map.table().html());
    Drawn { title, svg, table }
}

/// The forms of a file: as in a query and in words.
pub(super) fn formats() -> [(&'static str, &'static str); 5] {
    Format::ALL.map(|format| {
        let words = match format {
            Format::Csv => "CSV",
            Format::Influx => "InfluxDB",
            Format::Json => "JSON",
            Format::Senml => "SenML",
            Format::Geojson => "GeoJSON",
        };
        (format.as_str(), words)
    })
}

#[derive(Template)]
#[template(path = "measurements.html")]
struct Page {
    frame: Frame,
    kept: Kept,
    wanted: Wanted,
    names: BTreeSet<String>,
    map: Drawn,
    readings: u64,
    nowhere: u64,
    cut: bool,
    /// The same as GeoJSON.
    points: String,
}

impl Page {
    fn metrics(&self) -> [(&'static str, &'static str, bool); METRICS.len()] {
        METRICS.map(|(key, metric)| (key, metric.name, key == self.wanted.metric().0))
    }

    fn spans(&self) -> [(&'static str, &'static str, bool); SPANS.len()] {
        SPANS.map(|(span, words)| (span, words, span == self.wanted.span()))
    }

    fn formats(&self) -> [(&'static str, &'static str); 5] {
        formats()
    }

    fn size(&self) -> String {
        bytes(self.kept.bytes)
    }

    fn records(&self) -> String {
        count(self.kept.records)
    }

    fn counted(&self) -> String {
        count(self.readings)
    }

    fn lost(&self) -> String {
        let reasons = self.kept.dropped.iter().map(|(reason, number)| format!("{} {reason}", count(*number)));
        reasons.collect::<Vec<_>>().join(", ")
    }
}

async fn page(
    State(sources): State<Arc<Sources>>,
    frame: Frame,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let now = sources.pipeline.clock().now().wall;
    let mut asked = wanted.asked();
    if !wanted.modem.is_empty() {
        let filter = format!("+/{}/#", wanted.modem);
        // What no modem is called finds nothing.
        TopicFilter::new(&filter).map_err(|_| Problem::bad("there is no modem of that name"))?;
        // The name may have a blank.
        asked.topic = format!("{filter}\n");
    }
    let range: Range = asked.range(now)?;
    let reading = sources.measurements.read(range).await;
    let reading = reading.map_err(|busy| Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()))?;
    let (key, metric) = wanted.metric();
    let work = move || gather(reading, key).map(|gathered| (draw(&gathered.grid, metric), gathered));
    let gathered = tokio::task::spawn_blocking(work).await;
    let gathered = gathered.map_err(|panic| Problem::failed(panic.to_string()))?;
    let (map, gathered) = gathered.map_err(|error| Problem::failed(format!("measurements can't be read: {error}")))?;
    let Gathered { grid, mut names, nowhere, cut } = gathered;
    names.extend(Some(&wanted.modem).filter(|name| !name.is_empty()).cloned());
    let radios = sources.radios.stats();
    names.extend(radios.into_iter().filter(|(_, stats)| stats.cellular.is_some()).map(|(name, _)| name));
    let query = [("from", &asked.from), ("to", &asked.to), ("topic", &asked.topic)];
    let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={}", in_query(value))).collect();
    let points = format!("/api/v1/measurements?format=geojson&{}", query.join("&"));
    let kept = Kept::of(&sources);
    let readings = grid.count();
    Ok(show(&Page { frame, kept, wanted, names, map, readings, nowhere, cut, points }))
}

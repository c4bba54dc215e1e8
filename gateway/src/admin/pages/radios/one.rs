//! One radio: what it is, its counters, the gateways behind it, charts, the last frames.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::behind::Gateway;
use super::charts;
use super::last_frame::LastFrame;
use super::send::{self, Filled};
use super::{Radio, find};
use crate::admin::Sources;
use crate::admin::pages::charts::{Back, Drawn};
use crate::admin::pages::{Frame, show};
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::people::Role;
use crate::radio::serial::found;
use crate::radio::{LoraStats, Shown};

/// Frames that the page shows; the API gives all that are kept.
const FRAMES_SHOWN: usize = 12;

pub(super) fn routes(routes: Routes) -> Routes {
    let viewer = Access::Role(Role::Viewer);
    routes.page("/radios/{name}", viewer, page).get("/api/v1/radios/{name}", viewer, get_radio).get(
        "/api/v1/radios/{name}/history",
        viewer,
        get_history,
    )
}

/// One radio, with what it heard last.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Detail {
    #[serde(flatten)]
    radio: Radio,
    /// What it is and how it is set, as names and words.
    #[schema(value_type = Vec<Vec<String>>)]
    facts: Vec<(&'static str, String)>,
    /// The LoRa gateways behind it.
    behind: Vec<Gateway>,
    /// The last frames, the newest first.
    frames: Vec<LastFrame>,
}

/// Facts of the port that is open, which the settings do not have: its path now, and its name that stays the same.
async fn port_facts(radio: &Shown) -> Vec<(&'static str, String)> {
    let Some(path) = radio.stats.seen.path() else { return Vec::new() };
    let radios = vec![radio.clone()];
    let found = tokio::task::spawn_blocking(move || found(&radios)).await.unwrap_or_default();
    let port = found.into_iter().find(|port| port.radio.is_some());
    let mut facts = vec![("Opened as", path.display().to_string())];
    if let Some(port) = port {
        facts.extend(port.stable.map(|stable| ("Stable name", stable.display().to_string())));
        facts.extend(port.about.map(|about| ("Adapter", about)));
    }
    facts
}

async fn gather(sources: &Sources, shown: &Shown) -> Detail {
    let mut facts = vec![("Place", shown.place())];
    facts.extend(port_facts(shown).await);
    facts.extend(shown.settings());
    let lora = shown.stats.lora.as_ref();
    let mut suspicious = lora.map(LoraStats::suspicious).unwrap_or_default();
    let gateways = lora.map(LoraStats::gateways).unwrap_or_default().into_iter();
    let behind =
        gateways.map(|(eui, behind)| Gateway::of(eui.to_string(), behind, suspicious.remove(&eui).unwrap_or_default()));
    Detail {
        facts,
        behind: behind.collect(),
        frames: shown.stats.seen.frames().iter().map(LastFrame::of).collect(),
        radio: Radio::of(sources, &sources.supervisor.status(), shown),
    }
}

/// One radio: what it is, its counters, the gateways behind it, the last frames.
#[utoipa::path(get, path = "/api/v1/radios/{name}", tag = "radios", params(("name" = String, Path)),
    responses((status = 200, body = Detail), (status = 404, body = Problem)))]
pub(in crate::admin) async fn get_radio(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Json<Detail>, Problem> {
    let shown = find(&sources, &name)?;
    Ok(Json(gather(&sources, &shown).await))
}

#[derive(Deserialize)]
pub(in crate::admin) struct Wanted {
    #[serde(default)]
    span: Back,
}

/// What the figures of a radio were.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Figures {
    /// Between two points.
    step_seconds: u64,
    /// By name: oldest first, the last one now; null where nothing is known. `received`, `rejected`, `sent`, `sf/<factor>` and
    /// `channel/<Hz>` are frames a second, `rssi` is in dBm, `snr` in dB.
    #[schema(value_type = BTreeMap<String, Vec<Option<f32>>>)]
    series: BTreeMap<String, Vec<f32>>,
}

/// What the figures of a radio were in the last hour, or the last two days.
#[utoipa::path(get, path = "/api/v1/radios/{name}/history", tag = "radios",
    params(("name" = String, Path), ("span" = Option<String>, Query, description = "`hour`, or `two-days`")),
    responses((status = 200, body = Figures), (status = 404, body = Problem)))]
pub(in crate::admin) async fn get_history(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Figures>, Problem> {
    let Query(Wanted { span }) = wanted.map_err(|error| Problem::bad(error.body_text()))?;
    let (shown, span) = (find(&sources, &name)?, span.span());
    let prefix = format!("radio/{}/", shown.name());
    let points = |rest: String| Some((sources.history.points(&format!("{prefix}{rest}"), span)?, rest));
    let series = sources.history.below(&prefix).into_iter().filter_map(points);
    Ok(Json(Figures {
        step_seconds: span.step().as_secs(),
        series: series.map(|(points, rest)| (rest, points)).collect(),
    }))
}

#[derive(Template)]
#[template(path = "radio.html")]
pub(super) struct Page {
    frame: Frame,
    detail: Detail,
    charts: Vec<Drawn>,
    back: Back,
    path: String,
    /// Whether a framing can be tried.
    has_framing: bool,
    /// Whether frames go to a gateway behind it.
    has_gateways: bool,
    /// Whether this person may send.
    may_send: bool,
    /// What was to be sent, and why it was not.
    filled: Filled,
    error: Option<String>,
}

impl Page {
    /// As many frames as a page has room for.
    fn newest(&self) -> &[LastFrame] {
        self.detail.frames.get(..FRAMES_SHOWN).unwrap_or(&self.detail.frames)
    }

    /// The gateway that a frame goes to unless another is chosen: one that is there.
    fn is_first(&self, eui: &str) -> bool {
        let first = self.detail.behind.iter().find(|gateway| gateway.online);
        first.is_some_and(|gateway| gateway.eui == eui)
    }
}

/// The page, perhaps with what was filled in and why it was refused.
pub(super) async fn page_of(
    sources: &Sources,
    frame: Frame,
    shown: &Shown,
    refused: Option<(Filled, String)>,
) -> Response {
    let (filled, error) = refused.map_or_else(|| (Filled::usual(shown), None), |(filled, why)| (filled, Some(why)));
    respond(sources, frame, shown, Back::Hour, (filled, error)).await
}

async fn respond(
    sources: &Sources,
    frame: Frame,
    shown: &Shown,
    back: Back,
    (filled, error): (Filled, Option<String>),
) -> Response {
    show(&Page {
        detail: gather(sources, shown).await,
        charts: charts::draw(sources, shown, back),
        path: format!("{}/{}", super::PATH, shown.name()),
        back,
        has_framing: shown.framing().is_some(),
        has_gateways: shown.has_gateways(),
        may_send: frame.may(send::NEEDS),
        filled,
        error,
        frame,
    })
}

async fn page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let shown = find(&sources, &name)?;
    let back = wanted.map(|Query(wanted)| wanted.span).unwrap_or_default();
    Ok(respond(&sources, frame, &shown, back, (Filled::usual(&shown), None)).await)
}

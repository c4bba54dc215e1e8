//! Trying a framing: how it would cut the bytes that came last on a port. The radio goes on as it is.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ago, find, seconds_since};
use crate::admin::Sources;
use crate::admin::pages::shown::{beginning, hex, readable};
use crate::admin::pages::{Frame, show};
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::people::Role;
use crate::radio::Tried;
use crate::radio::serial::{Cut, Fate};

/// Pieces that are shown, the last ones.
const SHOWN: usize = 60;

pub(super) fn routes(routes: Routes) -> Routes {
    let viewer = Access::Role(Role::Viewer);
    routes.page("/radios/{name}/framing", viewer, page).get("/api/v1/radios/{name}/framing", viewer, get_framing)
}

/// A key of a framing.
struct Field {
    key: &'static str,
    label: &'static str,
    /// What may be chosen; empty where it is written.
    choices: &'static [&'static str],
    /// Where nothing else is said.
    usual: &'static str,
}

/// A field that is written.
const fn text(key: &'static str, label: &'static str, usual: &'static str) -> Field {
    Field { key, label, choices: &[], usual }
}

/// A field that is chosen; the first is the usual.
const fn choice(key: &'static str, label: &'static str, choices: &'static [&'static str]) -> Field {
    Field { key, label, choices, usual: choices[0] }
}

/// All kinds, as the settings call them, each with its keys.
const KINDS: &[(&str, &[Field])] = &[
    ("raw", &[]),
    ("line", &[choice("ending", "A line ends with", &["lf", "crlf", "cr"])]),
    ("idle-gap", &[text("gap", "Silence between frames", "20ms")]),
    ("fixed", &[text("length", "Bytes of a frame", "12")]),
    (
        "length-prefix",
        &[
            choice("width", "Bytes of the count", &["2", "1", "4"]),
            choice("endian", "Byte order", &["big", "little"]),
            choice("crc", "Checksum", &["none", "crc16", "crc32"]),
        ],
    ),
    ("slip", &[]),
    ("cobs", &[]),
    ("start-stop", &[text("start", "Start, in hex", "02"), text("stop", "Stop, in hex", "03")]),
    ("nmea", &[]),
    ("dsmr-p1", &[]),
    ("modbus-rtu", &[]),
];

fn fields_of(kind: &str) -> &'static [Field] {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, fields)| fields)
}

/// What was asked for, filled up with what is usual. Keys of other kinds, which a form still has when another kind is
/// chosen, are left out.
fn wanted(asked: &[(String, String)]) -> Vec<(String, String)> {
    let given =
        |key: &str| asked.iter().find(|(own, value)| own == key && !value.is_empty()).map(|(_, value)| value.clone());
    let Some(kind) = given("kind") else { return Vec::new() };
    let fields = fields_of(&kind)
        .iter()
        .map(|field| (field.key.to_owned(), given(field.key).unwrap_or_else(|| field.usual.to_owned())));
    std::iter::once(("kind".to_owned(), kind.clone())).chain(fields).collect()
}

/// How a framing cuts the bytes that came last.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Preview {
    /// The radio's own framing, as its settings write it.
    running: String,
    /// The one that was tried.
    setting: String,
    /// Bytes that were looked at.
    bytes: usize,
    /// How long ago the last of them came.
    last_seconds: Option<u64>,
    /// Good frames among them.
    frames: usize,
    /// Pieces that are no good frame.
    rejected: usize,
    /// The last 60 pieces, in their order.
    pieces: Vec<Piece>,
}

/// A piece of the bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Piece {
    /// Where it begins.
    start: usize,
    /// How long it is, in bytes; of a frame, what it carries.
    length: usize,
    /// `frame`, `rejected`, or `open` where a frame may still come of it.
    result: &'static str,
    /// Why it was rejected.
    reason: Option<&'static str>,
    /// The first 256 bytes that a frame carries, in hex.
    hex: String,
    /// The same as text, where it is text.
    text: Option<String>,
}

impl Piece {
    fn of(cut: Cut) -> Self {
        let Cut { start, length, fate } = cut;
        let (result, reason, payload) = match fate {
            Fate::Frame(payload) => ("frame", None, payload),
            Fate::Rejected(reason) => ("rejected", Some(reason.as_str()), Default::default()),
            Fate::Open => ("open", None, Default::default()),
        };
        let kept = payload.get(..256).unwrap_or(&payload[..]);
        Self { start, length, result, reason, hex: hex(kept), text: readable(kept) }
    }

    /// The beginning of what it carries.
    fn content(&self) -> &str {
        beginning(self.text.as_deref().unwrap_or(&self.hex), 120)
    }
}

impl Preview {
    fn of(running: String, tried: Tried) -> Self {
        let Tried { setting, bytes, last, cuts, .. } = tried;
        let count = |fits: fn(&Fate) -> bool| cuts.iter().filter(|cut| fits(&cut.fate)).count();
        let (frames, rejected) =
            (count(|fate| matches!(fate, Fate::Frame(_))), count(|fate| matches!(fate, Fate::Rejected(_))));
        let surplus = cuts.len().saturating_sub(SHOWN);
        let pieces = cuts.into_iter().skip(surplus).map(Piece::of).collect();
        Self { running, setting, bytes, last_seconds: last.map(seconds_since), frames, rejected, pieces }
    }

    fn is_own(&self) -> bool {
        self.running == self.setting
    }

    fn last(&self) -> Option<String> {
        self.last_seconds.map(ago)
    }
}

/// What came of trying: the keys of the framing, and the preview or what is wrong with the keys.
struct Trial {
    fields: Vec<(String, String)>,
    preview: Result<Preview, String>,
}

async fn gather(sources: &Sources, name: &str, asked: Vec<(String, String)>) -> Result<Trial, Problem> {
    let shown = find(sources, name)?;
    let missing = || Problem::not_found(format!("the radio {} has no framing to choose", shown.name()));
    let running = shown.framing().ok_or_else(missing)?;
    let asked = wanted(&asked);
    let (radio, fields) = (shown.clone(), asked.clone());
    let tried = tokio::task::spawn_blocking(move || radio.try_framing(&fields)).await;
    let tried = tried.map_err(|panic| Problem::failed(format!("the framing could not be tried: {panic}")))?;
    Ok(match tried.ok_or_else(missing)? {
        Ok(tried) => Trial { fields: tried.fields.clone(), preview: Ok(Preview::of(running, tried)) },
        Err(why) => Trial { fields: asked, preview: Err(why) },
    })
}

type Asked = Result<Query<Vec<(String, String)>>, QueryRejection>;

fn asked(asked: Asked) -> Result<Vec<(String, String)>, Problem> {
    asked.map(|Query(fields)| fields).map_err(|error| Problem::bad(error.body_text()))
}

/// How a framing would cut the bytes that came last on a port, up to 4096. Without `kind` it is the radio's own. The other
/// keys are those that the settings have for that kind.
#[utoipa::path(get, path = "/api/v1/radios/{name}/framing", tag = "radios",
    params(("name" = String, Path), ("kind" = Option<String>, Query), ("ending" = Option<String>, Query),
        ("gap" = Option<String>, Query), ("length" = Option<String>, Query), ("width" = Option<String>, Query),
        ("endian" = Option<String>, Query), ("crc" = Option<String>, Query), ("start" = Option<String>, Query),
        ("stop" = Option<String>, Query)),
    responses((status = 200, body = Preview), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn get_framing(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    fields: Asked,
) -> Result<Json<Preview>, Problem> {
    let trial = gather(&sources, &name, asked(fields)?).await?;
    trial.preview.map(Json).map_err(Problem::bad)
}

#[derive(Template)]
#[template(path = "framing.html")]
struct Page {
    frame: Frame,
    name: String,
    trial: Trial,
}

impl Page {
    fn value(&self, key: &str) -> &str {
        self.trial.fields.iter().find(|(own, _)| own == key).map_or("", |(_, value)| value)
    }

    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(kind, _)| *kind)
    }

    fn fields(&self) -> &'static [Field] {
        fields_of(self.value("kind"))
    }
}

async fn page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    fields: Asked,
) -> Result<Response, Problem> {
    let trial = gather(&sources, &name, asked(fields)?).await?;
    let status = if trial.preview.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, show(&Page { frame, name, trial })).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_form_that_still_has_the_keys_of_another_kind_is_filled_up_with_what_is_usual() {
        let asked = pairs(&[("kind", "start-stop"), ("ending", "crlf"), ("start", "7e"), ("stop", "")]);
        assert_eq!(wanted(&asked), pairs(&[("kind", "start-stop"), ("start", "7e"), ("stop", "03")]));
        assert!(wanted(&pairs(&[("ending", "lf")])).is_empty());
    }
}

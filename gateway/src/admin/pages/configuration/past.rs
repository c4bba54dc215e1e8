//! Changes of the settings that were made: who made each, what it did, and going back to one.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::api::{Applied, applied};
use super::change::{Asker, nothing_done, reviewed};
use super::given::Given;
use super::verdict::Difference;
use super::{UNREADABLE, sees_secrets, without_secrets};
use crate::admin::Sources;
use crate::admin::pages::shown::minute;
use crate::admin::pages::{Frame, Input, show};
use crate::admin::problem::Problem;
use crate::admin::settings::{Reached, with_changes};
use crate::admin::trust::Caller;
use crate::changes::{Changes, Edit, Entry, State as Ended};

/// A change that was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::admin) struct Past {
    number: u64,
    /// Who made it.
    by: String,
    /// RFC 3339.
    made: String,
    /// `on trial`, `kept`, `returned` or `refused`.
    state: &'static str,
    /// By whom or why it ended so.
    note: String,
    /// The files that it is of.
    files: Vec<String>,
}

impl From<&Entry> for Past {
    fn from(entry: &Entry) -> Self {
        Self {
            number: entry.number,
            by: entry.by.clone(),
            made: entry.made.clone(),
            state: entry.state.as_str(),
            note: entry.note.clone(),
            files: entry.files.keys().cloned().collect(),
        }
    }
}

impl Past {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn by(&self) -> &str {
        &self.by
    }

    pub(super) fn minute(&self) -> String {
        minute(&self.made)
    }

    pub(super) fn state(&self) -> &'static str {
        self.state
    }

    pub(super) fn note(&self) -> &str {
        &self.note
    }

    pub(super) fn files(&self) -> String {
        self.files.join(", ")
    }

    /// How good that is.
    pub(super) fn mark(&self) -> &'static str {
        match self.state {
            "kept" => "good",
            "refused" => "bad",
            _ => "notice",
        }
    }
}

/// All changes that are kept.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct History {
    /// The newest first.
    pub(super) changes: Vec<Past>,
    /// Changes that can't be read.
    unreadable: usize,
}

/// Gathers them. Waits for the disk.
pub(super) fn gather(changes: &Changes) -> Result<History, String> {
    let (entries, unreadable) = changes.history()?;
    Ok(History { changes: entries.iter().map(Past::from).collect(), unreadable })
}

/// One of them, and what it did.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct OneChange {
    change: Past,
    /// What it did to each file. For those who are no admin secrets are masked.
    differences: Vec<Difference>,
    /// Why nothing is shown, if so.
    hidden: Option<&'static str>,
    /// The change before it, 0 for what was before the first; to go back to.
    before: u64,
}

fn one(changes: &Changes, number: &str, caller: &Caller) -> Result<OneChange, Problem> {
    let (entries, _) = changes.history().map_err(Problem::failed)?;
    let at = entries.iter().position(|entry| entry.number.to_string() == number);
    let entry = at.and_then(|at| entries.get(at)).ok_or_else(|| Problem::not_found("there is no such change"))?;
    let before = at.and_then(|at| entries.get(at + 1)).map_or(0, |entry| entry.number);
    let shown = if sees_secrets(caller) { Some(entry.files.clone()) } else { masked(changes, &entry.files) };
    let hidden = shown.is_none().then_some(UNREADABLE);
    let differences = shown.unwrap_or_default().iter().map(|(name, edit)| Difference::of(name, edit)).collect();
    Ok(OneChange { change: entry.into(), differences, hidden, before })
}

/// The texts of before and those of behind, each with masks in the place of secrets.
fn masked(changes: &Changes, files: &BTreeMap<String, Edit>) -> Option<BTreeMap<String, Edit>> {
    let side = |text: fn(&Edit) -> &Option<String>| {
        let texts = files.iter().filter_map(|(name, edit)| Some((name.clone(), text(edit).clone()?)));
        without_secrets(changes, &texts.collect())
    };
    let (mut old, mut new) = (side(|edit| &edit.old)?, side(|edit| &edit.new)?);
    let edit = |name: &String| (name.clone(), Edit { old: old.remove(name), new: new.remove(name) });
    Some(files.keys().map(edit).collect())
}

#[derive(Template)]
#[template(path = "configuration-change.html")]
struct Page {
    frame: Frame,
    shown: OneChange,
    may_change: bool,
}

/// One change.
pub(super) async fn page(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Path(number): Path<String>,
) -> Result<Response, Problem> {
    let may_change = sees_secrets(&caller);
    let shown = with_changes(&sources, move |changes, _| one(changes, &number, &caller)).await?;
    Ok(show(&Page { frame, shown, may_change }))
}

/// Where to go back to.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct Restore {
    /// The settings as they were after this change; 0 is before the first that is kept.
    number: u64,
    /// How long it is on trial, 5 to 3600; else 90.
    confirm_within_seconds: Option<u64>,
}

/// What going back would do.
pub(super) async fn restore_form(
    asker: Asker,
    State(sources): State<Arc<Sources>>,
    Form(Restore { number, .. }): Form<Restore>,
) -> Result<Response, Problem> {
    let done = with_changes(&sources, move |changes, sources| {
        let wanted = changes.as_after(number).map_err(Problem::not_found)?;
        let title = match number {
            0 => "Back to before the first change".to_owned(),
            number => format!("Back to what change {number} has left"),
        };
        reviewed((changes, sources), asker, Given { wanted, ..Given::default() }, &title, None)
    });
    nothing_done(done.await)
}

/// The last 50 changes, the newest first.
#[utoipa::path(get, path = "/api/v1/configuration/changes", tag = "configuration",
    responses((status = 200, body = History), (status = 409, body = Problem)))]
pub(in crate::admin) async fn get_changes(State(sources): State<Arc<Sources>>) -> Result<Json<History>, Problem> {
    with_changes(&sources, |changes, _| gather(changes).map_err(Problem::failed)).await.map(Json)
}

/// What a change did.
#[utoipa::path(get, path = "/api/v1/configuration/changes/{number}", tag = "configuration",
    params(("number" = u64, Path)),
    responses((status = 200, body = OneChange), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::admin) async fn get_change(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
    Path(number): Path<String>,
) -> Result<Json<OneChange>, Problem> {
    with_changes(&sources, move |changes, _| one(changes, &number, &caller)).await.map(Json)
}

/// Goes back to the settings as they were after a change. It is a change itself, on trial until it is confirmed.
#[utoipa::path(post, path = "/api/v1/configuration/restore", tag = "configuration", request_body = Restore,
    responses((status = 200, body = Applied), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_restore(
    State(sources): State<Arc<Sources>>,
    asker: (Caller, Reached),
    Input(Restore { number, confirm_within_seconds }): Input<Restore>,
) -> Result<Response, Problem> {
    let wanted = with_changes(&sources, move |changes, _| changes.as_after(number).map_err(Problem::not_found));
    applied(&sources, asker, (None, wanted.await?, confirm_within_seconds)).await
}

impl OneChange {
    /// Whether what it has left is there to go back to.
    fn is_kept(&self) -> bool {
        self.change.state == Ended::Kept.as_str()
    }
}

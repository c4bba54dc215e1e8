//! Changes of plugins: switched, moved, gone back, given other settings. Forms and the API do the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::page::{Said, one};
use super::view;
use super::{FIELD, FORGET, PATH, unknown};
use crate::admin::audit::Did;
use crate::admin::pages::{Frame, Input};
use crate::admin::problem::Problem;
use crate::admin::trust::Caller;
use crate::admin::{Sources, ask_reload_now};
use crate::changes::ChangeError;
use crate::component::Schema;
use crate::config::MASK;
use crate::plugins::desk::{Desk, DeskError};

/// What a change came to: for the audit log, and for the person.
pub(super) struct Done {
    pub(super) did: String,
    pub(super) word: String,
}

impl Done {
    fn new(did: impl Into<String>) -> Self {
        let did = did.into();
        Self { word: format!("Done: {did}."), did }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let status = match error {
            DeskError::Unknown(_) => StatusCode::NOT_FOUND,
            DeskError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            DeskError::Failed(_) => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

/// Has something done at the desk, in a thread that may wait, to its end also when whoever asked has gone.
pub(super) async fn at_desk<T: Send + 'static>(
    sources: &Arc<Sources>,
    caller: &Caller,
    work: impl FnOnce(&Desk<'_>) -> Result<T, DeskError> + Send + 'static,
) -> Result<T, Problem> {
    let (owned, by) = (Arc::clone(sources), caller.describe());
    let done = tokio::task::spawn_blocking(move || {
        let Some(changes) = owned.changes.get() else {
            return Err(DeskError::Refused("this gateway's settings are in no file".to_owned()));
        };
        let reload = || ask_reload_now(&owned);
        work(&Desk { plugins: &owned.plugins, changes, by: &by, reload: &reload })
    });
    Ok(done.await.map_err(|panic| Problem::failed(panic.to_string()))??)
}

async fn switch(sources: &Arc<Sources>, caller: &Caller, name: String, enabled: bool) -> Result<Done, Problem> {
    let word = if enabled { "enabled" } else { "disabled" };
    let owned = name.clone();
    let changed = at_desk(sources, caller, move |desk| desk.switch(&owned, enabled)).await?;
    Ok(Done::new(format!("the plugin {name} is {word}{}", if changed { "" } else { " already" })))
}

async fn place(sources: &Arc<Sources>, caller: &Caller, name: String, place: usize) -> Result<Done, Problem> {
    let owned = name.clone();
    let names = at_desk(sources, caller, move |desk| desk.place(&owned, place)).await?;
    let at = names.iter().position(|other| *other == name).map_or(0, |at| at + 1);
    Ok(Done::new(format!("the plugin {name} is number {at} of {} on the messages' way", names.len())))
}

async fn roll_back(sources: &Arc<Sources>, caller: &Caller, name: String) -> Result<Done, Problem> {
    let owned = name.clone();
    let hash = at_desk(sources, caller, move |desk| desk.roll_back(&owned)).await?;
    Ok(Done::new(format!("the plugin {name} is back to {}", hash.get(..12).unwrap_or(&hash))))
}

async fn configure(
    sources: &Arc<Sources>,
    caller: &Caller,
    name: String,
    (settings, seen): (Map<String, Value>, Option<Value>),
) -> Result<Done, Problem> {
    let owned = name.clone();
    let why_not = at_desk(sources, caller, move |desk| desk.configure(&owned, &settings, seen.as_ref())).await?;
    let done = Done::new(format!("the plugin {name} has these settings"));
    let word = why_not
        .map_or_else(|| done.word.clone(), |why| format!("{} It does not start with them yet: {why}.", done.word));
    Ok(Done { word, ..done })
}

/// After a form: the page again with a word on it, or what was wrong.
async fn formed(
    (frame, caller): (Frame, &Caller),
    sources: &Arc<Sources>,
    (name, back): (&str, String),
    done: Result<Done, Problem>,
) -> Response {
    match done {
        Ok(Done { did, word }) => {
            sources.page.trust.tell(caller, word);
            (Extension(Did::at(did)), Redirect::to(&back)).into_response()
        }
        Err(problem) => one(frame, sources, name, Said { error: Some(problem), ..Said::default() }).await,
    }
}

fn done(Done { did, .. }: Done) -> Response {
    (StatusCode::NO_CONTENT, Extension(Did::at(did))).into_response()
}

/// Whether messages are to go through it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub(in crate::admin) struct Enabled {
    enabled: bool,
}

pub(super) async fn enabled_form(
    (frame, caller): (Frame, Caller),
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    Input(Enabled { enabled }): Input<Enabled>,
) -> Response {
    let done = switch(&sources, &caller, name.clone(), enabled).await;
    formed((frame, &caller), &sources, (name.as_str(), format!("{PATH}/{name}")), done).await
}

/// Has messages go through a plugin, or past it. What does not start is not enabled.
#[utoipa::path(put, path = "/api/v1/plugins/{name}/enabled", tag = "plugins", params(("name" = String, Path)),
    request_body = Enabled, responses((status = 204, description = "it is"), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn put_enabled(
    caller: Caller,
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    Input(Enabled { enabled }): Input<Enabled>,
) -> Result<Response, Problem> {
    switch(&sources, &caller, name, enabled).await.map(done)
}

/// A place on the messages' way.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub(in crate::admin) struct Place {
    /// From 0; beyond the last is the last.
    place: usize,
}

pub(super) async fn place_form(
    (frame, caller): (Frame, Caller),
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    Input(Place { place: to }): Input<Place>,
) -> Response {
    let done = place(&sources, &caller, name.clone(), to).await;
    formed((frame, &caller), &sources, (name.as_str(), PATH.to_owned()), done).await
}

/// Gives a plugin another place on the messages' way.
#[utoipa::path(put, path = "/api/v1/plugins/{name}/place", tag = "plugins", params(("name" = String, Path)),
    request_body = Place, responses((status = 204, description = "it has it"), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn put_place(
    caller: Caller,
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    Input(Place { place: to }): Input<Place>,
) -> Result<Response, Problem> {
    place(&sources, &caller, name, to).await.map(done)
}

pub(super) async fn rollback_form(
    (frame, caller): (Frame, Caller),
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
) -> Response {
    let done = roll_back(&sources, &caller, name.clone()).await;
    formed((frame, &caller), &sources, (name.as_str(), format!("{PATH}/{name}")), done).await
}

/// Goes back to the version before; doing it again goes forward.
#[utoipa::path(post, path = "/api/v1/plugins/{name}/rollback", tag = "plugins", params(("name" = String, Path)),
    responses((status = 204, description = "it is back"), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_rollback(
    caller: Caller,
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
) -> Result<Response, Problem> {
    roll_back(&sources, &caller, name).await.map(done)
}

/// What a filled form says; or what can't be read, with the form as it was filled.
pub(super) async fn settings_form(
    (frame, caller): (Frame, Caller),
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    given: Result<Form<BTreeMap<String, String>>, axum::extract::rejection::FormRejection>,
) -> Response {
    let given = match given {
        Ok(Form(given)) => given,
        Err(error) => return Problem::new(error.status(), error.body_text()).into_response(),
    };
    let (of, form) = (name.clone(), given.clone());
    let read = view::aside(&sources, move |sources| read(sources, &of, &form)).await;
    let done = match read {
        Ok(Ok((settings, seen))) => configure(&sources, &caller, name.clone(), (settings, Some(seen))).await,
        // What is shown then is what somebody else has changed.
        Ok(Err(Unread::Overtaken)) => {
            let said = Said { error: Some(ChangeError::Overtaken.into()), ..Said::default() };
            return one(frame, &sources, &name, said).await;
        }
        Ok(Err(Unread::Wrong(problem))) | Err(problem) => Err(problem),
    };
    match done {
        Err(problem) => {
            let said = Said { error: Some(problem), filled: Some(given), ..Said::default() };
            one(frame, &sources, &name, said).await
        }
        done => formed((frame, &caller), &sources, (name.as_str(), format!("{PATH}/{name}")), done).await,
    }
}

/// Why a filled form is no settings.
enum Unread {
    /// They have changed since it was shown.
    Overtaken,
    Wrong(Problem),
}

/// The settings that a filled form says, and those that it was made of.
fn read(
    sources: &Sources,
    name: &str,
    given: &BTreeMap<String, String>,
) -> Result<(Map<String, Value>, Value), Unread> {
    let wrong = |what: &str| Unread::Wrong(Problem::bad(what));
    let (_, listed) = view::find(sources, name).ok_or_else(|| Unread::Wrong(unknown(name)))?;
    if given.get("base").is_some_and(|base| *base != view::stamp(&listed)) {
        return Err(Unread::Overtaken);
    }
    let field = |pointer: &str| given.get(&format!("{FIELD}{pointer}")).map(String::as_str);
    let forgotten = |pointer: &str| given.contains_key(&format!("{FORGET}{pointer}"));
    match Schema::filled(&view::fields(&listed), &listed.settings.settings, MASK, field, forgotten) {
        Ok(Value::Object(settings)) => Ok((settings, listed.settings.settings.clone())),
        Ok(_) => Err(wrong("the settings are no JSON object: write { ... }")),
        Err(unread) => {
            let words = unread.iter().map(|one| format!("`{}` {}", one.name.trim_start_matches('/'), one.what));
            Err(wrong(&words.collect::<Vec<_>>().join("; ")))
        }
    }
}

/// Gives a plugin settings of its own, all of them. They are held against its schema, and an enabled plugin has to start with
/// them.
#[utoipa::path(put, path = "/api/v1/plugins/{name}/settings", tag = "plugins", params(("name" = String, Path)),
    request_body = Object, responses((status = 204, description = "it has them"), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn put_settings(
    caller: Caller,
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    given: Result<Json<Map<String, Value>>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, Problem> {
    let Json(settings) = given.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    configure(&sources, &caller, name, (settings, None)).await.map(done)
}

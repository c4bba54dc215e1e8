//! Changes of the settings by programs: checked, made on trial, confirmed or given back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::{given_back, kept, refuse_masks};
use super::verdict::Verdict;
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::pages::Input;
use crate::admin::problem::Problem;
use crate::admin::settings::{self, Reached, Wish, make, trial_of, with_changes};
use crate::admin::trust::Caller;
use crate::changes::{CONFIRM_WITHIN, Wanted};

/// Files that are wanted.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct Candidate {
    /// What each is to say, by its name; with null it is to go. Files that are not named stay.
    files: BTreeMap<String, Option<String>>,
}

/// What they would be. Nothing is written.
#[utoipa::path(post, path = "/api/v1/configuration/check", tag = "configuration", request_body = Candidate,
    responses((status = 200, body = Verdict), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_check(
    State(sources): State<Arc<Sources>>,
    Input(Candidate { files }): Input<Candidate>,
) -> Result<Response, Problem> {
    let verdict = with_changes(&sources, move |changes, _| Ok(Verdict::of(changes, &files)?.0)).await?;
    Ok((Extension(Did::nothing()), Json(verdict)).into_response())
}

/// A change.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct NewChange {
    /// What `/api/v1/configuration` has given; the change is refused where the files are others by now.
    base: Option<String>,
    /// What each file is to say, by its name; with null it is to go. Files that are not named stay.
    files: BTreeMap<String, Option<String>>,
    /// How long it is on trial, 5 to 3600; else 90.
    confirm_within_seconds: Option<u64>,
}

/// A change that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Applied {
    /// Its number.
    number: u64,
    /// Seconds until it is given back, unless it is confirmed.
    confirm_within_seconds: u64,
    /// What of the gateway is another.
    verdict: Option<Verdict>,
    /// Where the page and the API are from now on, in words, if they move.
    moves: Option<String>,
}

/// What a program is told of a change.
pub(super) async fn applied(
    sources: &Arc<Sources>,
    (caller, reached): (Caller, Reached),
    wish: (Option<String>, Wanted, Option<u64>),
) -> Result<Response, Problem> {
    let (base, wanted, seconds) = wish;
    let within = seconds.map_or(Ok(CONFIRM_WITHIN), trial_of)?;
    refuse_masks(&wanted)?;
    let made = make(sources, Wish { within: Some(within), ..Wish::of(&caller, base, wanted) }).await?;
    let number = made.number;
    let moves = made.moves.as_ref().map(|admin| reached.whereto(admin));
    let verdict =
        with_changes(sources, move |changes, _| Ok(made.checked.map(|checked| Verdict::good(changes, &checked))));
    let verdict = verdict.await?;
    let did = Extension(Did::at(format!("changed the settings: change {number}, on trial")));
    Ok((did, Json(Applied { number, confirm_within_seconds: within.as_secs(), verdict, moves })).into_response())
}

/// Makes a change, on trial until it is confirmed.
#[utoipa::path(post, path = "/api/v1/configuration/apply", tag = "configuration", request_body = NewChange,
    responses((status = 200, body = Applied), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_apply(
    State(sources): State<Arc<Sources>>,
    asker: (Caller, Reached),
    Input(NewChange { base, files, confirm_within_seconds }): Input<NewChange>,
) -> Result<Response, Problem> {
    applied(&sources, asker, (base, files, confirm_within_seconds)).await
}

/// Which change is meant: whoever has seen one does not end another, which somebody has made since.
#[derive(Deserialize)]
pub(in crate::admin) struct Which {
    pub(super) number: Option<u64>,
}

/// Keeps the change that is on trial.
#[utoipa::path(post, path = "/api/v1/configuration/confirm", tag = "configuration",
    params(("number" = Option<u64>, Query, description = "only if it is this one")),
    responses((status = 204, description = "kept"), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_confirm(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
    Query(Which { number }): Query<Which>,
) -> Result<Response, Problem> {
    let number = settings::confirm(&sources, number, caller.describe()).await?.number;
    Ok((StatusCode::NO_CONTENT, kept(number)).into_response())
}

/// Gives the change that is on trial back now.
#[utoipa::path(post, path = "/api/v1/configuration/return", tag = "configuration",
    params(("number" = Option<u64>, Query, description = "only if it is this one")),
    responses((status = 204, description = "given back"), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_return(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
    Query(Which { number }): Query<Which>,
) -> Result<Response, Problem> {
    let number = settings::give_back(&sources, number, caller.describe()).await?.number;
    Ok((StatusCode::NO_CONTENT, given_back(number)).into_response())
}

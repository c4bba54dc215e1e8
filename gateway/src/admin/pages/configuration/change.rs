//! A change of the settings: looked at, made on trial, confirmed or given back. The page shows what differs before anything is
//! written.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::given::{Given, Pairs};
use super::verdict::{Difference, Verdict};
use super::{PATH, Page, whole};
use crate::admin::audit::Did;
use crate::admin::pages::{Frame, Input, look, show};
use crate::admin::problem::Problem;
use crate::admin::settings::{self, Made, Wish, make, trial_of, with_changes};
use crate::admin::trust::Caller;
use crate::admin::{Door, Sources};
use crate::changes::{self, CONFIRM_WITHIN, Changes, Edit, Wanted};
use crate::setup;

/// Who asks, and how he has come.
pub(super) struct Asker {
    pub(super) frame: Frame,
    pub(super) caller: Caller,
    door: Door,
    /// The host that the page was asked for from.
    host: String,
}

impl Asker {
    pub(super) fn new(frame: Frame, caller: Caller, door: Door, headers: &HeaderMap) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
        Self { frame, caller, door, host }
    }
}

/// A file as it would be.
struct Proposed {
    name: String,
    /// None where it is to go.
    text: Option<String>,
    difference: Difference,
}

/// What a change would do, before it is made.
#[derive(Template)]
#[template(path = "configuration-review.html")]
struct Review {
    frame: Frame,
    title: String,
    base: String,
    files: Vec<Proposed>,
    /// Whether texts can be changed here, as those of a set-up that lacks its secrets.
    open: bool,
    /// Who is in `users.toml` of a set-up, and its text.
    users: Option<(String, String)>,
    verdict: Verdict,
    /// Where the page moves to, if it does.
    moves: Option<String>,
    /// Why it can't be made now.
    hindered: Option<String>,
    error: Option<String>,
}

impl Review {
    fn differs(&self) -> bool {
        self.files.iter().any(|file| !file.difference.is_empty())
    }

    fn seconds(&self) -> u64 {
        CONFIRM_WITHIN.as_secs()
    }
}

/// The page with what a change would do; of one file that is wrong, the editor with what is wrong. Waits for the disk.
pub(super) fn reviewed(
    (changes, sources): (&Changes, &Sources),
    asker: Asker,
    given: Given,
    title: &str,
    error: Option<Problem>,
) -> Result<Response, Problem> {
    let texts = changes.texts().map_err(Problem::failed)?;
    let base = changes::stamp(&texts);
    let overtaken = given.base.as_ref().is_some_and(|given| *given != base);
    let error = error.or_else(|| overtaken.then(|| changes::ChangeError::Overtaken.into()));
    let (verdict, checked) = Verdict::of(changes, &given.wanted)?;
    let one = given.wanted.len() == 1 && given.users.is_none();
    let status = match &error {
        Some(problem) => problem.status,
        None if verdict.is_good() => StatusCode::OK,
        None => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let error = error.map(|problem| problem.detail);
    if one && (error.is_some() || !verdict.is_good()) {
        return edited((changes, sources), asker, given.wanted, Some(verdict), error)
            .map(|page| (status, page).into_response());
    }
    let moves = checked.as_ref().and_then(settings::moves_to);
    let users = match given.users {
        Some(text) => Some((whole::names(&text).map_err(Problem::bad)?.join(", "), text)),
        None => None,
    };
    let proposed = |(name, text): (String, Option<String>)| {
        let edit = Edit { old: texts.get(&name).cloned(), new: text.clone() };
        Proposed { difference: Difference::of(&name, &edit), name, text }
    };
    let trial = sources.page.trials.now();
    let busy = trial.map(|trial| format!("change {} is on trial: confirm it or return from it first", trial.number));
    let review = Review {
        title: title.to_owned(),
        base,
        files: given.wanted.into_iter().map(proposed).collect(),
        open: !one && !verdict.is_good(),
        users,
        verdict,
        moves: moves.map(|admin| settings::whereto(&admin, &asker.host, asker.door)),
        hindered: busy.or_else(|| changes.may_write().err()),
        error,
        frame: asker.frame,
    };
    Ok((status, show(&review)).into_response())
}

/// The editor with a text that is not written. Waits for the disk.
fn edited(
    (changes, sources): (&Changes, &Sources),
    asker: Asker,
    wanted: Wanted,
    verdict: Option<Verdict>,
    error: Option<String>,
) -> Result<Response, Problem> {
    let (name, text) = wanted.into_iter().next().ok_or_else(|| Problem::bad("no file is named"))?;
    let page = Page::gather(changes, sources, (asker.frame, &asker.caller), Some(name.clone()))?;
    Ok(show(&Page { name, text: text.unwrap_or_default(), verdict, error, ..page }))
}

type Person = (Frame, Caller, Door);

/// The text again, to be changed further.
pub(super) async fn edit_form(
    (frame, caller, door): Person,
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
    Form(pairs): Form<Pairs>,
) -> Result<Response, Problem> {
    let asker = Asker::new(frame, caller, door, &headers);
    let done = with_changes(&sources, move |changes, sources| {
        let given = Given::of(pairs, &changes.texts().map_err(Problem::failed)?);
        edited((changes, sources), asker, given.wanted, None, None)
    });
    nothing_done(done.await)
}

/// There is nothing that the audit log would have to know.
pub(super) fn nothing_done(page: Result<Response, Problem>) -> Result<Response, Problem> {
    page.map(|page| (Extension(Did::nothing()), page).into_response())
}

/// What the text would do.
pub(super) async fn review_form(
    (frame, caller, door): Person,
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
    Form(pairs): Form<Pairs>,
) -> Result<Response, Problem> {
    let asker = Asker::new(frame, caller, door, &headers);
    let done = with_changes(&sources, move |changes, sources| {
        let given = Given::of(pairs, &changes.texts().map_err(Problem::failed)?);
        reviewed((changes, sources), asker, given, "What would change", None)
    });
    nothing_done(done.await)
}

/// Makes it, on trial.
pub(super) async fn apply_form(
    (frame, caller, door): Person,
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
    Form(pairs): Form<Pairs>,
) -> Result<Response, Problem> {
    let asker = Asker::new(frame, caller.clone(), door, &headers);
    let given =
        with_changes(&sources, move |changes, _| Ok(Given::of(pairs, &changes.texts().map_err(Problem::failed)?)));
    let given = given.await?;
    match apply(&sources, &caller, &given).await {
        Ok((made, users)) => Ok(told_of(&sources, asker, &made, &users)),
        Err(problem) => {
            let again = move |changes: &Changes, sources: &Sources| {
                reviewed((changes, sources), asker, given, "What would change", Some(problem))
            };
            with_changes(&sources, again).await
        }
    }
}

/// Users first: settings may be refused because nobody could connect. They stay, whatever becomes of the settings.
async fn apply(sources: &Arc<Sources>, caller: &Caller, given: &Given) -> Result<(Made, Vec<String>), Problem> {
    refuse_masks(&given.wanted)?;
    let users = match &given.users {
        Some(users) => whole::add_users(sources, users.clone(), given.wanted.clone()).await?,
        None => Vec::new(),
    };
    let made = make(sources, Wish::of(caller, given.base.clone(), given.wanted.clone())).await?;
    Ok((made, users))
}

/// Refuses what lacks its secrets. The rest `changes` sees to.
pub(super) fn refuse_masks(wanted: &Wanted) -> Result<(), Problem> {
    let texts = wanted.iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    let masks = texts.filter_map(|(name, text)| Some((name, *setup::masks(text).first()?)));
    match masks.min() {
        Some((name, line)) => Err(Problem::bad(format!("{name}, line {line}: a secret was left out; write it in"))),
        None => Ok(()),
    }
}

/// The page again, or, where it moves, a last one here.
fn told_of(sources: &Sources, asker: Asker, made: &Made, users: &[String]) -> Response {
    let number = made.number;
    let seconds = CONFIRM_WITHIN.as_secs();
    let users = users.iter().map(|user| format!(" {user}.")).collect::<String>();
    let did = Extension(Did::at(format!("changed the settings: change {number}, on trial")));
    match &made.moves {
        Some(admin) => {
            let whereto = settings::whereto(admin, &asker.host, asker.door);
            let words = vec![
                format!("Change {number} is written, and {whereto}."),
                format!(
                    "Confirm it there within {seconds} seconds. Can't you reach it, wait: the settings of before come back, and with them this page, here."
                ),
                "If the gateway can't open the new address, it gives the change back at once. The history says so."
                    .to_owned(),
            ];
            (did, show(&Moved { frame: asker.frame, words, users })).into_response()
        }
        None => {
            let word = format!(
                "Change {number} is in force, on trial for {seconds} seconds. See that all works, then confirm it.{users}"
            );
            sources.page.trust.tell(&asker.caller, word);
            (did, Redirect::to(PATH)).into_response()
        }
    }
}

/// The last page at this address.
#[derive(Template)]
#[template(path = "configuration-moved.html")]
struct Moved {
    frame: Frame,
    words: Vec<String>,
    users: String,
}

/// Where a form that can stand on each page leads back to: a page that can be asked for.
fn back(headers: &HeaderMap) -> String {
    let back = look::back(headers);
    if back.starts_with(PATH) { PATH.to_owned() } else { back }
}

/// Keeps the change that is on trial.
pub(super) async fn confirm_form(
    caller: Caller,
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let number = settings::confirm(&sources, caller.describe()).await?.number;
    sources.page.trust.tell(&caller, format!("Change {number} is kept."));
    Ok((kept(number), Redirect::to(&back(&headers))).into_response())
}

/// Gives it back.
pub(super) async fn return_form(
    (frame, caller, door): Person,
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let made = settings::give_back(&sources, caller.describe()).await?;
    let number = made.number;
    let Some(admin) = &made.moves else {
        sources
            .page
            .trust
            .tell(&caller, format!("Change {number} is given back: the settings of before are in force."));
        return Ok((given_back(number), Redirect::to(&back(&headers))).into_response());
    };
    let asker = Asker::new(frame, caller, door, &headers);
    let whereto = settings::whereto(admin, &asker.host, asker.door);
    let words = vec![format!("Change {number} is given back, and {whereto}.")];
    let page = show(&Moved { frame: asker.frame, words, users: String::new() });
    Ok((given_back(number), page).into_response())
}

fn kept(number: u64) -> Extension<Did> {
    Extension(Did::at(format!("confirmed change {number} of the settings")))
}

fn given_back(number: u64) -> Extension<Did> {
    Extension(Did::at(format!("gave change {number} of the settings back")))
}

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
    (caller, door): (Caller, Door),
    headers: &HeaderMap,
    wish: (Option<String>, Wanted, Option<u64>),
) -> Result<Response, Problem> {
    let (base, wanted, seconds) = wish;
    let within = seconds.map_or(Ok(CONFIRM_WITHIN), trial_of)?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    refuse_masks(&wanted)?;
    let made = make(sources, Wish { within: Some(within), ..Wish::of(&caller, base, wanted) }).await?;
    let number = made.number;
    let moves = made.moves.as_ref().map(|admin| settings::whereto(admin, &host, door));
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
    asker: (Caller, Door),
    headers: HeaderMap,
    Input(NewChange { base, files, confirm_within_seconds }): Input<NewChange>,
) -> Result<Response, Problem> {
    applied(&sources, asker, &headers, (base, files, confirm_within_seconds)).await
}

/// Keeps the change that is on trial.
#[utoipa::path(post, path = "/api/v1/configuration/confirm", tag = "configuration",
    responses((status = 204, description = "kept"), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_confirm(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
) -> Result<Response, Problem> {
    let number = settings::confirm(&sources, caller.describe()).await?.number;
    Ok((StatusCode::NO_CONTENT, kept(number)).into_response())
}

/// Gives the change that is on trial back now.
#[utoipa::path(post, path = "/api/v1/configuration/return", tag = "configuration",
    responses((status = 204, description = "given back"), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_return(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
) -> Result<Response, Problem> {
    let number = settings::give_back(&sources, caller.describe()).await?.number;
    Ok((StatusCode::NO_CONTENT, given_back(number)).into_response())
}

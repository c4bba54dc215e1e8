//! A change of the settings: looked at, made on trial, confirmed or given back. The page shows what differs before anything is
//! written.

use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};

use super::api::Which;
use super::given::{Given, Pairs};
use super::verdict::{Difference, Verdict};
use super::{PATH, Page, whole};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::pages::{Frame, look, show};
use crate::admin::problem::Problem;
use crate::admin::routes::Table;
use crate::admin::settings::{self, Made, Reached, Wish, with_changes};
use crate::admin::trust::Caller;
use crate::changes::{self, CONFIRM_WITHIN, Changes, Edit, Wanted};
use crate::setup;

/// Who asks, and how he has come.
pub(super) struct Asker {
    pub(super) frame: Frame,
    pub(super) caller: Caller,
    reached: Reached,
}

impl FromRequestParts<Arc<Sources>> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, sources: &Arc<Sources>) -> Result<Self, Problem> {
        let frame = Frame::from_request_parts(parts, sources).await?;
        let caller = Caller::from_request_parts(parts, sources).await?;
        Ok(Self { frame, caller, reached: Reached::from_request_parts(parts, sources).await? })
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
    /// Whether it is of one file, which the editor can show again.
    one: bool,
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

    /// Whether texts can be changed here, as those of a set-up that lacks its secrets.
    fn is_open(&self) -> bool {
        !self.one && !self.verdict.is_good()
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
    // The editor is for a file that is to be there.
    let one = given.users.is_none() && given.wanted.len() == 1 && given.wanted.values().all(Option::is_some);
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
        one,
        users,
        verdict,
        moves: moves.map(|admin| asker.reached.whereto(&admin)),
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

fn read(changes: &Changes, pairs: Pairs) -> Result<Given, Problem> {
    Ok(Given::of(pairs, &changes.texts().map_err(Problem::failed)?))
}

/// The text again, to be changed further.
pub(super) async fn edit_form(
    asker: Asker,
    State(sources): State<Arc<Sources>>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, Problem> {
    let done = with_changes(&sources, move |changes, sources| {
        edited((changes, sources), asker, read(changes, pairs)?.wanted, None, None)
    });
    nothing_done(done.await)
}

/// There is nothing that the audit log would have to know.
pub(super) fn nothing_done(page: Result<Response, Problem>) -> Result<Response, Problem> {
    page.map(|page| (Extension(Did::nothing()), page).into_response())
}

/// What the text would do.
pub(super) async fn review_form(
    asker: Asker,
    State(sources): State<Arc<Sources>>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, Problem> {
    let done = with_changes(&sources, move |changes, sources| {
        reviewed((changes, sources), asker, read(changes, pairs)?, "What would change", None)
    });
    nothing_done(done.await)
}

/// Makes it, on trial.
pub(super) async fn apply_form(
    asker: Asker,
    State(sources): State<Arc<Sources>>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, Problem> {
    let given = with_changes(&sources, move |changes, _| read(changes, pairs)).await?;
    let wish = Wish::of(&asker.caller, given.base.clone(), given.wanted.clone());
    match whole::make_with_users(&sources, wish, given.users.clone()).await {
        Ok((made, users)) => Ok(told_of(&sources, asker, &made, &users)),
        Err(problem) => {
            let again = move |changes: &Changes, sources: &Sources| {
                reviewed((changes, sources), asker, given, "What would change", Some(problem))
            };
            with_changes(&sources, again).await
        }
    }
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
            let whereto = asker.reached.whereto(admin);
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

/// Keeps the change that is on trial.
pub(super) async fn confirm_form(
    caller: Caller,
    State(sources): State<Arc<Sources>>,
    Extension(table): Extension<Table>,
    headers: HeaderMap,
    Form(Which { number }): Form<Which>,
) -> Result<Response, Problem> {
    let number = settings::confirm(&sources, number, caller.describe()).await?.number;
    sources.page.trust.tell(&caller, format!("Change {number} is kept."));
    Ok((kept(number), Redirect::to(&look::back(&headers, &table))).into_response())
}

/// Gives it back.
pub(super) async fn return_form(
    asker: Asker,
    State(sources): State<Arc<Sources>>,
    Extension(table): Extension<Table>,
    headers: HeaderMap,
    Form(Which { number }): Form<Which>,
) -> Result<Response, Problem> {
    let made = settings::give_back(&sources, number, asker.caller.describe()).await?;
    let number = made.number;
    let left = match made.left.join(", ") {
        files if files.is_empty() => files,
        files => format!(" Somebody has changed {files} since: that stays as it is."),
    };
    let Some(admin) = &made.moves else {
        let word = format!("Change {number} is given back: the settings of before are in force.{left}");
        sources.page.trust.tell(&asker.caller, word);
        return Ok((given_back(number), Redirect::to(&look::back(&headers, &table))).into_response());
    };
    let words = vec![format!("Change {number} is given back, and {}.{left}", asker.reached.whereto(admin))];
    let page = show(&Moved { frame: asker.frame, words, users: String::new() });
    Ok((given_back(number), page).into_response())
}

pub(super) fn kept(number: u64) -> Extension<Did> {
    Extension(Did::at(format!("confirmed change {number} of the settings")))
}

pub(super) fn given_back(number: u64) -> Extension<Did> {
    Extension(Did::at(format!("gave change {number} of the settings back")))
}

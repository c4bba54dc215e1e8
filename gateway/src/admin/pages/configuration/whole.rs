//! The whole set-up as one file: given, without secrets or sealed by a passphrase, and taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use utoipa::ToSchema;

use super::change::{Asker, nothing_done, refuse_masks, reviewed};
use super::given::Given;
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::pages::Input;
use crate::admin::problem::Problem;
use crate::admin::settings::{Made, Reached, Wish, changes, make, trial_of, with_changes};
use crate::admin::trust::Caller;
use crate::changes::{CONFIRM_WITHIN, Wanted};
use crate::setup::{SetUp, Users};
use crate::users::UsersFile;

/// How a set-up is to leave.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct Export {
    /// What seals it, 12 characters or more; without one no secret is in it.
    #[serde(default)]
    passphrase: String,
}

/// What a form says of it.
#[derive(Deserialize)]
pub(super) struct ExportForm {
    #[serde(default)]
    passphrase: String,
    /// The same once more.
    #[serde(default)]
    again: String,
}

async fn export(sources: &Arc<Sources>, passphrase: String) -> Result<Response, Problem> {
    let owned = Arc::clone(sources);
    // Sealing takes as much memory as hashing a password.
    let done = sources.page.trust.in_turn(move || {
        let changes = changes(&owned)?;
        let settings = changes.check(&Wanted::new())?.settings;
        let data_dir = settings.gateway.data_dir.clone();
        let texts = changes.texts().map_err(Problem::failed)?;
        let passphrase = Some(passphrase.as_str()).filter(|text| !text.is_empty());
        let text = SetUp::export(settings, &data_dir, (changes.main_name(), &texts), passphrase);
        Ok::<_, Problem>((text.map_err(Problem::bad)?, passphrase.is_some()))
    });
    let (text, sealed) = done.await.map_err(Problem::failed)??;
    let ending = if sealed { "sealed" } else { "json" };
    // An id has only characters that may stand there.
    let name = format!("attachment; filename=\"set-up-{}.{ending}\"", sources.id);
    let what = if sealed { "exported the set-up, sealed" } else { "exported the set-up without secrets" };
    let kind = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((Extension(Did::at(what)), kind, text).into_response())
}

/// Gives it to a person.
pub(super) async fn export_form(
    State(sources): State<Arc<Sources>>,
    Form(ExportForm { passphrase, again }): Form<ExportForm>,
) -> Result<Response, Problem> {
    if passphrase != again {
        return Err(Problem::bad("the two passphrases differ; go back and type them anew"));
    }
    export(&sources, passphrase).await
}

/// The whole set-up as a file: settings and users. Without a passphrase each secret is left out.
#[utoipa::path(post, path = "/api/v1/configuration/export", tag = "configuration", request_body = Export,
    responses((status = 200, description = "a set-up", body = Object), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_export(
    State(sources): State<Arc<Sources>>,
    Input(Export { passphrase }): Input<Export>,
) -> Result<Response, Problem> {
    export(&sources, passphrase).await
}

/// A set-up that is to be taken.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct Import {
    /// The file's text.
    set_up: String,
    /// What opens it, where it is sealed.
    #[serde(default)]
    passphrase: String,
    /// How long it is on trial, 5 to 3600; else 90.
    confirm_within_seconds: Option<u64>,
}

/// Opens it, and gives its files by their names here.
async fn open(sources: &Arc<Sources>, set_up: String, passphrase: String) -> Result<(SetUp, Wanted), Problem> {
    let owned = Arc::clone(sources);
    let opened = sources.page.trust.in_turn(move || {
        let passphrase = Some(passphrase.as_str()).filter(|text| !text.is_empty());
        let set_up = SetUp::parse(&set_up, passphrase).map_err(|error| Problem::bad(error.to_string()))?;
        let wanted = changes(&owned)?.all(&set_up.main, &set_up.small).map_err(Problem::failed)?;
        Ok::<_, Problem>((set_up, wanted))
    });
    opened.await.map_err(Problem::failed)?
}

/// What taking it would do.
pub(super) async fn import_form(
    asker: Asker,
    State(sources): State<Arc<Sources>>,
    Form(Import { set_up, passphrase, .. }): Form<Import>,
) -> Result<Response, Problem> {
    let (set_up, wanted) = open(&sources, set_up, passphrase).await?;
    let done = with_changes(&sources, move |changes, sources| {
        let title = format!("The set-up of {}, made {}", set_up.gateway, set_up.made);
        reviewed((changes, sources), asker, Given { base: None, wanted, users: set_up.users }, &title, None)
    });
    nothing_done(done.await)
}

/// The names of those in a text of users.
pub(super) fn names(users: &str) -> Result<Vec<String>, String> {
    of_users(users.to_owned()).user_names()
}

fn of_users(users: String) -> SetUp {
    SetUp::of("", "", &BTreeMap::new(), Some(users))
}

/// Makes a change, when the users that come with it are added. Those first: settings may be refused because nobody could connect.
/// They stay, whatever becomes of the settings; so each is told of, and each new password, also where these are refused.
pub(super) async fn make_with_users(
    sources: &Arc<Sources>,
    wish: Wish,
    users: Option<String>,
) -> Result<(Made, Vec<String>), Problem> {
    refuse_masks(&wish.wanted)?;
    let users = match users {
        Some(users) => add_users(sources, users, wish.wanted.clone()).await?,
        None => Vec::new(),
    };
    match make(sources, wish).await {
        Ok(made) => Ok((made, users)),
        Err(problem) => Err(with_words(problem, &users)),
    }
}

fn with_words(problem: Problem, users: &[String]) -> Problem {
    let detail = users.iter().fold(problem.detail, |detail, user| format!("{detail}. {user}"));
    Problem { detail, ..problem }
}

/// Adds users who are not there yet, and says who was, with the password of those who had none.
async fn add_users(sources: &Arc<Sources>, users: String, wanted: Wanted) -> Result<Vec<String>, Problem> {
    let runtime = Handle::current();
    let added = with_changes(sources, move |changes, sources| {
        // It also sees whether the settings are good but for users.
        let file = UsersFile::of(&changes.data_dir_of(&wanted).map_err(Problem::bad)?);
        // Each in its turn: clients are not to wait until all of many are hashed.
        let hash = |password: &str| runtime.block_on(sources.page.trust.hash(password.to_owned()));
        let Users { all, passwords } = of_users(users).users(hash).map_err(Problem::bad)?;
        let word = |name: String| match passwords.get(&name) {
            Some(password) => format!("User {name} added; password, shown this once: {password}"),
            None => format!("User {name} added"),
        };
        Ok(file.add_new(all).map_err(Problem::bad)?.into_iter().map(word).collect::<Vec<String>>())
    });
    let added = added.await?;
    match sources.broker.reload_users().await {
        Ok(()) => Ok(added),
        Err(problems) => {
            let problem = Problem::failed(format!("users are written, but could not be read: {problems}"));
            Err(with_words(problem, &added))
        }
    }
}

/// A set-up that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Imported {
    /// The number of the change, which is on trial.
    number: u64,
    /// Seconds until it is given back, unless it is confirmed. Users stay.
    confirm_within_seconds: u64,
    /// Users that were added, in words, with the password of each who had none.
    users: Vec<String>,
    /// Where the page and the API are from now on, in words, if they move.
    moves: Option<String>,
}

/// Takes a set-up: its users are added, and its settings are a change on trial.
#[utoipa::path(post, path = "/api/v1/configuration/import", tag = "configuration", request_body = Import,
    responses((status = 200, body = Imported), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_import(
    State(sources): State<Arc<Sources>>,
    (caller, reached): (Caller, Reached),
    Input(Import { set_up, passphrase, confirm_within_seconds }): Input<Import>,
) -> Result<Response, Problem> {
    let within = confirm_within_seconds.map_or(Ok(CONFIRM_WITHIN), trial_of)?;
    let (set_up, wanted) = open(&sources, set_up, passphrase).await?;
    let wish = Wish { within: Some(within), ..Wish::of(&caller, None, wanted) };
    let (made, users) = make_with_users(&sources, wish, set_up.users).await?;
    let (number, confirm_within_seconds) = (made.number, within.as_secs());
    let moves = made.moves.as_ref().map(|admin| reached.whereto(admin));
    let did = Extension(Did::at(format!("imported a set-up: change {number}, on trial")));
    Ok((did, Json(Imported { number, confirm_within_seconds, users, moves })).into_response())
}

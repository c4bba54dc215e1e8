//! The settings: what they say, what a change of them would do, changes of before, and the whole set-up as one file.
//!
//! `verdict.rs` says what a text would be, `given.rs` reads forms, `change.rs` makes changes and ends their trials, as `api.rs` does for
//! programs, `past.rs` shows those of before, `whole.rs` gives and takes set-ups. Files are written by `changes` alone, by way of `admin/settings.rs`.

pub(in crate::admin) mod api;
mod change;
mod given;
pub(in crate::admin) mod past;
mod verdict;
pub(in crate::admin) mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::api::{post_apply, post_check, post_confirm, post_return};
use self::past::{Past, get_change, get_changes, post_restore};
use self::verdict::Verdict;
use self::whole::{post_export, post_import};
use super::shown::in_query;
use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::settings::with_changes;
use crate::admin::trial::Trial;
use crate::admin::trust::Caller;
use crate::changes::{self, Changes, Wanted};
use crate::people::Role;
use crate::setup::{self, SetUp};

pub(super) const PATH: &str = "/configuration";

pub(super) fn routes(routes: Routes) -> Routes {
    let (operator, admin) = (Access::Role(Role::Operator), Access::Role(Role::Admin));
    routes
        .page(PATH, operator, page)
        .page("/configuration/changes/{number}", operator, past::page)
        .form("/configuration/edit", admin, change::edit_form)
        .form("/configuration/review", admin, change::review_form)
        .form("/configuration/apply", admin, change::apply_form)
        .form("/configuration/confirm", admin, change::confirm_form)
        .form("/configuration/return", admin, change::return_form)
        .form("/configuration/restore", admin, past::restore_form)
        .form("/configuration/export", admin, whole::export_form)
        .form("/configuration/import", admin, whole::import_form)
        .get("/api/v1/configuration", operator, get_configuration)
        .get("/api/v1/configuration/changes", operator, get_changes)
        .get("/api/v1/configuration/changes/{number}", operator, get_change)
        .post("/api/v1/configuration/check", admin, post_check)
        .post("/api/v1/configuration/apply", admin, post_apply)
        .post("/api/v1/configuration/confirm", admin, post_confirm)
        .post("/api/v1/configuration/return", admin, post_return)
        .post("/api/v1/configuration/restore", admin, post_restore)
        .post("/api/v1/configuration/export", admin, post_export)
        .post("/api/v1/configuration/import", admin, post_import)
}

/// The files of the settings.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::admin) struct Configuration {
    /// The name of the main file.
    main: String,
    /// What the files say, by their names: that of the main one, or `conf.d/NAME.toml`.
    files: BTreeMap<String, String>,
    /// Whether secrets are masked, as they are for those who are no admin.
    masked: bool,
    /// Why nothing is shown, if so.
    hidden: Option<&'static str>,
    /// Goes along with a change, which is refused where the files are others by then. None for those who are no admin: it is made of
    /// secrets too, which could be guessed by it.
    base: Option<String>,
    /// Why the gateway may not write them; none where it may.
    read_only: Option<String>,
    /// The change that is on trial.
    trial: Option<Trial>,
}

const UNREADABLE: &str = "a file is no TOML, so nobody can tell what in it is secret; an admin sees it";

/// Gathers it. Waits for the disk.
fn gather(changes: &Changes, sources: &Sources, caller: &Caller) -> Result<Configuration, Problem> {
    let texts = changes.texts().map_err(Problem::failed)?;
    let masked = !sees_secrets(caller);
    let base = (!masked).then(|| changes::stamp(&texts));
    let shown = if masked { without_secrets(changes, &texts) } else { Some(texts) };
    Ok(Configuration {
        main: changes.main_name().to_owned(),
        hidden: shown.is_none().then_some(UNREADABLE),
        files: shown.unwrap_or_default(),
        masked,
        base,
        read_only: changes.may_write().err(),
        trial: sources.page.trials.now(),
    })
}

fn sees_secrets(caller: &Caller) -> bool {
    caller.role() >= Some(Role::Admin)
}

/// The texts of files with masks in the place of secrets; `None` where that can't be done.
fn without_secrets(changes: &Changes, texts: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    // Where the settings are wrong, nothing says what is no secret of a plugin.
    let settings = changes.check(&Wanted::new()).map(|checked| setup::shown(checked.settings)).unwrap_or_default();
    let main = changes.main_name();
    let SetUp { main: main_text, small, .. } = SetUp::of("", main, texts, None).without_secrets(&settings).ok()?;
    let small = small.into_iter().map(|(name, text)| (format!("conf.d/{name}"), text));
    Some(
        std::iter::once((main.to_owned(), main_text))
            .chain(small)
            .filter(|(name, _)| texts.contains_key(name))
            .collect(),
    )
}

/// The files of the settings, and which change of them is on trial. For those who are no admin secrets are masked.
#[utoipa::path(get, path = "/api/v1/configuration", tag = "configuration",
    responses((status = 200, body = Configuration), (status = 409, body = Problem)))]
pub(in crate::admin) async fn get_configuration(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
) -> Result<Json<Configuration>, Problem> {
    with_changes(&sources, move |changes, sources| gather(changes, sources, &caller)).await.map(Json)
}

/// The page with the editor.
#[derive(Template)]
#[template(path = "configuration.html")]
struct Page {
    frame: Frame,
    configuration: Configuration,
    /// The file that is shown.
    name: String,
    /// What is in the editor.
    text: String,
    /// What it would be, if that was asked for.
    verdict: Option<Verdict>,
    past: Vec<Past>,
    /// What went wrong with what was asked for.
    error: Option<String>,
}

impl Page {
    /// The page as it is without anything asked for. Waits for the disk.
    fn gather(
        changes: &Changes,
        sources: &Sources,
        (frame, caller): (Frame, &Caller),
        file: Option<String>,
    ) -> Result<Self, Problem> {
        let configuration = gather(changes, sources, caller)?;
        let past = past::gather(changes).map_err(Problem::failed)?.changes;
        let known = |name: &String| configuration.files.contains_key(name) || changes.is_name(name);
        let name = file.filter(known).unwrap_or_else(|| configuration.main.clone());
        let text = configuration.files.get(&name).cloned().unwrap_or_default();
        Ok(Self { frame, name, text, verdict: None, past, error: None, configuration })
    }

    fn may_change(&self) -> bool {
        !self.configuration.masked
    }

    fn is_new(&self) -> bool {
        !self.configuration.files.contains_key(&self.name)
    }

    /// The files with the one that is shown, the main one first, each with its address and whether it is that one.
    fn files(&self) -> impl Iterator<Item = (&str, String, bool)> {
        let address = |name: &str| format!("{PATH}?file={}", in_query(name));
        self.names().into_iter().map(move |name| (name, address(name), *name == *self.name))
    }

    fn names(&self) -> Vec<&str> {
        let small = self.configuration.files.keys().filter(|name| **name != self.configuration.main);
        let new = Some(&self.name).filter(|name| self.is_new() && **name != self.configuration.main);
        std::iter::once(&self.configuration.main).chain(small).chain(new).map(String::as_str).collect()
    }

    /// How many lines the editor shows at once.
    fn rows(&self) -> usize {
        self.text.lines().count().clamp(12, 32)
    }
}

#[derive(Deserialize)]
struct Wish {
    file: Option<String>,
}

async fn page(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Query(Wish { file }): Query<Wish>,
) -> Result<Response, Problem> {
    // A name alone is a small file that is still to be made.
    let file = file.map(|name| given::file_name(&name));
    let gathered =
        with_changes(&sources, move |changes, sources| Page::gather(changes, sources, (frame, &caller), file)).await?;
    Ok(show(&gathered))
}

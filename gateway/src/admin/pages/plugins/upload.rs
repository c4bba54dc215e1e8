//! A component that comes by the page's form or as the body of a request, and goes to the desk.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PATH;
use super::change::at_desk;
use super::page::all;
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::pages::Frame;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::admin::upload::{self, Came, Kind};
use crate::component::{MAX_BYTES, check_component};
use crate::plugins::desk::{self, Installed};
use crate::plugins::install::Wish;

static COMPONENT: Kind = Kind {
    name: "component",
    text: "name",
    longest: MAX_BYTES,
    beginning: 8,
    check: check_component,
    // The desk has it in memory at once, and writes it once more.
    leaves: 0,
    patience: Duration::from_secs(15 * 60),
};

pub(super) fn routes(routes: Routes, admin: Access) -> Routes {
    let longest = COMPONENT.longest_body();
    routes.upload_form(PATH, admin, longest, upload_form).upload("/api/v1/plugins", admin, longest, post_plugin)
}

/// What was installed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Uploaded {
    name: String,
    /// SHA-256 of it in hex.
    hash: String,
    /// Whether there was none of this name before: it is not enabled.
    is_new: bool,
    /// Whether the version before is kept and can be gone back to.
    keeps_previous: bool,
    /// Why it does not start with its settings, if it does not.
    does_not_start: Option<String>,
}

impl From<Installed> for Uploaded {
    fn from(installed: Installed) -> Self {
        let Installed { name, hash, is_new, keeps_previous, why_not } = installed;
        Self { name, hash, is_new, keeps_previous, does_not_start: why_not }
    }
}

impl Uploaded {
    fn did(&self) -> String {
        let what = if self.is_new { "uploaded the plugin" } else { "uploaded a version of the plugin" };
        format!("{what} {}, {}", self.name, self.hash)
    }

    fn word(&self) -> String {
        let start = match (&self.does_not_start, self.is_new) {
            (Some(why), _) => format!("It does not start yet: {why}."),
            (None, true) => "Look at what it may use, try it out, and enable it.".to_owned(),
            (None, false) if self.keeps_previous => "The version before is kept, and you can go back to it.".to_owned(),
            (None, false) => "It is the version that was there.".to_owned(),
        };
        format!("Done: {} is installed. {start}", self.name)
    }
}

async fn install(
    sources: &Arc<Sources>,
    caller: &Caller,
    name: Option<String>,
    file: File,
) -> Result<Uploaded, Problem> {
    let wish = Wish { name, ..Wish::default() };
    at_desk(sources, caller, move |desk| desk.install(file, &wish)).await.map(Uploaded::from)
}

/// Where it goes: a file without a name in the data folder.
async fn landing(sources: &Arc<Sources>) -> Result<File, Problem> {
    let owned = Arc::clone(sources);
    let made = tokio::task::spawn_blocking(move || {
        let changes = owned.changes.get().ok_or("this gateway's settings are in no file")?;
        desk::upload(changes)
    });
    made.await.map_err(|panic| Problem::failed(panic.to_string()))?.map_err(Problem::failed)
}

/// For a token of the form, see `guard.rs`: it stands in the query, since the body is not read there.
async fn upload_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    request: Request,
) -> Response {
    let _stays = upload::stays(&request);
    let done = match upload::take(request, &sources, &COMPONENT, landing(&sources).await).await {
        Ok(Came { file, text: name }) => install(&sources, &caller, name, file).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(uploaded) => {
            sources.page.trust.tell(&caller, uploaded.word());
            (Extension(Did::at(uploaded.did())), Redirect::to(&format!("{PATH}/{}", uploaded.name))).into_response()
        }
        Err(problem) => all(frame, &sources, Some(problem)).await,
    }
}

/// What the query of a request says.
#[derive(Deserialize)]
pub(in crate::admin) struct Named {
    name: Option<String>,
}

/// Installs a component: a new plugin, which is not enabled, or another version of one that is installed, which takes its place
/// at once; the version before is kept. The body is the component, at most 64 MiB, or a form with it as `component`.
#[utoipa::path(post, path = "/api/v1/plugins", tag = "plugins",
    params(("name" = Option<String>, Query, description = "what it is called here; without it, what its manifest says")),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 201, body = Uploaded), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_plugin(
    caller: Caller,
    State(sources): State<Arc<Sources>>,
    named: Result<Query<Named>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(Named { name }) = named.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let _stays = upload::stays(&request);
    let came = upload::take(request, &sources, &COMPONENT, landing(&sources).await).await?;
    let uploaded = install(&sources, &caller, name.or(came.text), came.file).await?;
    Ok((StatusCode::CREATED, Extension(Did::at(uploaded.did())), Json(uploaded)).into_response())
}

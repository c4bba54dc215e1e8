//! A bundle that comes by the System page's form or as the body of a request: to a file of the data folder, and then to RAUC as
//! `stile update FILE` gives it one.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::update::{Installs, problem};
use super::{Frame, system};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::upload::{self, Came, Kind};
use crate::people::Role;
use crate::update::{self, BEGINNING, NoPlace, Sent, check_bundle};

static BUNDLE: Kind = Kind {
    name: "bundle",
    text: "allow_older",
    // More than a system's place on the disk has.
    longest: 1 << 30,
    beginning: BEGINNING,
    check: check_bundle,
    leaves: 64 << 20,
    // Less than a connection may last at most, by what RAUC needs to look at it.
    patience: Duration::from_secs(55 * 60),
};

pub(super) fn routes(routes: Routes) -> Routes {
    let (admin, longest) = (Access::Role(Role::Admin), BUNDLE.longest_body());
    routes.upload_form("/system/update/bundle", admin, longest, bundle_form).upload(
        "/api/v1/system/update/bundle",
        admin,
        longest,
        post_bundle,
    )
}

/// The place for one, where it may come: one at a time, where it can be installed, and where the disk has room for it.
async fn place(sources: &Sources, headers: &HeaderMap) -> Result<(Sent, File), Problem> {
    update::is_idle().await.map_err(|failure| problem(&failure.into()))?;
    let (landing, length) = (sources.updates.landing(), upload::length(headers).unwrap_or_default());
    let made = tokio::task::spawn_blocking(move || {
        let (sent, file) = landing.place().map_err(|why| match why {
            NoPlace::Taken => Problem::new(StatusCode::CONFLICT, why.to_string()),
            NoPlace::Disk(..) => Problem::failed(why.to_string()),
        })?;
        upload::has_room(&file, length, BUNDLE.leaves)?;
        Ok((sent, file))
    });
    made.await.map_err(|panic| Problem::failed(panic.to_string()))?
}

/// Takes it, looks at it and begins to install it; says its version. Whatever comes of it, the file is gone at its end.
async fn install(sources: &Arc<Sources>, request: Request, allow_older: bool) -> Result<String, Problem> {
    let _stays = upload::stays(&request);
    let (sent, file) = place(sources, request.headers())
        .await
        .map_or_else(|problem| (None, Err(problem)), |(sent, file)| (Some(sent), Ok(file)));
    let Came { file, text } = upload::take(request, sources, &BUNDLE, file).await?;
    // RAUC takes none that somebody could still write to.
    drop(file);
    let sent = sent.ok_or_else(|| Problem::failed("there is no place for it"))?;
    let path = sent.path().to_str().ok_or_else(|| Problem::failed("the path of the data folder is no text"))?;
    let allow_older = allow_older || text.as_deref() == Some("true");
    let begun = update::begin(path, allow_older).await.map_err(|why| problem(&why))?;
    let version = begun.bundle.version.clone();
    sources.updates.see_through(begun, Some(sent));
    Ok(version)
}

fn did(version: &str) -> Did {
    Did::at(format!("began to install version {version} from a file that was sent"))
}

/// For a token of the form, see `guard.rs`: it stands in the query, since the body is not read there.
async fn bundle_form(frame: Frame, State(sources): State<Arc<Sources>>, request: Request) -> Response {
    match install(&sources, request, false).await {
        Ok(version) => (Extension(did(&version)), Redirect::to(system::PATH)).into_response(),
        Err(problem) => system::refused(&sources, frame, problem).await,
    }
}

/// What the query of a request says.
#[derive(Deserialize)]
pub(in crate::admin) struct Asked {
    #[serde(default)]
    allow_older: bool,
}

/// Has a bundle installed that is sent with this request, into the system that does not run: it is kept until that has ended. The
/// body is the bundle, at most 1 GiB, or a form with it as `bundle`. A machine that is started again behind it runs it.
#[utoipa::path(post, path = "/api/v1/system/update/bundle", tag = "system",
    params(("allow_older" = Option<bool>, Query, description = "whether it may be older than what runs")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = Installs), (status = 400, body = Problem), (status = 408, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem), (status = 507, body = Problem)))]
pub(in crate::admin) async fn post_bundle(
    State(sources): State<Arc<Sources>>,
    asked: Result<Query<Asked>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(Asked { allow_older }) = asked.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let version = install(&sources, request, allow_older).await?;
    Ok((StatusCode::ACCEPTED, Extension(did(&version)), Json(Installs { version })).into_response())
}

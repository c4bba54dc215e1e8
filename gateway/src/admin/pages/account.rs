//! What somebody changes of himself: his password.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::sign_in::status;
use super::{Frame, Input, show};
use crate::admin::audit::Did;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::{Caller, Cookies, Opened, Refused};
use crate::admin::{Door, Sources};
use crate::people::{self, Role};
use crate::store::AuditRow;

const PATH: &str = "/account";

pub(super) fn routes(routes: Routes) -> Routes {
    let anybody = Access::Role(Role::Viewer);
    routes.page(PATH, anybody, page).form(PATH, anybody, form).put("/api/v1/account/password", anybody, put_password)
}

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    frame: Frame,
    error: Option<String>,
}

async fn page(frame: Frame) -> Response {
    show(&Page { frame, error: None })
}

/// Another password for whoever asks.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct NewPassword {
    /// The one of now.
    old: String,
    /// 10 to 1024 characters.
    new: String,
}

/// Gives somebody his new password, and a session in the place of all that he had.
async fn change(
    sources: &Sources,
    caller: &Caller,
    peer: SocketAddr,
    NewPassword { old, new }: NewPassword,
) -> Result<Opened, Problem> {
    let Caller::Person { name, .. } = caller else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "only people have passwords"));
    };
    let trust = &sources.page.trust;
    people::check_password(&new).map_err(Problem::bad)?;
    let proved = trust.sign_in(name, &old, peer.ip()).await;
    proved.map_err(|refused| Problem::new(status(refused), in_words(refused)))?;
    let hash = trust.hash(new).await.map_err(Problem::failed)?;
    let (person, own) = (Arc::clone(name), hash.clone());
    let changed = trust.change(move |people| people.change(&person, |person| person.hash = hash));
    changed.await.map_err(Problem::failed)?;
    trust.open_for(name, &own).map_err(Problem::failed)
}

fn in_words(refused: Refused) -> &'static str {
    match refused {
        Refused::Wrong => "the old password is wrong",
        Refused::HeldBack => "there were too many wrong passwords; wait a minute, then try again",
        Refused::Busy => "the gateway has too much to do; try again in a moment",
    }
}

async fn form(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    (door, caller): (Door, Caller),
    Input(given): Input<NewPassword>,
) -> Response {
    match change(&sources, &caller, peer, given).await {
        Ok(opened) => {
            let now = sources.page.trust.by_cookie(&opened.secret, true);
            sources.page.trust.tell(&now, "You have a new password. Everywhere else you are signed out.".to_owned());
            (cookie(door, &opened), done(), Redirect::to(PATH)).into_response()
        }
        Err(problem) => (problem.status, done(), show(&Page { frame, error: Some(problem.detail) })).into_response(),
    }
}

/// Gives whoever has signed in another password. All of his sessions end; the answer's cookie is a new one.
#[utoipa::path(put, path = "/api/v1/account/password", tag = "account", request_body = NewPassword,
    responses((status = 204, description = "changed"), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn put_password(
    State(sources): State<Arc<Sources>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    (door, caller): (Door, Caller),
    Input(given): Input<NewPassword>,
) -> Result<Response, Problem> {
    let peer = peer.map_or_else(|| ([127, 0, 0, 1], 0).into(), |Extension(ConnectInfo(peer))| peer);
    let opened = change(&sources, &caller, peer, given).await?;
    Ok((StatusCode::NO_CONTENT, cookie(door, &opened), done()).into_response())
}

fn done() -> Extension<Did> {
    Extension(Did::at(AuditRow::OWN_PASSWORD))
}

fn cookie(door: Door, opened: &Opened) -> AppendHeaders<[(header::HeaderName, String); 1]> {
    AppendHeaders([(header::SET_COOKIE, Cookies(door).begin(&opened.secret))])
}

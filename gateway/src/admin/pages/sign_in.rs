//! Signing in and out.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;

use super::shown::beginning;
use super::{Frame, SET_UP, SIGN_IN, show};
use crate::admin::audit::Did;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::{Caller, Cookies, Refused};
use crate::admin::{Door, Sources};
use crate::people::Role;
use crate::store::AuditRow;

pub(super) fn routes(routes: Routes) -> Routes {
    // Who is nobody yet has to come in somewhere.
    routes.page(SIGN_IN, Access::Open, page).form(SIGN_IN, Access::Open, sign_in).form(
        "/sign-out",
        Access::Role(Role::Viewer),
        sign_out,
    )
}

/// The longest name that is shown again, in characters; the form takes no longer one.
pub(super) const NAME_SHOWN: usize = 64;
/// The longest path that signing in leads to, in bytes.
const NEXT_BYTES: usize = 1024;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'a> {
    frame: Frame,
    name: &'a str,
    next: &'a str,
    error: Option<&'static str>,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn page(frame: Frame, State(sources): State<Arc<Sources>>, Query(Next { next }): Query<Next>) -> Response {
    if sources.page.trust.needs_setup() {
        return Redirect::to(SET_UP).into_response();
    }
    show(&Page { frame, name: "", next: own_path(&next), error: None })
}

#[derive(Deserialize)]
struct Given {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    (door, old): (Door, Caller),
    Form(given): Form<Given>,
) -> Response {
    let trust = &sources.page.trust;
    match trust.sign_in(given.name.trim(), &given.password, peer.ip()).await {
        Ok(opened) => {
            // Whatever the browser held before ends here.
            trust.sign_out(&old);
            let cookie = AppendHeaders([(header::SET_COOKIE, Cookies(door).begin(&opened.secret))]);
            let did = Extension(Did::by(given.name.trim(), AuditRow::SIGNED_IN));
            (cookie, did, Redirect::to(own_path(&given.next))).into_response()
        }
        Err(refused) => {
            let (name, next) = (beginning(&given.name, NAME_SHOWN), own_path(&given.next));
            let answer = (status(refused), show(&Page { frame, name, next, error: Some(in_words(refused)) }));
            // Without a password there was nothing to look at.
            if refused == Refused::Wrong && !given.password.is_empty() {
                return (Extension(Did::by(given.name.trim(), AuditRow::SIGNED_IN)), answer).into_response();
            }
            answer.into_response()
        }
    }
}

async fn sign_out(State(sources): State<Arc<Sources>>, door: Door, caller: Caller) -> Response {
    sources.page.trust.sign_out(&caller);
    let cookie = AppendHeaders([(header::SET_COOKIE, Cookies(door).end())]);
    (cookie, Extension(Did::at(AuditRow::SIGNED_OUT)), Redirect::to(SIGN_IN)).into_response()
}

/// For the answer to whoever was not let in.
pub(super) fn status(refused: Refused) -> StatusCode {
    match refused {
        Refused::Wrong => StatusCode::UNAUTHORIZED,
        Refused::HeldBack => StatusCode::TOO_MANY_REQUESTS,
        Refused::Busy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn in_words(refused: Refused) -> &'static str {
    match refused {
        Refused::Wrong => "Name or password is wrong.",
        Refused::HeldBack => "There were too many wrong passwords. Wait a minute, then try again.",
        Refused::Busy => "The gateway has too much to do. Try again in a moment.",
    }
}

/// A path of this host, or the first page.
fn own_path(next: &str) -> &str {
    let own = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if own && next.is_ascii() && next.len() <= NEXT_BYTES { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_a_path_of_this_host_alone() {
        assert_eq!(own_path("/messages?filter=a"), "/messages?filter=a");
        for odd in
            ["", "https://elsewhere", "//elsewhere", "/\\elsewhere", "/\n/elsewhere", "/\t/elsewhere", "javascript:x"]
        {
            assert_eq!(own_path(odd), "/", "{odd:?}");
        }
        assert_eq!(own_path(&format!("/{}", "a".repeat(NEXT_BYTES))), "/");
    }
}

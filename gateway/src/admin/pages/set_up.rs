//! The first start: whoever reads the code in the log becomes the first admin.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;

use super::shown::beginning;
use super::sign_in::{NAME_SHOWN, status};
use super::{Frame, SET_UP, SIGN_IN, first_steps, show};
use crate::admin::audit::Did;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::{Cookies, Refused};
use crate::admin::{Door, Sources};

pub(super) fn routes(routes: Routes) -> Routes {
    // There is nobody yet; the code is what opens it.
    routes.page(SET_UP, Access::Open, page).form(SET_UP, Access::Open, set_up)
}

/// The longest code that is shown again, in characters; the form takes no longer one.
const CODE_SHOWN: usize = 40;

#[derive(Template)]
#[template(path = "set_up.html")]
struct Page<'a> {
    frame: Frame,
    code: &'a str,
    name: &'a str,
    error: Option<String>,
}

async fn page(frame: Frame, State(sources): State<Arc<Sources>>) -> Response {
    if !sources.page.trust.needs_setup() {
        return Redirect::to(SIGN_IN).into_response();
    }
    show(&Page { frame, code: "", name: "", error: None })
}

#[derive(Deserialize)]
struct Given {
    code: String,
    name: String,
    password: String,
}

async fn set_up(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    door: Door,
    Form(given): Form<Given>,
) -> Response {
    let name = given.name.trim();
    match sources.page.trust.set_up(&given.code, (name, &given.password), peer.ip()).await {
        Ok(opened) => {
            let cookie = AppendHeaders([(header::SET_COOKIE, Cookies(door).begin(&opened.secret))]);
            (cookie, Extension(Did::by(name, "set the gateway up")), Redirect::to(first_steps::PATH)).into_response()
        }
        Err((refused, why)) => {
            let status = refused.map_or(StatusCode::UNPROCESSABLE_ENTITY, status);
            let error = Some(refused.map_or_else(|| sentence(&why), |refused| in_words(refused).to_owned()));
            let (code, name) = (beginning(&given.code, CODE_SHOWN), beginning(name, NAME_SHOWN));
            (status, show(&Page { frame, code, name, error })).into_response()
        }
    }
}

fn in_words(refused: Refused) -> &'static str {
    match refused {
        Refused::Wrong => "The code is wrong. It stands in the gateway's log, and is another after each start.",
        Refused::HeldBack => "There were too many wrong codes. Wait a minute, then try again.",
        Refused::Busy => "The gateway has too much to do. Try again in a moment.",
    }
}

fn sentence(why: &str) -> String {
    let mut letters = why.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

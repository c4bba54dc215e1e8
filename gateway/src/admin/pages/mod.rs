//! The pages: one file each, with the part of the API that the page is made from.
//!
//! A page's data is a `Serialize` type that the API gives as it is, and the template shows the same value: there is one
//! function that gathers it. Templates stand in `gateway/templates`, all within `frame.html`. ARCHITECTURE.md says how a page
//! is added.

pub(super) mod account;
mod audit;
mod broker;
pub(super) mod bundle;
mod charts;
pub(super) mod configuration;
mod first_steps;
pub(super) mod history;
pub(super) mod letters;
pub(super) mod licences;
pub(super) mod logs;
mod look;
pub(super) mod measurements;
mod messages;
pub(super) mod overview;
pub(super) mod people;
pub(super) mod plugins;
pub(super) mod probes;
pub(super) mod radios;
mod security;
mod set_up;
pub(super) mod shown;
mod sign_in;
pub(super) mod system;
mod ticket;
pub(super) mod tokens;
pub(super) mod update;
mod uplinks;
pub(super) mod users;

use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use serde::de::DeserializeOwned;

use super::Sources;
use super::guard::by_itself;
use super::problem::Problem;
use super::routes::Routes;
use super::trial::Trial;
use super::trust::{Caller, Cookies};
use crate::people::Role;

/// Where somebody signs in.
pub(super) const SIGN_IN: &str = "/sign-in";
/// Where the first admin is made.
pub(super) const SET_UP: &str = "/setup";

/// The pages in the order of the menu: where each is, its name, and the role that it needs.
const MENU: &[(&str, &str, Role)] = &[
    (overview::PATH, "Overview", Role::Viewer),
    (radios::PATH, "Radios", Role::Viewer),
    (messages::PATH, "Live messages", Role::Viewer),
    (probes::PATH, "Probes", Role::Viewer),
    (measurements::PATH, "Measurements", Role::Viewer),
    (broker::PATH, "Broker", Role::Viewer),
    (uplinks::PATH, "Uplinks", Role::Viewer),
    (users::PATH, "MQTT users", Role::Admin),
    (plugins::PATH, "Plugins", Role::Viewer),
    (configuration::PATH, "Configuration", Role::Operator),
    (people::PATH, "People", Role::Admin),
    (logs::PATH, "Logs", Role::Operator),
    (system::PATH, "System", Role::Viewer),
];

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .with(set_up::routes)
        .with(sign_in::routes)
        .with(look::routes)
        .with(security::routes)
        .with(overview::routes)
        .with(history::routes)
        .with(configuration::routes)
        .with(first_steps::routes)
        .with(radios::routes)
        .with(messages::routes)
        .with(probes::routes)
        .with(measurements::routes)
        .with(broker::routes)
        .with(uplinks::routes)
        .with(letters::routes)
        .with(account::routes)
        .with(users::routes)
        .with(plugins::routes)
        .with(people::routes)
        .with(tokens::routes)
        .with(logs::routes)
        .with(system::routes)
        .with(update::routes)
        .with(bundle::routes)
        .with(audit::routes)
        .with(licences::routes)
}

/// What stands around every page. Handlers take it as an argument.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    gateway: String,
    /// Where this page is.
    path: String,
    /// Name and role of who has signed in.
    person: Option<(String, &'static str)>,
    csrf: String,
    /// What the last form has brought about, shown once.
    notice: Option<String>,
    /// The change of the settings that is on trial, for whoever has signed in.
    trial: Option<Trial>,
    /// `light`, `dark` or empty.
    theme: &'static str,
    style: String,
    script: String,
    icon: String,
}

impl Frame {
    /// Around what this request asks for.
    pub(super) fn of(sources: &Sources, caller: &Caller, parts: &Parts) -> Self {
        let (person, csrf) = match caller {
            Caller::Person { name, role, csrf, .. } => (Some((name.to_string(), role.as_str())), csrf.to_string()),
            _ => (None, String::new()),
        };
        let assets = &sources.page.assets;
        let trial = sources.page.trials.now().filter(|_| person.is_some());
        Self {
            gateway: sources.id.clone(),
            path: parts.uri.path().to_owned(),
            person,
            csrf,
            notice: None,
            trial,
            theme: Cookies::theme(&parts.headers).map_or("", look::known),
            style: assets.style(),
            script: assets.script(),
            icon: assets.icon(),
        }
    }

    /// Whether whoever has signed in has this role, for what a page offers; the routes hold him to it.
    pub(super) fn may(&self, needs: Role) -> bool {
        self.person.as_ref().and_then(|(_, role)| Role::parse(role)).is_some_and(|role| role >= needs)
    }

    /// The menu, with whether each is the page that is shown. It leaves out what this person may not see.
    fn menu(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let seen = MENU.iter().filter(|(_, _, needs)| self.may(*needs));
        seen.map(|(path, name, _)| (*path, *name, *path == self.path))
    }

    /// Whether this person may change settings.
    fn is_admin(&self) -> bool {
        self.may(Role::Admin)
    }

    /// The version, for the foot of the page.
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

impl FromRequestParts<Arc<Sources>> for Frame {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, sources: &Arc<Sources>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, sources).await?;
        // What is shown once waits for somebody who looks.
        let notice = if by_itself(&parts.headers) { None } else { sources.page.trust.told(&caller) };
        Ok(Self { notice, ..Self::of(sources, &caller, parts) })
    }
}

/// A page of a template.
pub(super) fn show(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => Problem::failed(format!("the page can't be made: {error}")).into_response(),
    }
}

/// What a program sends as JSON and a page as a form.
pub(super) struct Input<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Sources>> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, sources: &Arc<Sources>) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("application/json") {
            let read = Json::<T>::from_request(request, sources).await;
            return read
                .map(|Json(input)| Self(input))
                .map_err(|error| Problem::new(error.status(), error.body_text()));
        }
        let read = Form::<T>::from_request(request, sources).await;
        read.map(|Form(input)| Self(input)).map_err(|error| Problem::new(error.status(), error.body_text()))
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    problem: &'a Problem,
    /// Whether signing in as somebody else may help.
    may_sign_in: bool,
}

/// What went wrong, for people.
pub(super) fn problem(frame: Frame, problem: &Problem) -> Response {
    let may_sign_in = problem.status == StatusCode::FORBIDDEN || problem.status == StatusCode::UNAUTHORIZED;
    let mut response = show(&ProblemPage { frame, problem, may_sign_in });
    *response.status_mut() = problem.status;
    response
}

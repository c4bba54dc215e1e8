//! The two pages: all plugins in their order, and one with its history, its settings and a trial.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::form::{Group, groups};
use super::trial::TrialResult;
use super::unknown;
use super::view::{OnePlugin, aside, find, gather, keeps_previous, stamp};
use crate::admin::Sources;
use crate::admin::pages::charts::{Back, Drawn, drawn};
use crate::admin::pages::shown::{bytes, minute};
use crate::admin::pages::{Frame, show};
use crate::admin::problem::Problem;
use crate::chart::Unit;
use crate::people::Role;

#[derive(Template)]
#[template(path = "plugins.html")]
struct AllPage {
    frame: Frame,
    plugins: Vec<OnePlugin>,
    error: Option<String>,
}

impl AllPage {
    fn is_admin(&self) -> bool {
        self.frame.may(Role::Admin)
    }
}

pub(super) async fn all_page(frame: Frame, State(sources): State<Arc<Sources>>) -> Response {
    all(frame, &sources, None).await
}

/// The page of all, also after something was refused.
pub(super) async fn all(frame: Frame, sources: &Arc<Sources>, problem: Option<Problem>) -> Response {
    let status = problem.as_ref().map(|problem| problem.status).unwrap_or_default();
    let error = problem.map(|problem| problem.detail);
    let page = aside(sources, move |sources| show(&AllPage { frame, plugins: gather(sources).plugins, error }));
    (status, page.await).into_response()
}

/// What came before the page of one is shown.
#[derive(Default)]
pub(super) struct Said {
    /// Something was refused.
    pub(super) error: Option<Problem>,
    /// The form for settings as it was filled.
    pub(super) filled: Option<BTreeMap<String, String>>,
    /// What was tried.
    pub(super) tried: Option<Tried>,
}

/// What the form of a trial said, and what came of it.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) messages: String,
    pub(super) result: Option<TrialResult>,
}

#[derive(Template)]
#[template(path = "plugin.html")]
struct OnePage {
    frame: Frame,
    plugin: OnePlugin,
    keeps_previous: bool,
    groups: Vec<Group>,
    /// What the settings in the form are known by.
    base: String,
    /// Each with its title and its table.
    charts: Vec<Drawn>,
    error: Option<String>,
    tried: Tried,
}

impl OnePage {
    fn is_admin(&self) -> bool {
        self.frame.may(Role::Admin)
    }

    fn is_operator(&self) -> bool {
        self.frame.may(Role::Operator)
    }

    /// What is laid down for it.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let plugin = &self.plugin;
        let limits = plugin.limits.as_object().into_iter().flatten();
        let limits = limits.map(|(name, value)| match (name.as_str(), value.as_u64()) {
            ("memory" | "kv-bytes" | "held-bytes", Some(size)) => format!("{name} {}", bytes(size)),
            _ => format!("{name} {}", value.to_string().trim_matches('"')),
        });
        let facts = [
            ("What it is for", plugin.description.clone()),
            ("Component", Some(plugin.file.clone())),
            ("SHA-256", plugin.hash.clone()),
            ("Signed by", plugin.signer.clone()),
            ("Judges", Some(plugin.topics.join(" "))),
            ("May use", Some(plugin.grants_in_words())),
            ("May publish to", Some(plugin.publish.join(" "))),
            ("A message that it fails at", plugin.on_failure.as_str().map(str::to_owned)),
            ("Ticks every", plugin.tick.clone()),
            ("Limits", Some(limits.collect::<Vec<_>>().join(", "))),
        ];
        facts.into_iter().filter_map(|(name, text)| Some((name, text.filter(|text| !text.is_empty())?))).collect()
    }

    fn settings(&self) -> String {
        serde_json::to_string_pretty(&self.plugin.settings).unwrap_or_default()
    }

    fn minute(&self, time: &str) -> String {
        minute(time)
    }
}

pub(super) async fn one_page(frame: Frame, State(sources): State<Arc<Sources>>, Path(name): Path<String>) -> Response {
    one(frame, &sources, &name, Said::default()).await
}

/// The page of one, with what came before.
pub(super) async fn one(frame: Frame, sources: &Arc<Sources>, name: &str, said: Said) -> Response {
    let status = said.error.as_ref().map(|problem| problem.status).unwrap_or_default();
    let name = name.to_owned();
    match aside(sources, move |sources| page_of(frame, sources, &name, said)).await {
        Ok(Ok(page)) => (status, page).into_response(),
        Ok(Err(problem)) | Err(problem) => problem.into_response(),
    }
}

fn page_of(frame: Frame, sources: &Sources, name: &str, said: Said) -> Result<Response, Problem> {
    let (plugin, listed) = find(sources, name).ok_or_else(|| unknown(name))?;
    let Said { error, filled, tried } = said;
    let page = OnePage {
        // Nobody else is offered to go back to it.
        keeps_previous: frame.may(Role::Admin) && keeps_previous(sources, name),
        frame,
        base: stamp(&listed),
        groups: groups(&listed, filled.as_ref()),
        charts: charts(sources, name),
        plugin,
        error: error.map(|problem| problem.detail),
        tried: tried.unwrap_or_else(|| Tried { topic: example(&listed.settings.topics), ..Tried::default() }),
    };
    Ok(show(&page))
}

/// A topic that its first filter matches.
fn example(topics: &[crate::message::TopicFilter]) -> String {
    let first = topics.first().map_or("", |filter| filter.as_str());
    first
        .split('/')
        .map(|level| if ["+", "#"].contains(&level) { "example" } else { level })
        .collect::<Vec<_>>()
        .join("/")
}

fn charts(sources: &Sources, name: &str) -> Vec<Drawn> {
    let draw = |head, lines: &[(&str, String)]| drawn(&sources.history, Back::Hour, head, lines);
    let lines = [("calls", format!("plugin/{name}/calls")), ("messages", format!("stage/{name}/messages"))];
    let time = [("CPU time of a call", format!("plugin/{name}/cpu"))];
    vec![
        draw(("calls", "Calls and messages a second, in the last hour", Unit::PerSecond), &lines),
        draw(("cpu", "CPU time of a call, in the last hour", Unit::Micros), &time),
    ]
}

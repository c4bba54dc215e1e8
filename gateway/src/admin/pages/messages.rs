//! Live messages: what is delivered, as it comes. The stream is `live.rs`'s; without a script the page says how else to look.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::message::TopicFilter;
use crate::people::Role;

pub(super) const PATH: &str = "/messages";

pub(super) fn routes(routes: Routes) -> Routes {
    routes.page(PATH, Access::Role(Role::Viewer), page)
}

#[derive(Template)]
#[template(path = "messages.html")]
struct Page {
    frame: Frame,
    filter: String,
    /// Whether what each plugin made of each message is shown.
    way: bool,
    error: Option<String>,
    /// Plugins that messages can be chosen for; none for who may not try one out.
    plugins: Vec<String>,
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    filter: String,
    /// Anything: it is shown.
    way: Option<String>,
}

async fn page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Query(Wanted { filter, way }): Query<Wanted>,
) -> Result<Response, Problem> {
    let error = TopicFilter::new(&filter).err().filter(|_| !filter.is_empty());
    let error = error.map(|error| format!("The filter {error}."));
    let all = if frame.may(Role::Operator) { sources.plugins.listed() } else { Vec::new() };
    let plugins = all.into_iter().map(|listed| listed.settings.name.clone()).collect();
    Ok(show(&Page { frame, filter, way: way.is_some(), error, plugins }))
}

//! Who changed what: the whole audit log, with a filter.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::shown::{beginning, count, minute};
use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::audit::Change;
use crate::admin::routes::{Access, Routes};
use crate::people::Role;

pub(super) const PATH: &str = "/audit";
/// The longest text that is looked for, in characters.
const SEARCH: usize = 100;
/// Changes that the page shows; the filter finds the others, and the API gives all.
const SHOWN: usize = 300;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.page(PATH, Access::Role(Role::Admin), page)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    search: String,
    #[serde(default)]
    outcome: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    search: String,
    outcome: &'static str,
    found: usize,
    changes: Vec<Change>,
}

impl Page {
    fn minute(&self, time: &str) -> String {
        minute(time)
    }

    fn found(&self) -> String {
        count(u64::try_from(self.found).unwrap_or(u64::MAX))
    }
}

async fn page(frame: Frame, State(sources): State<Arc<Sources>>, Query(asked): Query<Asked>) -> Response {
    let search = beginning(&asked.search, SEARCH).to_owned();
    let outcome = ["done", "refused"].into_iter().find(|known| *known == asked.outcome).unwrap_or_default();
    let words = search.to_lowercase();
    let mut found: Vec<_> = sources.page.audit.newest().into_iter().map(Change::from).collect();
    found.retain(|change| {
        let of_outcome = outcome.is_empty() || (change.outcome == "done") == (outcome == "done");
        let texts = [&change.who, &change.what, &change.outcome].into_iter().chain(&change.whence);
        of_outcome && texts.into_iter().any(|text| text.to_lowercase().contains(&words))
    });
    let count = found.len();
    found.truncate(SHOWN);
    show(&Page { frame, search, outcome, found: count, changes: found })
}

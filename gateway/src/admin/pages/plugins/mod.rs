//! Plugins: how they are, in the order of the messages' way; uploaded, tried out, switched, moved, set.
//!
//! `view.rs` is what is told of them, `page.rs` the two pages, `form.rs` the form for settings. `change.rs` and `upload.rs`
//! change them by way of `plugins/desk.rs`, which the command line's verbs share their checks with; `trial.rs` tries one out and
//! makes cases of messages.

pub(in crate::admin) mod change;
mod form;
mod page;
pub(in crate::admin) mod trial;
pub(in crate::admin) mod upload;
pub(in crate::admin) mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use self::view::{AllPlugins, OnePlugin};
use crate::admin::Sources;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::people::Role;

pub(super) const PATH: &str = "/plugins";
/// What the names of a form's fields for settings begin with; a JSON Pointer is behind it.
const FIELD: &str = "s";
/// The same of the boxes that say that a secret is to go.
const FORGET: &str = "forget";

pub(super) fn routes(routes: Routes) -> Routes {
    let (viewer, operator, admin) =
        (Access::Role(Role::Viewer), Access::Role(Role::Operator), Access::Role(Role::Admin));
    routes
        .page(PATH, viewer, page::all_page)
        .page("/plugins/{name}", viewer, page::one_page)
        .with(|routes| upload::routes(routes, admin))
        .form("/plugins/{name}/enabled", admin, change::enabled_form)
        .form("/plugins/{name}/place", admin, change::place_form)
        .form("/plugins/{name}/rollback", admin, change::rollback_form)
        .form("/plugins/{name}/settings", admin, change::settings_form)
        .form("/plugins/{name}/try", operator, trial::try_form)
        .form("/plugins/{name}/case", operator, trial::case_form)
        .get("/api/v1/plugins", viewer, get_plugins)
        .get("/api/v1/plugins/{name}", viewer, get_plugin)
        .put("/api/v1/plugins/{name}/enabled", admin, change::put_enabled)
        .put("/api/v1/plugins/{name}/place", admin, change::put_place)
        .put("/api/v1/plugins/{name}/settings", admin, change::put_settings)
        .post("/api/v1/plugins/{name}/rollback", admin, change::post_rollback)
        .post("/api/v1/plugins/{name}/try", operator, trial::post_try)
        .post("/api/v1/plugins/{name}/case", operator, trial::post_case)
}

/// All plugins of the settings in force, in the order of the messages' way.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = 200, body = AllPlugins)))]
pub(in crate::admin) async fn get_plugins(State(sources): State<Arc<Sources>>) -> Result<Json<AllPlugins>, Problem> {
    view::aside(&sources, view::gather).await.map(Json)
}

/// One plugin.
#[utoipa::path(get, path = "/api/v1/plugins/{name}", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = OnePlugin), (status = 404, body = Problem)))]
pub(in crate::admin) async fn get_plugin(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Json<OnePlugin>, Problem> {
    let found = view::aside(&sources, move |sources| view::find(sources, &name).ok_or_else(|| unknown(&name)));
    found.await?.map(|(one, _)| Json(one))
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no plugin `{}`", crate::component::plain(name)))
}

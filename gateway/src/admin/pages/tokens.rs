//! Tokens of programs. They stand on the page of people (`people.rs`).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::people::{Named, done, formed, time, told};
use super::{Frame, Input};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::people::{self, People, Role};

pub(super) fn routes(routes: Routes) -> Routes {
    let admin = Access::Role(Role::Admin);
    routes
        .form("/tokens/add", admin, token_form)
        .form("/tokens/remove", admin, remove_token_form)
        .post("/api/v1/tokens", admin, post_token)
        .delete("/api/v1/tokens/{name}", admin, delete_token)
}

/// A token, which itself is kept nowhere.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct SomeToken {
    pub(super) name: String,
    /// `metrics`, or a role.
    #[schema(value_type = String)]
    pub(super) scope: Role,
    pub(super) made: Option<String>,
    pub(super) made_by: Option<String>,
}

impl From<&people::Token> for SomeToken {
    fn from(token: &people::Token) -> Self {
        let people::Token { name, scope, made, made_by, .. } = token;
        Self { name: name.clone(), scope: *scope, made: time(*made), made_by: made_by.clone() }
    }
}

/// A token that is wanted.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct NewToken {
    /// What it is for.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// `metrics`, or a role.
    #[schema(value_type = String, pattern = "^(metrics|viewer|operator|admin)$")]
    scope: Role,
}

/// A token, shown this once.
#[derive(Serialize, ToSchema)]
pub(in crate::admin) struct MadeToken {
    token: String,
}

/// Gives the token too.
async fn add_token(sources: &Sources, caller: &Caller, wanted: NewToken) -> Result<(String, String), Problem> {
    let NewToken { name, scope } = wanted;
    let name = name.trim().to_owned();
    let (done, by) = (format!("the token {name} opens what {scope} may"), caller.describe());
    let change = move |people: &mut People| people.add_token(&name, scope, Some(&by));
    let secret = sources.page.trust.change(change).await.map_err(Problem::bad)?;
    Ok((done, secret))
}

async fn remove_token(sources: &Sources, name: String) -> Result<String, Problem> {
    let done = format!("the token {name} opens nothing any more");
    sources.page.trust.change(move |people| people.remove_token(&name)).await.map_err(Problem::bad)?;
    Ok(done)
}

async fn token_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(wanted): Input<NewToken>,
) -> Response {
    let done = add_token(&sources, &caller, wanted).await;
    let done = done.map(|(done, secret)| (done, format!("The token, shown this once: {secret}")));
    formed(&sources, (frame, &caller), done)
}

async fn remove_token_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(Named { name }): Input<Named>,
) -> Response {
    let done = remove_token(&sources, name).await;
    formed(&sources, (frame, &caller), told(done))
}

/// Makes a token.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "people", request_body = NewToken,
    responses((status = 201, body = MadeToken), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_token(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
    Input(wanted): Input<NewToken>,
) -> Result<Response, Problem> {
    let (did, token) = add_token(&sources, &caller, wanted).await?;
    Ok((StatusCode::CREATED, Extension(Did::at(did)), Json(MadeToken { token })).into_response())
}

/// Removes a token, which opens nothing from then on.
#[utoipa::path(delete, path = "/api/v1/tokens/{name}", tag = "people", params(("name" = String, Path)),
    responses((status = 204, description = "removed"), (status = 422, body = Problem)))]
pub(in crate::admin) async fn delete_token(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    remove_token(&sources, name).await.map(done)
}

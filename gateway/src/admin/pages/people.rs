//! Who may sign in, tokens of programs (`tokens.rs`), and who changed what.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shown::minute;
use super::tokens::SomeToken;
use super::{Frame, Input, show};
use crate::admin::Sources;
use crate::admin::audit::{Change, Did};
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::people::{self, People, Role};

pub(super) const PATH: &str = "/people";
/// Changes that the page shows; the API gives all.
const CHANGES: usize = 50;

pub(super) fn routes(routes: Routes) -> Routes {
    let admin = Access::Role(Role::Admin);
    routes
        .page(PATH, admin, page)
        .form("/people/add", admin, add_form)
        .form("/people/role", admin, role_form)
        .form("/people/password", admin, password_form)
        .form("/people/remove", admin, remove_form)
        .get("/api/v1/people", admin, get_people)
        .post("/api/v1/people", admin, post_person)
        .put("/api/v1/people/{name}/role", admin, put_role)
        .put("/api/v1/people/{name}/password", admin, put_password)
        .delete("/api/v1/people/{name}", admin, delete_person)
}

/// Everybody, without what proves them.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Everybody {
    people: Vec<Somebody>,
    tokens: Vec<SomeToken>,
}

/// Somebody who may sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Somebody {
    name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// RFC 3339, where it is known.
    made: Option<String>,
    /// When role or password changed last.
    changed: Option<String>,
}

/// In RFC 3339.
pub(super) fn time(time: Option<SystemTime>) -> Option<String> {
    time.map(|time| humantime::format_rfc3339_seconds(time).to_string())
}

fn everybody(people: &People) -> Everybody {
    let somebody = |person: &people::Person| Somebody {
        name: person.name.clone(),
        role: person.role,
        made: time(person.made),
        changed: time(person.changed),
    };
    Everybody {
        people: people.person.iter().map(somebody).collect(),
        tokens: people.token.iter().map(SomeToken::from).collect(),
    }
}

/// Somebody new.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct NewPerson {
    /// 1 to 64 bytes.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    #[schema(value_type = String, pattern = "^(viewer|operator|admin)$")]
    role: Role,
    /// 10 to 1024 characters.
    #[schema(min_length = 10, max_length = 1024)]
    password: String,
}

/// Another role.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct NewRole {
    #[schema(value_type = String, pattern = "^(viewer|operator|admin)$")]
    role: Role,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct GivenPassword {
    /// 10 to 1024 characters.
    #[schema(min_length = 10, max_length = 1024)]
    password: String,
}

async fn add(sources: &Sources, NewPerson { name, role, password }: NewPerson) -> Result<String, Problem> {
    if role == Role::Metrics {
        return Err(Problem::bad("the role `metrics` is for tokens alone"));
    }
    let hash = hash(sources, password).await?;
    let name = name.trim().to_owned();
    let done = format!("{name} may sign in as {role}");
    sources.page.trust.change(move |people| people.add(&name, role, hash)).await.map_err(Problem::bad)?;
    Ok(done)
}

async fn give_role(sources: &Sources, name: String, role: Role) -> Result<String, Problem> {
    if role == Role::Metrics {
        return Err(Problem::bad("the role `metrics` is for tokens alone"));
    }
    let done = format!("{name} is {role} now");
    let change = move |people: &mut People| people.change(&name, |person| person.role = role);
    sources.page.trust.change(change).await.map_err(Problem::bad)?;
    Ok(done)
}

async fn give_password(sources: &Sources, name: String, password: String) -> Result<String, Problem> {
    let hash = hash(sources, password).await?;
    let done = format!("{name} has a new password, and is signed out everywhere");
    let change = move |people: &mut People| people.change(&name, |person| person.hash = hash);
    sources.page.trust.change(change).await.map_err(Problem::bad)?;
    Ok(done)
}

async fn remove(sources: &Sources, name: String) -> Result<String, Problem> {
    let done = format!("{name} may not sign in any more");
    sources.page.trust.change(move |people| people.remove(&name)).await.map_err(Problem::bad)?;
    Ok(done)
}

async fn hash(sources: &Sources, password: String) -> Result<crate::password::Hash, Problem> {
    people::check_password(&password).map_err(Problem::bad)?;
    sources.page.trust.hash(password).await.map_err(Problem::failed)
}

#[derive(Template)]
#[template(path = "people.html")]
struct Page {
    frame: Frame,
    everybody: Everybody,
    changes: Vec<Change>,
    error: Option<String>,
    roles: &'static [Role],
    scopes: &'static [Role],
}

impl Page {
    fn new(sources: &Sources, frame: Frame, error: Option<String>) -> Self {
        let everybody = everybody(&sources.page.trust.people());
        let changes = sources.page.audit.newest().into_iter().take(CHANGES).map(Change::from).collect();
        let roles = &[Role::Viewer, Role::Operator, Role::Admin];
        Self { frame, everybody, changes, error, roles, scopes: &Role::ALL }
    }

    fn minute(&self, time: &str) -> String {
        minute(time)
    }

    fn is_me(&self, name: &str) -> bool {
        self.frame.person.as_ref().is_some_and(|(own, _)| own == name)
    }
}

async fn page(frame: Frame, State(sources): State<Arc<Sources>>) -> Response {
    show(&Page::new(&sources, frame, None))
}

/// What a form has brought about: the page again, with a word on it. `word` is for the person, `did` for the audit log.
pub(super) fn formed(
    sources: &Sources,
    (frame, caller): (Frame, &Caller),
    done: Result<(String, String), Problem>,
) -> Response {
    match done {
        Ok((did, word)) => {
            sources.page.trust.tell(caller, word);
            (Extension(Did::at(did)), Redirect::to(PATH)).into_response()
        }
        Err(problem) => (problem.status, show(&Page::new(sources, frame, Some(problem.detail)))).into_response(),
    }
}

/// The same words for both.
pub(super) fn told(done: Result<String, Problem>) -> Result<(String, String), Problem> {
    done.map(|done| (done.clone(), format!("Done: {done}.")))
}

async fn add_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(given): Input<NewPerson>,
) -> Response {
    let done = add(&sources, given).await;
    formed(&sources, (frame, &caller), told(done))
}

#[derive(Deserialize)]
struct NamedRole {
    name: String,
    role: Role,
}

async fn role_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(NamedRole { name, role }): Input<NamedRole>,
) -> Response {
    let done = give_role(&sources, name, role).await;
    formed(&sources, (frame, &caller), told(done))
}

#[derive(Deserialize)]
struct NamedPassword {
    name: String,
    password: String,
}

async fn password_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(NamedPassword { name, password }): Input<NamedPassword>,
) -> Response {
    let done = give_password(&sources, name, password).await;
    formed(&sources, (frame, &caller), told(done))
}

/// Whom, or what, a form is about.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

async fn remove_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(Named { name }): Input<Named>,
) -> Response {
    let done = remove(&sources, name).await;
    formed(&sources, (frame, &caller), told(done))
}

/// Who may sign in, and which tokens there are.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", responses((status = 200, body = Everybody)))]
pub(in crate::admin) async fn get_people(State(sources): State<Arc<Sources>>) -> Json<Everybody> {
    Json(everybody(&sources.page.trust.people()))
}

pub(super) fn done(did: String) -> Response {
    (StatusCode::NO_CONTENT, Extension(Did::at(did))).into_response()
}

/// Lets somebody sign in.
#[utoipa::path(post, path = "/api/v1/people", tag = "people", request_body = NewPerson,
    responses((status = 204, description = "added"), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_person(
    State(sources): State<Arc<Sources>>,
    Input(given): Input<NewPerson>,
) -> Result<Response, Problem> {
    add(&sources, given).await.map(done)
}

/// Gives somebody another role.
#[utoipa::path(put, path = "/api/v1/people/{name}/role", tag = "people", params(("name" = String, Path)),
    request_body = NewRole, responses((status = 204, description = "given"), (status = 422, body = Problem)))]
pub(in crate::admin) async fn put_role(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Input(NewRole { role }): Input<NewRole>,
) -> Result<Response, Problem> {
    give_role(&sources, name, role).await.map(done)
}

/// Gives somebody another password; who is signed in by the old one is signed out.
#[utoipa::path(put, path = "/api/v1/people/{name}/password", tag = "people", params(("name" = String, Path)),
    request_body = GivenPassword, responses((status = 204, description = "given"), (status = 422, body = Problem)))]
pub(in crate::admin) async fn put_password(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Input(GivenPassword { password }): Input<GivenPassword>,
) -> Result<Response, Problem> {
    give_password(&sources, name, password).await.map(done)
}

/// Lets somebody sign in no more. The last admin stays.
#[utoipa::path(delete, path = "/api/v1/people/{name}", tag = "people", params(("name" = String, Path)),
    responses((status = 204, description = "removed"), (status = 422, body = Problem)))]
pub(in crate::admin) async fn delete_person(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    remove(&sources, name).await.map(done)
}

//! The broker's users: who may connect, with which password, and what each may do. What `stile user` does, on a page.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::people::{Named, done, time};
use super::shown::minute;
use super::ticket::Ticket;
use super::{Frame, Input, show};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::broker::{Grant, Listed, Operation, Question};
use crate::people::Role;

pub(super) const PATH: &str = "/broker/users";

pub(super) fn routes(routes: Routes) -> Routes {
    let admin = Access::Role(Role::Admin);
    routes
        .page(PATH, admin, page)
        .form("/broker/users/add", admin, add_form)
        .form("/broker/users/rights", admin, rights_form)
        .form("/broker/users/password", admin, password_form)
        .form("/broker/users/remove", admin, remove_form)
        .get("/api/v1/users", admin, get_users)
        .post("/api/v1/users", admin, post_user)
        .put("/api/v1/users/{name}/rights", admin, put_rights)
        .post("/api/v1/users/{name}/password", admin, post_password)
        .delete("/api/v1/users/{name}", admin, delete_user)
        .get("/api/v1/users/{name}/may", admin, get_may)
}

/// All users of the broker, without what proves them.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Users {
    users: Vec<User>,
    /// Names of the groups of the settings.
    groups: Vec<String>,
    /// Clients without a name may connect.
    anonymous: bool,
}

/// A user of the broker.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct User {
    name: String,
    /// He stands in the settings, and is changed there.
    in_settings: bool,
    #[serde(flatten)]
    rights: Rights,
    /// RFC 3339, where it is known.
    made: Option<String>,
    /// When password or rights changed last.
    changed: Option<String>,
}

/// What a user may do. Filters may have `%u` for the user's name and `%c` for the client id.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(in crate::admin) struct Rights {
    /// Everything; the rest says nothing then.
    #[serde(default, deserialize_with = "flag")]
    everything: bool,
    /// Groups of the settings whose rights he has too.
    #[serde(default, deserialize_with = "lines")]
    groups: Vec<String>,
    /// What he may publish to.
    #[serde(default, deserialize_with = "lines")]
    publish: Vec<String>,
    /// What he may subscribe to.
    #[serde(default, deserialize_with = "lines")]
    subscribe: Vec<String>,
}

/// Texts in a list, as programs give them, or one a line, as forms do. Empty lines say nothing.
fn lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        List(Vec<String>),
        Lines(String),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::List(list) => list,
        Given::Lines(text) => text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
    })
}

/// A truth value, or, as forms give it, the word for it.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Flag(bool),
        Word(String),
    }
    match Given::deserialize(deserializer)? {
        Given::Flag(flag) => Ok(flag),
        Given::Word(word) => word.parse().map_err(serde::de::Error::custom),
    }
}

impl From<Rights> for Grant {
    fn from(Rights { everything, groups, publish, subscribe }: Rights) -> Self {
        Self { everything, groups, publish, subscribe }
    }
}

impl From<Listed> for User {
    fn from(Listed { name, in_settings, grant, made, changed }: Listed) -> Self {
        let Grant { everything, groups, publish, subscribe } = grant;
        let rights = Rights { everything, groups, publish, subscribe };
        Self { name, in_settings, rights, made: time(made), changed: time(changed) }
    }
}

impl User {
    /// What he may do, a line for each kind of right.
    fn may(&self) -> Vec<(&'static str, String)> {
        let Rights { everything, groups, publish, subscribe } = &self.rights;
        if *everything {
            return vec![("everything", String::new())];
        }
        let kinds = [("as", groups), ("publish", publish), ("subscribe", subscribe)];
        let some: Vec<_> =
            kinds.iter().filter(|(_, list)| !list.is_empty()).map(|(kind, list)| (*kind, list.join(", "))).collect();
        if some.is_empty() { vec![("nothing", String::new())] } else { some }
    }

    fn lines_of(&self, kind: &str) -> String {
        match kind {
            "groups" => self.rights.groups.join("\n"),
            "publish" => self.rights.publish.join("\n"),
            _ => self.rights.subscribe.join("\n"),
        }
    }

    fn changed_minute(&self) -> String {
        self.changed.as_deref().map(minute).unwrap_or_default()
    }
}

fn gather(sources: &Sources) -> Users {
    let known = sources.broker.users();
    Users { users: known.users.into_iter().map(User::from).collect(), groups: known.groups, anonymous: known.anonymous }
}

/// Somebody new. His password is thought up.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct NewUser {
    /// 1 to 256 bytes.
    name: String,
    #[serde(flatten)]
    rights: Rights,
}

/// What a client signs in with, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Password {
    user: String,
    password: String,
}

/// A question about rights.
#[derive(Debug, Deserialize)]
pub(in crate::admin) struct Asked {
    what: What,
    /// A topic, or the filter of a subscription.
    topic: String,
    /// The client id, for rights with `%c`.
    #[serde(default)]
    client: String,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) enum What {
    Publish,
    Subscribe,
}

/// Whether it is allowed, and by which right.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MayVerdict)]
pub(in crate::admin) struct Verdict {
    /// At least in part.
    yes: bool,
    /// By which right, or for want of which.
    why: String,
}

fn may(sources: &Sources, user: &str, Asked { what, topic, client }: &Asked) -> Result<Verdict, String> {
    let operation = match what {
        What::Publish => Operation::Publish,
        What::Subscribe => Operation::Subscribe,
    };
    let client = Some(client.as_str()).filter(|client| !client.is_empty());
    let answer = sources.broker.may(&Question { user, client, operation, topic })?;
    Ok(Verdict { yes: answer.yes, why: answer.why })
}

#[derive(Template)]
#[template(path = "users.html")]
struct Page {
    frame: Frame,
    known: Users,
    error: Option<String>,
    /// What was just made.
    ticket: Option<Ticket>,
    /// What was asked, for the form, and the answer.
    user: String,
    asked: Option<Asked>,
    verdict: Option<Result<Verdict, String>>,
}

impl Page {
    fn new(sources: &Sources, frame: Frame) -> Self {
        let (known, user) = (gather(sources), String::new());
        Self { frame, known, error: None, ticket: None, user, asked: None, verdict: None }
    }

    fn topic(&self) -> &str {
        self.asked.as_ref().map_or("", |asked| &asked.topic)
    }

    fn client(&self) -> &str {
        self.asked.as_ref().map_or("", |asked| &asked.client)
    }

    fn asks_to_subscribe(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.what == What::Subscribe)
    }

    /// The question that is answered, in words.
    fn question(&self) -> String {
        let what = if self.asks_to_subscribe() { "subscribe to" } else { "publish to" };
        format!("May {} {what} {}?", self.user, self.topic())
    }

    fn groups(&self) -> String {
        if self.known.groups.is_empty() { "the settings have none".to_owned() } else { self.known.groups.join(", ") }
    }
}

async fn page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Query(mut given): Query<BTreeMap<String, String>>,
) -> Response {
    let mut page = Page::new(&sources, frame);
    let mut take = |key: &str| given.remove(key).unwrap_or_default();
    let (user, topic, client) = (take("user"), take("topic"), take("client"));
    if !topic.is_empty() {
        let what = if take("what") == "subscribe" { What::Subscribe } else { What::Publish };
        let asked = Asked { what, topic, client };
        page.verdict = Some(may(&sources, &user, &asked));
        (page.user, page.asked) = (user, Some(asked));
    }
    show(&page)
}

/// The page with what a form has made of it: a ticket that is shown this once, or what went wrong.
fn formed(sources: &Sources, frame: Frame, made: Result<(String, Ticket), String>) -> Response {
    let mut page = Page::new(sources, frame);
    match made {
        Ok((did, ticket)) => {
            page.ticket = Some(ticket);
            (Extension(Did::at(did)), show(&page)).into_response()
        }
        Err(error) => {
            page.error = Some(error);
            (StatusCode::UNPROCESSABLE_ENTITY, show(&page)).into_response()
        }
    }
}

/// The page again with a word on it.
fn told(sources: &Sources, (frame, caller): (Frame, &Caller), did: Result<String, String>) -> Response {
    match did {
        Ok(did) => {
            sources.page.trust.tell(caller, format!("Done: {did}."));
            (Extension(Did::at(did)), Redirect::to(PATH)).into_response()
        }
        Err(error) => formed(sources, frame, Err(error)),
    }
}

fn added(name: &str) -> String {
    format!("the MQTT user {name} may connect")
}

fn renewed(name: &str) -> String {
    format!("the MQTT user {name} has a new password")
}

async fn give_rights(sources: &Sources, name: String, rights: Rights) -> Result<String, String> {
    let did = format!("the MQTT user {name} has other rights");
    sources.broker.give_rights(name, rights.into()).await.map(|()| did)
}

async fn remove(sources: &Sources, name: String) -> Result<String, String> {
    let did = format!("the MQTT user {name} may not connect any more");
    sources.broker.remove_user(name).await.map(|()| did)
}

async fn add_form(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
    Input(NewUser { name, rights }): Input<NewUser>,
) -> Response {
    let name = name.trim().to_owned();
    let made = sources.broker.add_user(name.clone(), rights.into()).await;
    let made = made.map(|password| (added(&name), Ticket::new(&sources, &headers, &name, &password)));
    formed(&sources, frame, made)
}

async fn password_form(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    headers: HeaderMap,
    Input(Named { name }): Input<Named>,
) -> Response {
    let made = sources.broker.renew_password(name.clone()).await;
    let made = made.map(|password| (renewed(&name), Ticket::new(&sources, &headers, &name, &password)));
    formed(&sources, frame, made)
}

async fn rights_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(NewUser { name, rights }): Input<NewUser>,
) -> Response {
    let did = give_rights(&sources, name, rights).await;
    told(&sources, (frame, &caller), did)
}

async fn remove_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(Named { name }): Input<Named>,
) -> Response {
    let did = remove(&sources, name).await;
    told(&sources, (frame, &caller), did)
}

/// The users of the broker, and what each may do.
#[utoipa::path(get, path = "/api/v1/users", tag = "broker", responses((status = 200, body = Users)))]
pub(in crate::admin) async fn get_users(State(sources): State<Arc<Sources>>) -> Json<Users> {
    Json(gather(&sources))
}

fn password(status: StatusCode, did: String, user: String, password: String) -> Response {
    (status, Extension(Did::at(did)), Json(Password { user, password })).into_response()
}

/// Adds a user with a password that is thought up and shown this once.
#[utoipa::path(post, path = "/api/v1/users", tag = "broker", request_body = NewUser,
    responses((status = 201, body = Password), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_user(
    State(sources): State<Arc<Sources>>,
    Input(NewUser { name, rights }): Input<NewUser>,
) -> Result<Response, Problem> {
    let made = sources.broker.add_user(name.clone(), rights.into()).await.map_err(Problem::bad)?;
    Ok(password(StatusCode::CREATED, added(&name), name, made))
}

/// Gives a user another password, which is thought up and shown this once. His clients are sent away.
#[utoipa::path(post, path = "/api/v1/users/{name}/password", tag = "broker", params(("name" = String, Path)),
    responses((status = 200, body = Password), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_password(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let made = sources.broker.renew_password(name.clone()).await.map_err(Problem::bad)?;
    Ok(password(StatusCode::OK, renewed(&name), name, made))
}

/// Gives a user other rights in the place of those that he has.
#[utoipa::path(put, path = "/api/v1/users/{name}/rights", tag = "broker", params(("name" = String, Path)),
    request_body = Rights, responses((status = 204, description = "given"), (status = 422, body = Problem)))]
pub(in crate::admin) async fn put_rights(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Input(rights): Input<Rights>,
) -> Result<Response, Problem> {
    give_rights(&sources, name, rights).await.map(done).map_err(Problem::bad)
}

/// Removes a user. His clients are sent away.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "broker", params(("name" = String, Path)),
    responses((status = 204, description = "removed"), (status = 422, body = Problem)))]
pub(in crate::admin) async fn delete_user(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    remove(&sources, name).await.map(done).map_err(Problem::bad)
}

/// Whether a user may publish or subscribe to something now, and by which right.
#[utoipa::path(get, path = "/api/v1/users/{name}/may", tag = "broker",
    params(("name" = String, Path), ("what" = What, Query),
        ("topic" = String, Query, description = "a topic, or the filter of a subscription"),
        ("client" = Option<String>, Query, description = "the client id, for rights with %c")),
    responses((status = 200, body = Verdict), (status = 422, body = Problem)))]
pub(in crate::admin) async fn get_may(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Verdict>, Problem> {
    may(&sources, &name, &asked).map(Json).map_err(Problem::bad)
}

//! What an operator does about an uplink: tries its remote, and looks at the messages that did not get there.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::charts::Back;
use super::shown::{bytes, cut};
use super::uplinks::{PageOfOne, unknown};
use super::{Frame, Input, show};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::people::Role;
use crate::uplink::{Letter, NotSent, NotTried, Step, Tried};

/// As much of a topic as is shown, in characters.
const TOPIC: usize = 120;

pub(super) fn routes(routes: Routes) -> Routes {
    let (viewer, operator) = (Access::Role(Role::Viewer), Access::Role(Role::Operator));
    routes
        .page("/uplinks/{name}/letters/{id}", viewer, letter_page)
        .form("/uplinks/{name}/test", operator, test_form)
        .form("/uplinks/{name}/letters/send", operator, send_form)
        .form("/uplinks/{name}/letters/drop", operator, drop_form)
        .post("/api/v1/uplinks/{name}/test", operator, post_test)
        .get("/api/v1/uplinks/{name}/letters", viewer, get_letters)
        .get("/api/v1/uplinks/{name}/letters/{id}", viewer, get_letter)
        .post("/api/v1/uplinks/{name}/letters/{id}/send", operator, post_letter)
        .delete("/api/v1/uplinks/{name}/letters/{id}", operator, delete_letter)
}

/// A message that could not go to a remote.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct DeadLetter {
    pub(super) id: String,
    pub(super) topic: String,
    /// When it came to the gateway, RFC 3339.
    pub(super) time: String,
    bytes: usize,
    /// Why it could not go there: `too-large`, `refused` and so on.
    pub(super) reason: &'static str,
    /// The same in words.
    pub(super) detail: String,
    /// Whether it is kept, and so can be sent again. Larger ones are not.
    pub(super) kept: bool,
}

impl From<&Letter> for DeadLetter {
    fn from(letter: &Letter) -> Self {
        Self {
            id: letter.id.clone(),
            topic: letter.topic.clone(),
            time: letter.time.clone(),
            bytes: letter.bytes,
            reason: letter.why.as_str(),
            detail: letter.detail.clone(),
            kept: letter.is_kept(),
        }
    }
}

impl DeadLetter {
    pub(super) fn size(&self) -> String {
        bytes(self.bytes as u64)
    }

    /// Topics come from outside.
    pub(super) fn short_topic(&self) -> String {
        cut(&self.topic, TOPIC)
    }

    /// So may what is said of them.
    pub(super) fn short_detail(&self) -> String {
        cut(&self.detail, 2 * TOPIC)
    }

    /// To the second.
    pub(super) fn second(&self) -> String {
        self.time.get(..19).unwrap_or(&self.time).replace('T', " ")
    }
}

/// The dead letters of an uplink, the newest first.
pub(super) fn gather(sources: &Sources, uplink: &str) -> Result<Vec<DeadLetter>, Problem> {
    let letters = sources.uplinks.letters(uplink).ok_or_else(|| unknown(uplink))?;
    Ok(letters.iter().map(DeadLetter::from).collect())
}

fn find(sources: &Sources, uplink: &str, id: &str) -> Result<Letter, Problem> {
    let letters = sources.uplinks.letters(uplink).ok_or_else(|| unknown(uplink))?;
    letters.into_iter().find(|letter| letter.id == id).ok_or_else(gone)
}

fn gone() -> Problem {
    Problem::not_found("this letter is not there any more: it was sent again or let go, or newer ones took its place")
}

async fn send(sources: &Sources, uplink: &str, id: &str) -> Result<String, Problem> {
    match sources.uplinks.send_letter(uplink, id).await {
        Ok(()) => Ok(format!("the message {id} waits for the uplink {uplink} once more")),
        Err(NotSent::Unknown) => Err(find(sources, uplink, id).err().unwrap_or_else(gone)),
        Err(NotSent::Refused(why)) => Err(Problem::new(StatusCode::CONFLICT, format!("it is not sent again: {why}"))),
    }
}

fn let_go(sources: &Sources, uplink: &str, id: &str) -> Result<String, Problem> {
    if sources.uplinks.drop_letter(uplink, id) {
        return Ok(format!("the message {id} of the uplink {uplink} was let go"));
    }
    Err(find(sources, uplink, id).err().unwrap_or_else(gone))
}

/// What came of a try over one path.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UplinkTrial)]
pub(in crate::admin) struct Trial {
    /// None where the settings name no paths.
    pub(super) path: Option<String>,
    /// What was done, in order and in words.
    pub(super) steps: Vec<String>,
    /// Whether all went well.
    pub(super) well: bool,
    /// What it ended on: `the name`, `the connection`, `the proxy`, `TLS`, `the WebSocket`, `the sign-in`, `the message`.
    pub(super) failed_at: Option<&'static str>,
    /// Why.
    pub(super) error: Option<String>,
}

impl From<Tried> for Trial {
    fn from(Tried { path, steps, failed, short }: Tried) -> Self {
        let mut steps: Vec<_> = steps.iter().map(|(step, _)| in_words(step)).collect();
        let well = failed.is_none();
        if short && well {
            steps.push(
                "the sign-in is not tried: a hub lets each device in once, and this gateway would lose its place"
                    .into(),
            );
        }
        let (failed_at, error) = failed.map(|(at, why)| (at.as_str(), why)).unzip();
        Self { path, steps, well, failed_at, error }
    }
}

fn in_words(step: &Step) -> String {
    match step {
        Step::Path(name) => name.clone(),
        Step::Connected { to, from, proxy: None } => format!("connected to {to} from {}", from.ip()),
        Step::Connected { to, from, proxy: Some(proxy) } => {
            format!("connected to {to} from {}, and the proxy {proxy} has reached the remote", from.ip())
        }
        Step::Tls(agreed) => format!(
            "{} with {}; the certificate ends {}",
            agreed.version,
            agreed.cipher,
            agreed.ends.as_deref().unwrap_or("at an unknown time")
        ),
        Step::WebSocket(at) => format!("WebSocket at {at}"),
        Step::Joined(limits) => match limits.maximum_packet_size {
            Some(bytes) => format!("let in; takes packets of {bytes} bytes and QoS up to {}", limits.maximum_qos),
            None => format!("let in; takes QoS up to {}", limits.maximum_qos),
        },
        Step::Acknowledged(topic, after) => {
            format!("a message to {topic} was acknowledged after {} ms", after.as_millis())
        }
    }
}

async fn test(sources: &Sources, uplink: &str) -> Result<Vec<Trial>, Problem> {
    match sources.uplinks.try_out(uplink).await {
        Ok(tried) => Ok(tried.into_iter().map(Trial::from).collect()),
        Err(NotTried::Unknown) => Err(unknown(uplink)),
        Err(NotTried::Busy) => {
            Err(Problem::new(StatusCode::CONFLICT, "a test is under way; it takes 20 s at most, so try again then"))
        }
    }
}

fn tested(uplink: &str) -> Extension<Did> {
    Extension(Did::at(format!("tested the uplink {uplink}")))
}

async fn test_form(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let trials = test(&sources, &name).await?;
    let mut page = PageOfOne::new(&sources, frame, &name, Back::default())?;
    page.trials = trials;
    Ok((tested(&name), show(&page)).into_response())
}

#[derive(Deserialize)]
struct Which {
    id: String,
}

fn told(sources: &Sources, caller: &Caller, uplink: &str, did: String) -> Response {
    sources.page.trust.tell(caller, format!("Done: {did}."));
    (Extension(Did::at(did)), Redirect::to(&format!("/uplinks/{uplink}"))).into_response()
}

async fn send_form(
    caller: Caller,
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Input(Which { id }): Input<Which>,
) -> Result<Response, Problem> {
    let did = send(&sources, &name, &id).await?;
    Ok(told(&sources, &caller, &name, did))
}

async fn drop_form(
    caller: Caller,
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Input(Which { id }): Input<Which>,
) -> Result<Response, Problem> {
    let did = let_go(&sources, &name, &id)?;
    Ok(told(&sources, &caller, &name, did))
}

#[derive(Template)]
#[template(path = "letter.html")]
struct LetterPage {
    frame: Frame,
    uplink: String,
    letter: DeadLetter,
    /// How the payload is written, and the payload.
    payload: Option<(&'static str, String)>,
    acts: bool,
}

async fn letter_page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Path((uplink, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let found = find(&sources, &uplink, &id)?;
    let payload = found.message().map(|message| message.readable_payload());
    let acts = frame.may(Role::Operator);
    Ok(show(&LetterPage { frame, uplink, letter: DeadLetter::from(&found), payload, acts }))
}

/// Tries an uplink's remote over each of its paths, by another client id than the uplink's. Takes 20 s at most.
#[utoipa::path(post, path = "/api/v1/uplinks/{name}/test", tag = "uplinks", params(("name" = String, Path)),
    responses((status = 200, body = Vec<Trial>), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_test(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let trials = test(&sources, &name).await?;
    Ok((tested(&name), Json(trials)).into_response())
}

/// The messages that could not go to an uplink's remote, the newest first: up to 100 since the start.
#[utoipa::path(get, path = "/api/v1/uplinks/{name}/letters", tag = "uplinks", params(("name" = String, Path)),
    responses((status = 200, body = Vec<DeadLetter>), (status = 404, body = Problem)))]
pub(in crate::admin) async fn get_letters(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<DeadLetter>>, Problem> {
    gather(&sources, &name).map(Json)
}

/// One of them, the message itself as `stile tap --json` prints it.
#[utoipa::path(get, path = "/api/v1/uplinks/{name}/letters/{id}", tag = "uplinks",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(in crate::admin) async fn get_letter(
    State(sources): State<Arc<Sources>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let found = find(&sources, &name, &id)?;
    let message = found.message().map(|message| message.to_json());
    Ok(Json(serde_json::json!({ "letter": DeadLetter::from(&found), "message": message })).into_response())
}

/// Queues one of them once more, behind all that waits.
#[utoipa::path(post, path = "/api/v1/uplinks/{name}/letters/{id}/send", tag = "uplinks",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "queued"), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_letter(
    State(sources): State<Arc<Sources>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    send(&sources, &name, &id).await.map(super::people::done)
}

/// Lets one of them go.
#[utoipa::path(delete, path = "/api/v1/uplinks/{name}/letters/{id}", tag = "uplinks",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "let go"), (status = 404, body = Problem)))]
pub(in crate::admin) async fn delete_letter(
    State(sources): State<Arc<Sources>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let_go(&sources, &name, &id).map(super::people::done)
}

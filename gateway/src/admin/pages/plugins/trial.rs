//! A plugin tried out on messages, and messages made into a case for it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::page::{Said, Tried, one};
use super::view;
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::pages::{Frame, Input};
use crate::admin::problem::Problem;
use crate::admin::trust::Caller;
use crate::message::Message;
use crate::people::Role;
use crate::plugins::{Seen, Trial, TrialError};

/// What a plugin made of messages.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct TrialResult {
    /// CPU time of its start in microseconds.
    start_micros: f64,
    /// What it logged at its start.
    lines: Vec<String>,
    /// What happened, in order.
    steps: Vec<Step>,
    /// Messages that none of its topics matches.
    past: usize,
    /// Messages that were not played, since those before took too long or made too much.
    not_played: usize,
    /// The most bytes of its memory.
    memory_bytes: usize,
}

/// A message, or a tick.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Step {
    /// The message; none: a tick.
    #[serde(rename = "in")]
    pub(super) message: Option<Shown>,
    /// `passed`, `dropped`, `modified`, `replaced`, `rejected`, `failed` or `tick`.
    pub(super) result: &'static str,
    /// Why, where something was said.
    pub(super) why: Option<String>,
    /// What goes on in its place.
    pub(super) out: Vec<Shown>,
    /// What is published besides.
    pub(super) emits: Vec<Shown>,
    /// What was logged.
    pub(super) lines: Vec<String>,
    /// CPU time of the call in microseconds.
    cpu_micros: f64,
}

/// A message, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Shown {
    pub(super) topic: String,
    qos: u8,
    retain: bool,
    /// `text` or `base64`.
    encoding: &'static str,
    pub(super) payload: String,
}

impl From<&Message> for Shown {
    fn from(message: &Message) -> Self {
        let (encoding, payload) = message.readable_payload();
        Self {
            topic: message.topic.as_str().to_owned(),
            qos: message.qos as u8,
            retain: message.retain,
            encoding,
            payload,
        }
    }
}

impl From<Trial> for TrialResult {
    fn from(trial: Trial) -> Self {
        let Trial { start, seen, lines, past, not_played, memory } = trial;
        let steps = seen.into_iter().map(Step::from).collect();
        Self { start_micros: start.as_secs_f64() * 1e6, lines, steps, past, not_played, memory_bytes: memory }
    }
}

impl From<Seen> for Step {
    fn from(seen: Seen) -> Self {
        let all = |messages: &[Message]| messages.iter().map(Shown::from).collect();
        Self {
            message: seen.message.as_ref().map(Shown::from),
            result: seen.word,
            why: seen.why,
            out: all(&seen.out),
            emits: all(&seen.emits),
            lines: seen.lines,
            cpu_micros: seen.cpu.as_secs_f64() * 1e6,
        }
    }
}

impl TrialResult {
    pub(super) fn start(&self) -> String {
        view::micros(self.start_micros)
    }

    pub(super) fn memory(&self) -> String {
        crate::admin::pages::shown::bytes(self.memory_bytes as u64)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// What was left out, in words.
    pub(super) fn rest(&self) -> Option<String> {
        let past = (self.past > 0).then(|| format!("{} not for it: none of its topics matches", self.past));
        let cut = (self.not_played > 0).then(|| format!("{} not played: those before took too long", self.not_played));
        let rest: Vec<_> = [past, cut].into_iter().flatten().collect();
        (!rest.is_empty()).then(|| rest.join("; "))
    }
}

impl Step {
    /// The class of its result.
    pub(super) fn class(&self) -> &'static str {
        match self.result {
            "passed" | "modified" | "replaced" | "tick" => "good",
            "dropped" => "notice",
            _ => "bad",
        }
    }

    pub(super) fn cpu(&self) -> String {
        view::micros(self.cpu_micros)
    }
}

impl From<TrialError> for Problem {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Unknown(_) => Self::not_found(error.to_string()),
            TrialError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            TrialError::Wrong(_) => Self::bad(error.to_string()),
        }
    }
}

async fn blocking<T: Send + 'static>(
    sources: &Arc<Sources>,
    work: impl FnOnce(&Sources) -> Result<T, TrialError> + Send + 'static,
) -> Result<T, Problem> {
    Ok(view::aside(sources, work).await??)
}

async fn play(sources: &Arc<Sources>, name: &str, lines: String) -> Result<TrialResult, Problem> {
    let owned = name.to_owned();
    blocking(sources, move |sources| sources.plugins.try_out(&owned, &lines).map(TrialResult::from)).await
}

/// What the page's form has: one message, or several as lines.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Pasted {
    #[serde(default)]
    topic: String,
    #[serde(default)]
    payload: String,
    #[serde(default)]
    messages: String,
}

impl Pasted {
    fn lines(&self) -> String {
        if self.messages.trim().is_empty() {
            serde_json::json!({ "topic": self.topic, "payload": self.payload }).to_string()
        } else {
            self.messages.clone()
        }
    }
}

pub(super) async fn try_form(
    frame: Frame,
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    Input(pasted): Input<Pasted>,
) -> Response {
    let played = play(&sources, &name, pasted.lines()).await;
    let Pasted { topic, payload, messages } = pasted;
    let (result, error) = match played {
        Ok(result) => (Some(result), None),
        Err(problem) => (None, Some(problem)),
    };
    let tried = Tried { topic, payload, messages, result };
    let page = one(frame, &sources, &name, Said { error, tried: Some(tried), ..Said::default() }).await;
    (Extension(Did::at(format!("tried out the plugin {name}"))), page).into_response()
}

/// Messages for a plugin.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct Given {
    /// At most 100, as `/api/v1/live` has them: `topic` and `payload` at least.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Value>,
    /// For a case: what it shows, in a sentence.
    #[serde(default)]
    about: String,
}

impl Given {
    fn lines(&self) -> String {
        self.messages.iter().map(|message| format!("{message}\n")).collect()
    }
}

/// Plays messages to a plugin beside the messages' way, in the sandbox and with its limits, with a memory that begins with
/// nothing. Nothing of what it makes goes anywhere.
#[utoipa::path(post, path = "/api/v1/plugins/{name}/try", tag = "plugins", params(("name" = String, Path)),
    request_body = Given, responses((status = 200, body = TrialResult), (status = 404, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(in crate::admin) async fn post_try(
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    Input(given): Input<Given>,
) -> Result<Response, Problem> {
    let result = play(&sources, &name, given.lines()).await?;
    Ok((Extension(Did::at(format!("tried out the plugin {name}"))), Json(result)).into_response())
}

async fn make(
    (sources, caller): (&Arc<Sources>, &Caller),
    name: String,
    lines: String,
    about: String,
) -> Result<Response, Problem> {
    let listed = sources.plugins.listed();
    let has_data = listed.iter().any(|one| one.settings.name == name && !one.settings.data.is_empty());
    if has_data && caller.role() < Some(Role::Admin) {
        // Nobody says which parts of a file are secrets.
        let why = "its data files would stand in the case as they are: this needs the role admin";
        return Err(Problem::new(StatusCode::FORBIDDEN, why));
    }
    let owned = name.clone();
    let case = blocking(sources, move |sources| sources.plugins.case(&owned, &lines, &about)).await?;
    let file = format!("attachment; filename=\"{name}-case.json\"");
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CONTENT_DISPOSITION, HeaderValue::try_from(file).unwrap_or(HeaderValue::from_static("attachment"))),
    ];
    Ok((Extension(Did::at(format!("made a case for the plugin {name}"))), headers, case).into_response())
}

/// What a form sends: messages as lines.
#[derive(Deserialize)]
pub(super) struct Chosen {
    messages: String,
    #[serde(default)]
    about: String,
}

pub(super) async fn case_form(
    caller: Caller,
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    Input(Chosen { messages, about }): Input<Chosen>,
) -> Result<Response, Problem> {
    make((&sources, &caller), name, messages, about).await
}

/// A case of messages and what the plugin makes of them, as `stile plugin test` plays it. Secrets among its settings are masked;
/// its data files stand in it as they are, so where it has some this needs the role admin.
#[utoipa::path(post, path = "/api/v1/plugins/{name}/case", tag = "plugins", params(("name" = String, Path)),
    request_body = Given, responses((status = 200, description = "the case", content_type = "application/json", body = Object),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(in crate::admin) async fn post_case(
    caller: Caller,
    (State(sources), Path(name)): (State<Arc<Sources>>, Path<String>),
    Input(given): Input<Given>,
) -> Result<Response, Problem> {
    let lines = given.lines();
    make((&sources, &caller), name, lines, given.about).await
}

//! A component that comes by the page's form or as the body of a request: to a file of the data folder, piece by piece, and then
//! to the desk.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;

use super::PATH;
use super::change::at_desk;
use super::page::all;
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::pages::Frame;
use crate::admin::port::Streaming;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::component::{MAX_BYTES, check_component};
use crate::plugins::desk::{self, Installed};
use crate::plugins::install::Wish;

/// What a form has besides the component.
const AROUND: usize = 64 * 1024;
/// Bytes that are written at once.
const PIECE: usize = 256 * 1024;
/// As much of a component as says what it is.
const BEGINNING: usize = 8;
/// How long it may take to come, and how long nothing of it may come.
const WHOLE_PATIENCE: Duration = Duration::from_secs(15 * 60);
const PIECE_PATIENCE: Duration = Duration::from_secs(30);
/// The longest name that is given.
const NAME_BYTES: usize = 256;

pub(super) fn routes(routes: Routes, admin: Access) -> Routes {
    let longest = MAX_BYTES + AROUND;
    routes.upload_form(PATH, admin, longest, upload_form).upload("/api/v1/plugins", admin, longest, post_plugin)
}

/// What was installed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Uploaded {
    name: String,
    /// SHA-256 of it in hex.
    hash: String,
    /// Whether there was none of this name before: it is not enabled.
    is_new: bool,
    /// Whether the version before is kept and can be gone back to.
    keeps_previous: bool,
    /// Why it does not start with its settings, if it does not.
    does_not_start: Option<String>,
}

impl From<Installed> for Uploaded {
    fn from(installed: Installed) -> Self {
        let Installed { name, hash, is_new, keeps_previous, why_not } = installed;
        Self { name, hash, is_new, keeps_previous, does_not_start: why_not }
    }
}

impl Uploaded {
    fn did(&self) -> String {
        let what = if self.is_new { "uploaded the plugin" } else { "uploaded a version of the plugin" };
        format!("{what} {}, {}", self.name, self.hash)
    }

    fn word(&self) -> String {
        let start = match (&self.does_not_start, self.is_new) {
            (Some(why), _) => format!("It does not start yet: {why}."),
            (None, true) => "Look at what it may use, try it out, and enable it.".to_owned(),
            (None, false) if self.keeps_previous => "The version before is kept, and you can go back to it.".to_owned(),
            (None, false) => "It is the version that was there.".to_owned(),
        };
        format!("Done: {} is installed. {start}", self.name)
    }
}

/// A component on its way to the disk.
struct Taking {
    file: File,
    piece: Vec<u8>,
    taken: usize,
    /// What is wrong with it: what still comes is let go.
    wrong: Option<Problem>,
    until: Instant,
}

impl Taking {
    async fn begin(sources: &Arc<Sources>) -> Result<Self, Problem> {
        let owned = Arc::clone(sources);
        let made = tokio::task::spawn_blocking(move || {
            let changes = owned.changes.get().ok_or("this gateway's settings are in no file")?;
            desk::upload(changes)
        });
        let file = made.await.map_err(|panic| Problem::failed(panic.to_string()))?.map_err(Problem::failed)?;
        let until = Instant::now() + WHOLE_PATIENCE;
        Ok(Self { file, piece: Vec::new(), taken: 0, wrong: None, until })
    }

    /// All of it. Whoever sends something wrong is told so when he has sent it: before, he would not listen.
    async fn all<E: std::fmt::Display>(
        mut self,
        pieces: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<File, Problem> {
        let mut pieces = std::pin::pin!(pieces);
        loop {
            let next = timeout(PIECE_PATIENCE, pieces.next());
            let Some(piece) = timeout_at(self.until, next).await.map_err(slow)?.map_err(slow)? else { break };
            let piece = piece.map_err(|error| Problem::bad(format!("the component did not come whole: {error}")))?;
            self.take(&piece).await?;
        }
        if self.wrong.is_none() && self.taken < BEGINNING {
            self.wrong = check_component(&self.piece).err().map(Problem::bad);
        }
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        self.flush().await?;
        self.file.rewind().map_err(|error| Problem::failed(format!("what was uploaded can't be read: {error}")))?;
        Ok(self.file)
    }

    async fn take(&mut self, piece: &[u8]) -> Result<(), Problem> {
        let before = self.taken;
        self.taken += piece.len();
        if self.taken > MAX_BYTES {
            self.piece = Vec::new();
            let why = format!("it has more than {MAX_BYTES} bytes, which no component may have");
            self.wrong.get_or_insert_with(|| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        if let Some(wrong) = &self.wrong {
            // Not for ever, though.
            return if self.taken > 2 * MAX_BYTES { Err(wrong.clone()) } else { Ok(()) };
        }
        self.piece.extend_from_slice(piece);
        if before < BEGINNING && self.taken >= BEGINNING {
            self.wrong = check_component(&self.piece).err().map(Problem::bad);
        }
        if self.piece.len() >= PIECE
            && let Err(full) = self.flush().await
        {
            self.wrong = Some(full);
        }
        Ok(())
    }

    /// Writes what has come, where waiting for the disk holds up nobody.
    async fn flush(&mut self) -> Result<(), Problem> {
        let full =
            |error| Problem::failed(format!("what was uploaded can't be written: {error}; make room on the disk"));
        let mut file = self.file.try_clone().map_err(full)?;
        let piece = std::mem::take(&mut self.piece);
        let written = tokio::task::spawn_blocking(move || file.write_all(&piece)).await;
        written.map_err(|panic| Problem::failed(panic.to_string()))?.map_err(full)
    }
}

/// What a form gives: a name, if any, and the component, in whichever order.
async fn from_form(request: Request, sources: &Arc<Sources>) -> Result<(Option<String>, File), Problem> {
    timeout(WHOLE_PATIENCE, parts(request, sources)).await.map_err(slow)?
}

async fn parts(request: Request, sources: &Arc<Sources>) -> Result<(Option<String>, File), Problem> {
    let unread = |error: MultipartError| Problem::new(error.status(), error.body_text());
    let form = Multipart::from_request(request, sources).await;
    let mut form = form.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let (mut name, mut component) = (None, None);
    while let Some(field) = timeout(PIECE_PATIENCE, form.next_field()).await.map_err(slow)?.map_err(unread)? {
        match field.name() {
            Some("component") if component.is_some() => {
                return Err(Problem::bad("there are two components in the form; send one at a time"));
            }
            Some("component") => component = Some(Taking::begin(sources).await?.all(field).await?),
            Some("name") => name = timeout(PIECE_PATIENCE, short(field)).await.map_err(slow)??,
            // Whatever a browser adds.
            _ => {}
        }
    }
    Ok((name, component.ok_or_else(|| Problem::bad("there is no component in the form; choose a file"))?))
}

/// A name; none where the field is empty.
async fn short(mut field: Field<'_>) -> Result<Option<String>, Problem> {
    let unread = |error: MultipartError| Problem::bad(format!("the form can't be read: {}", error.body_text()));
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(unread)? {
        text.extend_from_slice(&piece);
        if text.len() > NAME_BYTES {
            return Err(Problem::bad("the name is too long: it has at most 64 characters"));
        }
    }
    Ok(Some(String::from_utf8_lossy(&text).trim().to_owned()).filter(|name| !name.is_empty()))
}

fn slow(_: Elapsed) -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the component came too slowly; try again")
}

async fn install(
    sources: &Arc<Sources>,
    caller: &Caller,
    name: Option<String>,
    file: File,
) -> Result<Uploaded, Problem> {
    let wish = Wish { name, ..Wish::default() };
    at_desk(sources, caller, move |desk| desk.install(file, &wish)).await.map(Uploaded::from)
}

/// Keeps the connection for as long as that takes, beyond what others may have.
fn stays(request: &Request) -> Option<crate::admin::port::StreamingNow> {
    request.extensions().get::<Streaming>().map(Streaming::begin)
}

/// What is packed on the way could be anything when it is unpacked.
fn unpacked(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the component as it is, without an encoding"))
        }
        _ => Ok(()),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// For a token of the form, see `guard.rs`: it stands in the query, since the body is not read there.
async fn upload_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    request: Request,
) -> Response {
    let _stays = stays(&request);
    let taken = match unpacked(request.headers()) {
        Ok(()) => from_form(request, &sources).await,
        Err(problem) => Err(problem),
    };
    let done = match taken {
        Ok((name, file)) => install(&sources, &caller, name, file).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(uploaded) => {
            sources.page.trust.tell(&caller, uploaded.word());
            (Extension(Did::at(uploaded.did())), Redirect::to(&format!("{PATH}/{}", uploaded.name))).into_response()
        }
        Err(problem) => all(frame, &sources, Some(problem)).await,
    }
}

/// What the query of a request says.
#[derive(Deserialize)]
pub(in crate::admin) struct Named {
    name: Option<String>,
}

/// Installs a component: a new plugin, which is not enabled, or another version of one that is installed, which takes its place
/// at once; the version before is kept. The body is the component, at most 64 MiB, or a form with it as `component`.
#[utoipa::path(post, path = "/api/v1/plugins", tag = "plugins",
    params(("name" = Option<String>, Query, description = "what it is called here; without it, what its manifest says")),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 201, body = Uploaded), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_plugin(
    caller: Caller,
    State(sources): State<Arc<Sources>>,
    named: Result<Query<Named>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(Named { name }) = named.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let _stays = stays(&request);
    unpacked(request.headers())?;
    let (name, file) = if is_form(request.headers()) {
        let (in_form, file) = from_form(request, &sources).await?;
        (name.or(in_form), file)
    } else {
        let taking = Taking::begin(&sources).await?;
        (name, taking.all(request.into_body().into_data_stream()).await?)
    };
    let uploaded = install(&sources, &caller, name, file).await?;
    Ok((StatusCode::CREATED, Extension(Did::at(uploaded.did())), Json(uploaded)).into_response())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn where_the_disk_is_full_all_that_comes_is_heard_before_that_is_said() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let until = Instant::now() + WHOLE_PATIENCE;
        let taking = Taking { file, piece: Vec::new(), taken: 0, wrong: None, until };
        let beginning = Bytes::from_static(b"\0asm\x0d\0\x01\0");
        let rest = Bytes::from(vec![0; PIECE]);
        let mut heard = 0;
        let pieces = stream::iter([beginning, rest.clone(), rest.clone(), rest]).map(|piece| {
            heard += 1;
            Ok::<_, Infallible>(piece)
        });
        let said = taking.all(pieces).await.unwrap_err();
        assert!(said.detail.contains("make room on the disk"), "{said:?}");
        assert_eq!(heard, 4);
    }
}

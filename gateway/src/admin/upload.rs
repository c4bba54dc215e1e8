//! A large file that comes by a page's form or as the body of a request: to a file of the data folder, piece by piece. Never
//! knows what is made of it.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{Stream, StreamExt};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::Sources;
use super::port::{Streaming, StreamingNow};
use super::problem::Problem;
use crate::host;

/// What a form has besides the file.
const AROUND: usize = 64 * 1024;
/// Bytes that are written at once.
const PIECE: usize = 256 * 1024;
/// Bytes that may wait for the disk: an acknowledgement that waits for it too does not wait for a whole upload.
const UNSYNCED: usize = 8 << 20;
/// How long nothing of it may come.
const PIECE_PATIENCE: Duration = Duration::from_secs(30);
/// The longest text of a form's other field, in bytes.
const TEXT_BYTES: usize = 256;

/// What may come.
#[derive(Debug)]
pub(super) struct Kind {
    /// What it is called; its field in the form too.
    pub(super) name: &'static str,
    /// The form's other field.
    pub(super) text: &'static str,
    /// Bytes that it may have.
    pub(super) longest: usize,
    /// As many of them as say what it is.
    pub(super) beginning: usize,
    /// Whether it begins as it should; else what it is instead.
    pub(super) check: fn(&[u8]) -> Result<(), String>,
    /// Bytes of the disk that it leaves to others.
    pub(super) leaves: u64,
    /// How long it may take to come.
    pub(super) patience: Duration,
}

impl Kind {
    /// The longest body that it may come in.
    pub(super) const fn longest_body(&self) -> usize {
        self.longest + AROUND
    }

    fn too_long(&self) -> Problem {
        let why = format!("it has more than {} bytes, which no {} may have", self.longest, self.name);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    }

    fn slow(&self, _: Elapsed) -> Problem {
        Problem::new(StatusCode::REQUEST_TIMEOUT, format!("the {} came too slowly; try again", self.name))
    }
}

/// What has come: the file, open at its beginning, and what the form's other field says, where it says something.
pub(super) struct Came {
    pub(super) file: File,
    pub(super) text: Option<String>,
}

/// Takes what a request brings, as a form or as it is, into `file`; where there is none, that is said when all has come.
///
/// # Errors
/// What is wrong with it, or why `file` is none.
pub(super) async fn take(
    request: Request,
    sources: &Arc<Sources>,
    kind: &'static Kind,
    file: Result<File, Problem>,
) -> Result<Came, Problem> {
    unpacked(request.headers(), kind)?;
    let taking = Taking::new(kind, file);
    if is_form(request.headers()) {
        let whole = timeout(kind.patience, parts(request, sources, taking));
        return whole.await.map_err(|elapsed| kind.slow(elapsed))?;
    }
    Ok(Came { file: taking.all(request.into_body().into_data_stream()).await?, text: None })
}

/// How many bytes a request says that it brings.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Keeps the connection for as long as that takes, beyond what others may have.
pub(super) fn stays(request: &Request) -> Option<StreamingNow> {
    request.extensions().get::<Streaming>().map(Streaming::begin)
}

/// What is packed on the way could be anything when it is unpacked.
fn unpacked(headers: &HeaderMap, kind: &Kind) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let why = format!("send the {} as it is, without an encoding", kind.name);
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
        }
        _ => Ok(()),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// What a form gives, in whichever order.
async fn parts(request: Request, sources: &Arc<Sources>, taking: Taking) -> Result<Came, Problem> {
    let kind = taking.kind;
    let form = Multipart::from_request(request, sources).await;
    let mut form = form.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let (mut text, mut file, mut taking) = (None, None, Some(taking));
    while let Some(field) = next(&mut form, kind).await? {
        match field.name() {
            Some(name) if name == kind.name => {
                let two = || Problem::bad(format!("there are two {}s in the form; send one at a time", kind.name));
                file = Some(taking.take().ok_or_else(two)?.all(field).await?);
            }
            Some(name) if name == kind.text => {
                text = timeout(PIECE_PATIENCE, short(field, kind)).await.map_err(|elapsed| kind.slow(elapsed))??;
            }
            // Whatever a browser adds.
            _ => {}
        }
    }
    let none = || Problem::bad(format!("there is no {} in the form; choose a file", kind.name));
    Ok(Came { file: file.ok_or_else(none)?, text })
}

async fn next<'a>(form: &'a mut Multipart, kind: &Kind) -> Result<Option<Field<'a>>, Problem> {
    let unread = |error: MultipartError| Problem::new(error.status(), error.body_text());
    timeout(PIECE_PATIENCE, form.next_field()).await.map_err(|elapsed| kind.slow(elapsed))?.map_err(unread)
}

/// A text; none where the field is empty.
async fn short(mut field: Field<'_>, kind: &Kind) -> Result<Option<String>, Problem> {
    let unread = |error: MultipartError| Problem::bad(format!("the form can't be read: {}", error.body_text()));
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(unread)? {
        text.extend_from_slice(&piece);
        if text.len() > TEXT_BYTES {
            return Err(Problem::bad(format!("the {} is too long: it has at most {TEXT_BYTES} bytes", kind.text)));
        }
    }
    Ok(Some(String::from_utf8_lossy(&text).trim().to_owned()).filter(|text| !text.is_empty()))
}

/// A file on its way to the disk.
struct Taking {
    kind: &'static Kind,
    /// None where something is wrong from the beginning.
    file: Option<File>,
    piece: Vec<u8>,
    taken: usize,
    /// Bytes that the disk may not have yet.
    unsynced: usize,
    /// What is wrong with it: what still comes is let go.
    wrong: Option<Problem>,
    until: Instant,
}

impl Taking {
    fn new(kind: &'static Kind, file: Result<File, Problem>) -> Self {
        let until = Instant::now() + kind.patience;
        let (file, wrong) = match file {
            Ok(file) => (Some(file), None),
            Err(problem) => (None, Some(problem)),
        };
        Self { kind, file, piece: Vec::new(), taken: 0, unsynced: 0, wrong, until }
    }

    /// All of it. Whoever sends something wrong is told so when he has sent it: before, he would not listen.
    async fn all<E: std::fmt::Display>(
        mut self,
        pieces: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<File, Problem> {
        let mut pieces = std::pin::pin!(pieces);
        let kind = self.kind;
        loop {
            let next = timeout(PIECE_PATIENCE, pieces.next());
            let next = timeout_at(self.until, next).await.flatten().map_err(|elapsed| kind.slow(elapsed));
            match next? {
                None => break,
                Some(Ok(piece)) => self.take(&piece).await?,
                Some(Err(error)) => {
                    let cut = Problem::bad(format!("the {} did not come whole: {error}", kind.name));
                    return Err(self.wrong.unwrap_or(cut));
                }
            }
        }
        if self.wrong.is_none() && self.taken < kind.beginning {
            self.wrong = (kind.check)(&self.piece).err().map(Problem::bad);
        }
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        self.flush().await?;
        let unread = |error| Problem::failed(format!("what was uploaded can't be read: {error}"));
        let mut file = self.file.ok_or_else(|| Problem::failed("what was uploaded is gone"))?;
        file.rewind().map_err(unread)?;
        Ok(file)
    }

    async fn take(&mut self, piece: &[u8]) -> Result<(), Problem> {
        let (kind, before) = (self.kind, self.taken);
        self.taken += piece.len();
        if self.taken > kind.longest {
            self.piece = Vec::new();
            self.wrong.get_or_insert_with(|| kind.too_long());
        }
        if let Some(wrong) = &self.wrong {
            // Not for ever, though.
            return if self.taken > kind.longest.saturating_mul(2) { Err(wrong.clone()) } else { Ok(()) };
        }
        self.piece.extend_from_slice(piece);
        if before < kind.beginning && self.taken >= kind.beginning {
            self.wrong = (kind.check)(&self.piece).err().map(Problem::bad);
        }
        if self.piece.len() >= PIECE
            && let Err(full) = self.flush().await
        {
            self.piece = Vec::new();
            self.wrong = Some(full);
        }
        Ok(())
    }

    /// Writes what has come, where waiting for the disk holds up nobody.
    async fn flush(&mut self) -> Result<(), Problem> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut file = file.try_clone().map_err(|error| full(&error))?;
        let piece = std::mem::take(&mut self.piece);
        self.unsynced += piece.len();
        let sync = self.unsynced >= UNSYNCED;
        if sync {
            self.unsynced = 0;
        }
        let leaves = self.kind.leaves;
        let written = tokio::task::spawn_blocking(move || {
            has_room(&file, piece.len() as u64, leaves)?;
            file.write_all(&piece)
                .and_then(|()| if sync { file.sync_data() } else { Ok(()) })
                .map_err(|error| full(&error))
        });
        written.await.map_err(|panic| Problem::failed(panic.to_string()))?
    }
}

fn full(error: &std::io::Error) -> Problem {
    Problem::failed(format!("what was uploaded can't be written: {error}; make room on the disk"))
}

/// Whether so many bytes more leave so many to others, on the disk that the file is on.
///
/// # Errors
/// In words, with both.
pub(super) fn has_room(file: &File, more: u64, leaves: u64) -> Result<(), Problem> {
    if leaves == 0 {
        return Ok(());
    }
    let free = host::room(file).map_err(|error| full(&error))?;
    if free.saturating_sub(more) >= leaves {
        return Ok(());
    }
    let mib = |bytes: u64| bytes >> 20;
    let why = format!(
        "the disk of the data folder has {} MiB free, and {} MiB of these stay free for messages; make room on it",
        mib(free),
        mib(leaves)
    );
    Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, why))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    static ANYTHING: Kind = Kind {
        name: "thing",
        text: "name",
        longest: 4 * PIECE,
        beginning: 4,
        check: |bytes| if bytes.starts_with(b"good") { Ok(()) } else { Err("it is no thing".to_owned()) },
        leaves: 0,
        patience: Duration::from_secs(60),
    };
    /// More than any disk has.
    static LEAVES_MORE_THAN_THERE_IS: Kind = Kind { leaves: u64::MAX, ..ANYTHING };

    /// What comes of a beginning and as many pieces behind it; and how many of all were heard.
    async fn sent(
        kind: &'static Kind,
        file: Result<File, Problem>,
        beginning: &'static [u8],
        rest: usize,
    ) -> (Result<File, Problem>, usize) {
        let pieces = std::iter::once(Bytes::from_static(beginning));
        let pieces = pieces.chain(std::iter::repeat_n(Bytes::from(vec![0; PIECE]), rest));
        let mut heard = 0;
        let pieces = stream::iter(pieces).map(|piece| {
            heard += 1;
            Ok::<_, Infallible>(piece)
        });
        let came = Taking::new(kind, file).all(pieces).await;
        (came, heard)
    }

    #[tokio::test]
    async fn what_comes_is_in_the_file() {
        let (came, _) = sent(&ANYTHING, Ok(tempfile::tempfile().unwrap()), b"good", 3).await;
        let mut file = came.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        assert!(bytes.starts_with(b"good\0") && bytes.len() == 4 + 3 * PIECE);
    }

    #[tokio::test]
    async fn where_something_is_wrong_all_that_comes_is_heard_before_that_is_said() {
        let full = || Ok(File::options().write(true).open("/dev/full").unwrap());
        let file = || Ok(tempfile::tempfile().unwrap());
        let busy = || Err(Problem::new(StatusCode::CONFLICT, "somebody else sends one"));
        for (kind, file, beginning, status, said) in [
            (&ANYTHING, full(), &b"good"[..], 500, "make room on the disk"),
            (&ANYTHING, busy(), b"good", 409, "somebody else"),
            (&ANYTHING, file(), b"evil", 422, "no thing"),
            (&LEAVES_MORE_THAN_THERE_IS, file(), b"good", 507, "stay free for messages"),
        ] {
            let (came, heard) = sent(kind, file, beginning, 3).await;
            let wrong = came.unwrap_err();
            assert!(wrong.status == status && wrong.detail.contains(said), "{wrong:?}");
            assert_eq!(heard, 4, "{said}");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_heard_for_ever() {
        let (came, heard) = sent(&ANYTHING, Ok(tempfile::tempfile().unwrap()), b"good", 100).await;
        assert_eq!(came.unwrap_err().status, 413);
        assert!(heard <= 9, "{heard}");
    }
}

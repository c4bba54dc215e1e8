//! What is kept of measurements, as a file in whichever form, while it is read.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Sources;
use super::port::{Streaming, StreamingNow};
use super::problem::Problem;
use super::routes::{Access, Routes};
use super::trust::Caller;
use crate::measurements::{Range, Reading};
use crate::message::TopicFilter;
use crate::people::Role;
use crate::series::{Format, Writer};

/// What is sent at once, in bytes.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for whoever is slow. Policy: the reading waits, and nothing else does.
const PIECES: usize = 2;
/// How long one of them may wait: whoever reads nothing for so long keeps a place from others.
const PATIENCE: Duration = Duration::from_secs(30);
/// The role that it takes.
const NEEDS: Role = Role::Viewer;
/// Filters and columns that may be asked for.
const TOPICS_MAX: usize = 16;
const COLUMNS_MAX: usize = 256;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/v1/measurements", Access::Role(NEEDS), get_measurements)
}

/// What is asked for. Empty ones are as if they were not there, as forms send them.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Not before this: RFC 3339, a date and time of UTC, or how long ago (`2h`).
    #[serde(default)]
    pub(super) from: String,
    /// Before this, likewise.
    #[serde(default)]
    pub(super) to: String,
    /// Topic filters of MQTT, with a blank in between, or each with a line feed behind it; without one, everything.
    #[serde(default)]
    pub(super) topic: String,
    /// `csv`, `influx`, `json`, `senml` or `geojson`; without one, `csv`.
    #[serde(default)]
    pub(super) format: String,
    /// Columns of CSV, with commas in between.
    #[serde(default)]
    pub(super) columns: String,
}

impl Asked {
    pub(super) fn range(&self, now: SystemTime) -> Result<Range, Problem> {
        let by_line = self.topic.contains('\n');
        let ends = |character: char| if by_line { character == '\n' } else { character.is_whitespace() };
        let topics = self.topic.split(ends).filter(|filter| !filter.is_empty());
        let topics = topics.take(TOPICS_MAX + 1).map(TopicFilter::new).collect::<Result<Vec<_>, _>>();
        let topics = topics.map_err(|error| Problem::bad(format!("the filter {error}")))?;
        if topics.len() > TOPICS_MAX {
            return Err(Problem::bad(format!("ask for at most {TOPICS_MAX} filters")));
        }
        Ok(Range { from: time(&self.from, now)?, to: time(&self.to, now)?, topics })
    }

    fn format(&self) -> Result<Format, Problem> {
        if self.format.is_empty() {
            return Ok(Format::default());
        }
        let known = Format::ALL.into_iter().find(|format| format.as_str() == self.format);
        known.ok_or_else(|| {
            let words = Format::ALL.map(Format::as_str).join(", ");
            Problem::bad(format!("there is no such format; take one of {words}"))
        })
    }

    fn columns(&self) -> Result<Vec<String>, Problem> {
        let columns = self.columns.split(',').map(str::trim).filter(|name| !name.is_empty());
        let columns: Vec<_> = columns.take(COLUMNS_MAX + 1).map(str::to_owned).collect();
        if columns.len() > COLUMNS_MAX {
            return Err(Problem::bad(format!("ask for at most {COLUMNS_MAX} columns")));
        }
        Ok(columns)
    }
}

/// A time as somebody writes it; `None` where nothing is written.
fn time(text: &str, now: SystemTime) -> Result<Option<SystemTime>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    // As a browser's field for it writes it, without seconds where they are 0.
    let padded = if text.len() == "2026-11-27T12:00".len() { format!("{text}:00") } else { text.to_owned() };
    let ago = |ago: Duration| now.checked_sub(ago);
    let read = humantime::parse_rfc3339_weak(&padded).ok().or_else(|| ago(humantime::parse_duration(text).ok()?));
    let read = read.filter(|time| *time >= UNIX_EPOCH);
    let wanted = "2026-11-27T12:00:00Z, or how long ago: 2h";
    read.map(Some).ok_or_else(|| Problem::bad(format!("a time can't be read; write it like {wanted}")))
}

/// Kept measurements as a file. It breaks off where they can't be read to the end, where nothing of it is taken for half a
/// minute, and when whoever wanted it may see it no more.
#[utoipa::path(get, path = "/api/v1/measurements", tag = "measurements", params(Asked),
    responses((status = 200, description = "a file of the format asked for", content_type = "text/csv", body = String),
        (status = 422, body = Problem), (status = 503, description = "others are reading already", body = Problem)))]
pub(super) async fn get_measurements(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
    streaming: Option<Extension<Streaming>>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let now = sources.pipeline.clock().now().wall;
    let (range, format) = (asked.range(now)?, asked.format()?);
    let writer = Writer::new(format, &sources.id, asked.columns()?);
    let reading = sources.measurements.read(range).await;
    let reading = reading.map_err(|busy| Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()))?;
    let (pieces, written) = mpsc::channel(PIECES);
    let writing = tokio::task::spawn_blocking(move || write(reading, writer, &pieces));
    let stays = streaming.map(|Extension(streaming)| streaming.begin());
    let may = Box::new(move || sources.page.trust.still(&caller, NEEDS));
    let download = Download { written, writing, may, _stays: stays };
    let body = futures_util::stream::unfold(Some(download), |download| async { download?.next().await });
    let second = humantime::format_rfc3339_seconds(now).to_string().replace([':', '-'], "");
    let name = format!("attachment; filename=\"measurements-{second}.{}\"", format.ending());
    let head = [(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((head, Body::from_stream(body)).into_response())
}

/// A file on its way.
struct Download {
    written: mpsc::Receiver<Bytes>,
    writing: JoinHandle<io::Result<()>>,
    may: Box<dyn Fn() -> bool + Send>,
    _stays: Option<StreamingNow>,
}

impl Download {
    /// The next piece, and what comes behind it. What does not come to its end ends with an error: cut, it would look whole.
    async fn next(mut self) -> Option<(io::Result<Bytes>, Option<Self>)> {
        let Some(piece) = self.written.recv().await else {
            let ended = self.writing.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            return Some((Err(ended.err()?), None));
        };
        if !(self.may)() {
            let error = io::Error::new(io::ErrorKind::PermissionDenied, "whoever wanted it may see it no more");
            log::info!(error:% = error; "a download of measurements was broken off");
            return Some((Err(error), None));
        }
        Some((Ok(piece), Some(self)))
    }
}

/// Writes the file, until whoever wanted it has gone.
fn write(reading: Reading, mut writer: Writer, pieces: &mpsc::Sender<Bytes>) -> io::Result<()> {
    let mut text = writer.begin();
    let mut sent = Ok(());
    let read = reading.run(
        || !pieces.is_closed(),
        |message| {
            writer.write(&message, &mut text);
            if text.len() >= PIECE {
                sent = send(pieces, std::mem::take(&mut text), PATIENCE);
            }
            if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    );
    if let Err(error) = sent {
        log::info!(error:% = error; "a download of measurements was broken off");
        return Err(error);
    }
    match read {
        Ok(ControlFlow::Continue(())) => send(pieces, text + &writer.end(), PATIENCE),
        Ok(ControlFlow::Break(())) => Err(io::ErrorKind::BrokenPipe.into()),
        Err(error) => {
            log::error!(error:% = error; "kept measurements can't be read");
            Err(error)
        }
    }
}

/// Hands a piece over, in a thread that may wait.
fn send(pieces: &mpsc::Sender<Bytes>, text: String, patience: Duration) -> io::Result<()> {
    let sending = tokio::time::timeout(patience, pieces.send(Bytes::from(text)));
    match Handle::current().block_on(sending) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_gone)) => Err(io::ErrorKind::BrokenPipe.into()),
        Err(_slow) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing of it was taken for too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_of_the_clock_or_so_long_ago() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        let seconds = |text: &str| {
            let time = time(text, now).map_err(|problem| problem.detail)?;
            Ok::<_, String>(time.map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs()))
        };
        for (text, expected) in [
            ("", None),
            ("2h", Some(1_795_000_000 - 7200)),
            ("2026-11-18T11:06:40Z", Some(1_795_000_000)),
            ("2026-11-18T11:06:40.5Z", Some(1_795_000_000)),
            ("2026-11-18 11:06:40", Some(1_795_000_000)),
            ("2026-11-18T11:06", Some(1_794_999_960)),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for bad in ["yesterday", "2026-13-18T11:06", "99999999999y", "äöüäöüäöü"] {
            assert!(seconds(bad).unwrap_err().contains("2h"), "{bad}");
        }
    }

    #[test]
    fn a_filter_may_have_blanks_where_each_has_a_line() {
        let filters = |topic: &str| {
            let range = Asked { topic: topic.to_owned(), ..Asked::default() }.range(UNIX_EPOCH).unwrap();
            range.topics.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(filters(" a/+  b/# "), ["a/+", "b/#"]);
        assert_eq!(filters("+/my modem/#\n"), ["+/my modem/#"]);
        assert_eq!(filters("a b\nc\n"), ["a b", "c"]);
    }

    /// What a body has, and whether it ends with an error.
    async fn read(written: mpsc::Receiver<Bytes>, writing: JoinHandle<io::Result<()>>, may: bool) -> (usize, bool) {
        let mut download = Some(Download { written, writing, may: Box::new(move || may), _stays: None });
        let mut bytes = 0;
        while let Some(going) = download {
            match going.next().await {
                Some((Ok(piece), behind)) => (bytes, download) = (bytes + piece.len(), behind),
                ended => return (bytes, ended.is_some()),
            }
        }
        unreachable!("a piece is followed by something");
    }

    #[tokio::test]
    async fn a_file_that_is_not_whole_ends_with_an_error() {
        let fits = |text: &str| {
            let (pieces, written) = mpsc::channel(PIECES);
            pieces.try_send(Bytes::from(text.to_owned())).unwrap();
            (pieces, written)
        };
        let (pieces, written) = fits("whole");
        let writing = tokio::task::spawn_blocking(move || send(&pieces, " file".to_owned(), PATIENCE));
        assert_eq!(read(written, writing, true).await, (10, false));
        let (pieces, written) = fits("a");
        let writing = tokio::task::spawn_blocking(move || -> io::Result<()> { panic!("with {pieces:?} in hand") });
        assert_eq!(read(written, writing, true).await, (1, true), "the thread panicked");
        let (pieces, written) = fits("a");
        let writing = tokio::task::spawn_blocking(move || send(&pieces, "b".to_owned(), PATIENCE));
        assert_eq!(read(written, writing, false).await, (0, true), "the right to it is gone");
    }

    #[tokio::test]
    async fn whoever_takes_nothing_is_given_up() {
        let (pieces, written) = mpsc::channel(1);
        let writing = tokio::task::spawn_blocking(move || {
            (0..3).try_for_each(|_| send(&pieces, "a".to_owned(), Duration::from_millis(20)))
        });
        within(&writing).await;
        assert_eq!(read(written, writing, true).await, (1, true));
    }

    /// Nothing is taken until it is over.
    async fn within(writing: &JoinHandle<io::Result<()>>) {
        while !writing.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

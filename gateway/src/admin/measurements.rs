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
use tokio::sync::mpsc;

use super::Sources;
use super::port::Streaming;
use super::problem::Problem;
use super::routes::{Access, Routes};
use crate::measurements::{Range, Reading};
use crate::message::TopicFilter;
use crate::people::Role;
use crate::series::{Format, Writer};

/// What is sent at once, in bytes.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for whoever is slow. Policy: the reading waits, and nothing else does.
const PIECES: usize = 2;
/// Filters and columns that may be asked for.
const TOPICS_MAX: usize = 16;
const COLUMNS_MAX: usize = 256;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/v1/measurements", Access::Role(Role::Viewer), get_measurements)
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
    /// Topic filters of MQTT, with a blank in between; without one, everything.
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
        let topics = self.topic.split_whitespace().take(TOPICS_MAX + 1).map(TopicFilter::new);
        let topics = topics.collect::<Result<Vec<_>, _>>();
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

/// Kept measurements as a file. It breaks off where they can't be read to the end.
#[utoipa::path(get, path = "/api/v1/measurements", tag = "measurements", params(Asked),
    responses((status = 200, description = "a file of the format asked for", content_type = "text/csv", body = String),
        (status = 422, body = Problem), (status = 503, description = "others are reading already", body = Problem)))]
pub(super) async fn get_measurements(
    State(sources): State<Arc<Sources>>,
    streaming: Option<Extension<Streaming>>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let now = sources.pipeline.clock().now().wall;
    let (range, format) = (asked.range(now)?, asked.format()?);
    let writer = Writer::new(format, &sources.id, asked.columns()?);
    let reading = sources.measurements.read(range).await;
    let reading = reading.map_err(|busy| Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()))?;
    let (pieces, written) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || write(reading, writer, &pieces));
    let stays = streaming.map(|Extension(streaming)| streaming.begin());
    let body = futures_util::stream::unfold((written, stays), |(mut written, stays)| async {
        Some((written.recv().await?, (written, stays)))
    });
    let second = humantime::format_rfc3339_seconds(now).to_string().replace([':', '-'], "");
    let name = format!("attachment; filename=\"measurements-{second}.{}\"", format.ending());
    let head = [(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((head, Body::from_stream(body)).into_response())
}

/// Writes the file, until whoever wanted it has gone.
fn write(reading: Reading, mut writer: Writer, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let mut text = writer.begin();
    let mut gone = false;
    let read = reading.run(|message| {
        writer.write(&message, &mut text);
        if text.len() >= PIECE {
            gone = pieces.blocking_send(Ok(Bytes::from(std::mem::take(&mut text)))).is_err();
        }
        if gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    // Whoever has gone hears neither.
    let _ = match read {
        Ok(()) => pieces.blocking_send(Ok(Bytes::from(text + &writer.end()))),
        Err(error) => {
            log::error!(error:% = error; "kept measurements can't be read");
            pieces.blocking_send(Err(error))
        }
    };
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
}

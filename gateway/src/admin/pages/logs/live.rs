//! Lines as they are logged, by server-sent events. A slow reader skips some and is told how many.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Asked, Logged, NEEDS, Wanted};
use crate::admin::Sources;
use crate::admin::live::Stop;
use crate::admin::port::{Streaming, StreamingNow};
use crate::admin::problem::Problem;
use crate::admin::trust::Caller;

/// Events are this far apart at least.
const PACE: Duration = Duration::from_millis(250);
/// Lines of one event; of more, the newest.
const BATCH: usize = 200;
/// While nothing comes, how often it is asked whether the reader still may.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// From where on a stream goes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct Beginning {
    /// The number of the first line, `next` of an earlier answer; without it, what comes from now on.
    from: Option<u64>,
}

/// Lines as they come: events `lines` with `lines`, the oldest first, and `missed`, how many others were skipped before them.
#[utoipa::path(get, path = "/api/v1/logs/live", tag = "system", params(Asked, Beginning),
    responses((status = 200, description = "server-sent events", content_type = "text/event-stream", body = String)))]
pub(in crate::admin) async fn live(
    State(sources): State<Arc<Sources>>,
    (caller, headers): (Caller, HeaderMap),
    (Extension(Stop(stop)), streaming): (Extension<Stop>, Option<Extension<Streaming>>),
    Query(asked): Query<Asked>,
    Query(Beginning { from }): Query<Beginning>,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&asked)?;
    // A browser that has lost the stream says where it was.
    let lost = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let next = lost.or(from).unwrap_or_else(|| sources.logs.next());
    let stays = streaming.map(|Extension(streaming)| streaming.begin());
    let reader = Reader { next, wanted, sources, caller, stop, _stays: stays };
    let stream = futures_util::stream::unfold(reader, |mut reader| async {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response())
}

/// Somebody who reads along.
struct Reader {
    /// The number of the next line.
    next: u64,
    wanted: Wanted,
    sources: Arc<Sources>,
    caller: Caller,
    stop: CancellationToken,
    _stays: Option<StreamingNow>,
}

impl Reader {
    /// The next event, `None` at the end, which is also when he may not read any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let comes = self.stop.run_until_cancelled(self.sources.logs.wait(self.next));
            if let Ok(None) = tokio::time::timeout(SIGN_OF_LIFE, comes).await {
                return None;
            }
            if !self.sources.page.trust.still(&self.caller, NEEDS) {
                return None;
            }
            self.stop.run_until_cancelled(tokio::time::sleep(PACE)).await?;
            let news = self.sources.logs.since(self.next);
            self.next = news.next;
            let wanted: Vec<_> = news.lines.iter().filter(|line| self.wanted.wants(line)).collect();
            let skipped = wanted.len().saturating_sub(BATCH);
            let missed = news.missed + u64::try_from(skipped).unwrap_or(u64::MAX);
            let lines: Vec<_> = wanted.into_iter().skip(skipped).map(|line| Logged::from(&**line)).collect();
            if missed > 0 || !lines.is_empty() {
                let data = json!({ "missed": missed, "lines": lines });
                return Some(Event::default().event("lines").id(self.next.to_string()).data(data.to_string()));
            }
        }
    }
}

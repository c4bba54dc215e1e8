//! Live messages, for as long as the watcher stays: one JSON object a line on the socket, server-sent events for the page
//! and the API.
//!
//! Whoever is slow skips messages and is told how many; nobody ever waits for a watcher.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use super::Sources;
use super::port::Streaming;
use super::problem::Problem;
use super::routes::{Access, Routes};
use super::trust::Caller;
use crate::message::{Message, Topic, TopicFilter};
use crate::people::Role;
use crate::pipeline::{DropReason, Hop, Spot};

/// The role that watching takes.
const NEEDS: Role = Role::Viewer;
/// Events are this far apart at least: a browser is better at one of many messages than at many events.
const PACE: Duration = Duration::from_millis(50);
/// Messages, or what happened to them, of one event. Beyond it they wait for the next, and who is too slow for that skips some.
const BATCH: usize = 200;
/// Bytes of topics and payloads after which an event takes no further message.
const BATCH_BYTES: usize = 256 * 1024;
/// While nothing comes, how often a watcher hears that the gateway is there, and it is asked whether he still may watch.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Ends the streams when the gateway stops, since they would not end by themselves.
#[derive(Clone)]
pub(super) struct Stop(pub(super) CancellationToken);

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    filter: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Result<Option<TopicFilter>, Problem> {
        let given = self.filter.as_deref().filter(|text| !text.is_empty());
        given.map(TopicFilter::new).transpose().map_err(|error| Problem::bad(format!("the filter {error}")))
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let viewer = Access::Role(NEEDS);
    routes.get("/api/v1/live", viewer, live).get("/api/v1/way", viewer, way).get("/api/v1/tap", viewer, tap)
}

/// Delivered messages as they come: events `messages` with a list of messages, and `missed` with how many were skipped.
#[utoipa::path(get, path = "/api/v1/live", tag = "messages",
    params(("filter" = Option<String>, Query, description = "a topic filter of MQTT; without it, everything")),
    responses((status = 200, description = "server-sent events", content_type = "text/event-stream", body = String)))]
pub(super) async fn live(State(sources): State<Arc<Sources>>, asked: Asked) -> Result<Response, Problem> {
    let items = sources.pipeline.tap();
    asked.answer(items, "messages", sources)
}

/// What becomes of each message: events `hops` with a list of what happened to messages at their arrival, at each plugin and at
/// their delivery, with the time since the first byte; and `missed` with how many were skipped.
#[utoipa::path(get, path = "/api/v1/way", tag = "messages",
    params(("filter" = Option<String>, Query, description = "a topic filter of MQTT; without it, everything")),
    responses((status = 200, description = "server-sent events", content_type = "text/event-stream", body = String)))]
pub(super) async fn way(State(sources): State<Arc<Sources>>, asked: Asked) -> Result<Response, Problem> {
    let items = sources.pipeline.hops();
    asked.answer(items, "hops", sources)
}

/// Delivered messages as they come, one JSON object a line; `{"missed":N}` where N were skipped.
#[utoipa::path(get, path = "/api/v1/tap", tag = "messages",
    params(("filter" = Option<String>, Query, description = "a topic filter of MQTT; without it, everything")),
    responses((status = 200, description = "lines", content_type = "application/x-ndjson", body = String)))]
pub(super) async fn tap(State(sources): State<Arc<Sources>>, asked: Asked) -> Response {
    let viewer = asked.viewer(sources.pipeline.tap(), "", sources);
    let stream = futures_util::stream::unfold(viewer, |mut viewer| async {
        let line = match viewer.seen().await? {
            Seen::Item(message) => format!("{}\n", message.to_json()),
            // The watcher is slow, which is its own affair; it is told what it missed.
            Seen::Missed(missed) => format!("{{\"missed\":{missed}}}\n"),
        };
        Some((Ok::<_, Infallible>(Bytes::from(line)), viewer))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream)).into_response()
}

/// Somebody who wants to watch.
pub(super) struct Asked {
    stop: CancellationToken,
    streaming: Option<Streaming>,
    caller: Caller,
    filter: Option<TopicFilter>,
}

impl FromRequestParts<Arc<Sources>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, sources: &Arc<Sources>) -> Result<Self, Problem> {
        let wanted = Query::<Wanted>::from_request_parts(parts, sources).await;
        let Query(wanted) = wanted.map_err(|error| Problem::bad(error.body_text()))?;
        let Some(Stop(stop)) = parts.extensions.get().cloned() else {
            return Err(Problem::failed("nothing can be watched here"));
        };
        let caller = Caller::from_request_parts(parts, sources).await?;
        Ok(Self { stop, streaming: parts.extensions.get().cloned(), caller, filter: wanted.filter()? })
    }
}

impl Asked {
    fn answer<T: Item>(
        self,
        items: Receiver<Arc<T>>,
        event: &'static str,
        sources: Arc<Sources>,
    ) -> Result<Response, Problem> {
        let viewer = self.viewer(items, event, sources);
        let stream = futures_util::stream::unfold(viewer, |mut viewer| async {
            let event = viewer.next().await?;
            Some((Ok::<_, Infallible>(event), viewer))
        });
        Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response())
    }

    fn viewer<T: Item>(self, items: Receiver<Arc<T>>, event: &'static str, sources: Arc<Sources>) -> Viewer<T> {
        let Self { stop, streaming, caller, filter } = self;
        let stays = streaming.map(|streaming| streaming.begin());
        Viewer { watch: Watch { items, filter, stop }, event, ahead: None, sources, caller, _stays: stays }
    }
}

/// What can be watched.
trait Item: Send + Sync + 'static {
    fn topic(&self) -> &Topic;
    /// Bytes of its topic and payload.
    fn weight(&self) -> usize;
    fn json(&self) -> Value;
}

impl Item for Message {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn weight(&self) -> usize {
        self.topic.as_str().len() + self.payload.len()
    }

    fn json(&self) -> Value {
        self.to_json()
    }
}

impl Item for Hop {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn weight(&self) -> usize {
        self.topic.as_str().len() + self.message.as_ref().map_or(0, Item::weight)
    }

    fn json(&self) -> Value {
        let (place, plugin) = match &self.spot {
            Spot::In => ("in", None),
            Spot::Stage(name) => ("plugin", Some(&**name)),
            Spot::Out => ("out", None),
        };
        json!({
            "id": self.id.to_string(),
            "topic": self.topic.as_str(),
            "place": place,
            "plugin": plugin,
            "after_micros": u64::try_from(self.after.as_micros()).unwrap_or(u64::MAX),
            "did": self.did,
            "reason": self.reason.map(DropReason::as_str),
            "message": self.message.as_ref().map(Message::to_json),
        })
    }
}

/// What a watcher gets to see.
enum Seen<T> {
    Item(Arc<T>),
    Missed(u64),
}

struct Watch<T> {
    items: Receiver<Arc<T>>,
    filter: Option<TopicFilter>,
    stop: CancellationToken,
}

impl<T: Item> Watch<T> {
    /// The next that is wanted, `None` at the end.
    async fn next(&mut self) -> Option<Seen<T>> {
        loop {
            match self.stop.run_until_cancelled(self.items.recv()).await? {
                Ok(item) if self.wants(&item) => return Some(Seen::Item(item)),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => return Some(Seen::Missed(missed)),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// What is there already, without waiting.
    fn ready(&mut self) -> Option<Seen<T>> {
        loop {
            match self.items.try_recv() {
                Ok(item) if self.wants(&item) => return Some(Seen::Item(item)),
                Ok(_) => {}
                Err(TryRecvError::Lagged(missed)) => return Some(Seen::Missed(missed)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// What goes with this one, and what comes behind these.
    fn batch(&mut self, first: &T) -> (Vec<Value>, Option<Seen<T>>) {
        let mut batch = vec![first.json()];
        let mut bytes = first.weight();
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            match self.ready() {
                Some(Seen::Item(item)) => {
                    bytes += item.weight();
                    batch.push(item.json());
                }
                missed => return (batch, missed),
            }
        }
        (batch, None)
    }

    fn wants(&self, item: &T) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(item.topic().as_str()))
    }
}

/// Somebody who watches.
struct Viewer<T> {
    watch: Watch<T>,
    /// What events are called, where there are some.
    event: &'static str,
    /// What came behind a batch and goes first next time.
    ahead: Option<Seen<T>>,
    sources: Arc<Sources>,
    caller: Caller,
    _stays: Option<super::port::StreamingNow>,
}

impl<T: Item> Viewer<T> {
    /// What comes next, `None` at the end, which is also when he may not watch any more.
    async fn seen(&mut self) -> Option<Seen<T>> {
        let seen = loop {
            match tokio::time::timeout(SIGN_OF_LIFE, self.watch.next()).await {
                Ok(seen) => break seen?,
                Err(_quiet) if self.may() => {}
                Err(_quiet) => return None,
            }
        };
        self.may().then_some(seen)
    }

    /// The next event, `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        let first = match self.ahead.take() {
            Some(seen) => Some(seen).filter(|_| self.may()),
            None => self.seen().await,
        }?;
        let first = match first {
            Seen::Missed(missed) => {
                return Some(Event::default().event("missed").data(json!({ "missed": missed }).to_string()));
            }
            Seen::Item(item) => item,
        };
        tokio::time::sleep(PACE).await;
        let (batch, behind) = self.watch.batch(&first);
        self.ahead = behind;
        Some(Event::default().event(self.event).data(Value::Array(batch).to_string()))
    }

    fn may(&self) -> bool {
        self.sources.page.trust.still(&self.caller, NEEDS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, UNIX_EPOCH};

    use tokio::sync::broadcast;

    use super::*;
    use crate::message::{ClockQuality, MessageId, Origin, Received};

    fn message(payload: Vec<u8>) -> Arc<Message> {
        let received = Received { wall: UNIX_EPOCH, monotonic: Instant::now(), clock: ClockQuality::Unknown };
        let (id, topic) = (MessageId { run: 1, sequence: 1 }, Topic::new("a").unwrap());
        Arc::new(Message::new(id, received, Origin::Gateway, topic, payload))
    }

    #[test]
    fn an_event_is_bounded_by_messages_and_by_their_bytes() {
        for (bytes, together) in [(10, BATCH), (100 * 1024, 3), (BATCH_BYTES, 1)] {
            let (sender, items) = broadcast::channel(512);
            let mut watch = Watch { items, filter: None, stop: CancellationToken::new() };
            for _ in 0..=BATCH {
                sender.send(message(vec![b'x'; bytes])).unwrap();
            }
            let Some(Seen::Item(first)) = watch.ready() else { panic!("nothing there") };
            let (batch, behind) = watch.batch(&first);
            assert!(batch.len() == together && behind.is_none(), "{bytes}: {}", batch.len());
            assert_eq!(watch.items.len(), BATCH + 1 - together, "the others wait");
        }
    }
}

//! Live messages: one JSON object a line for as long as the watcher stays.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::Sources;
use crate::message::{Message, TopicFilter};

/// Ends the streams when the gateway stops, since they would not end by themselves.
#[derive(Clone)]
pub(super) struct Stop(pub(super) CancellationToken);

#[derive(Deserialize)]
pub(super) struct Wanted {
    filter: Option<String>,
}

/// `GET /tap?filter=...`.
pub(super) async fn tap(
    State(sources): State<Arc<Sources>>,
    Extension(Stop(stop)): Extension<Stop>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let filter = match wanted.filter.as_deref().map(TopicFilter::new).transpose() {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("the filter {error}\n")).into_response(),
    };
    let lines = Lines { messages: sources.pipeline.tap(), filter, stop };
    let stream = futures_util::stream::unfold(lines, |mut lines| async {
        let line = lines.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), lines))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream)).into_response()
}

struct Lines {
    messages: Receiver<Arc<Message>>,
    filter: Option<TopicFilter>,
    stop: CancellationToken,
}

impl Lines {
    /// The next line, `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            let received = self.stop.run_until_cancelled(self.messages.recv()).await?;
            match received {
                Ok(message) if self.wants(&message) => return Some(format!("{}\n", message.to_json())),
                Ok(_) => {}
                // The watcher is slow, which is its own affair; it is told what it missed.
                Err(RecvError::Lagged(missed)) => return Some(format!("{{\"missed\":{missed}}}\n")),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn wants(&self, message: &Message) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(message.topic.as_str()))
    }
}

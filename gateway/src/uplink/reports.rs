//! What an uplink says here, and its way into the pipeline.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::message::{Message, Origin, Receipt, Received, Topic, TopicError};
use crate::pipeline::{Closed, Pipeline};

/// The topics of one gateway's uplinks begin with this.
pub(super) fn own(gateway: &str) -> String {
    format!("stile/{gateway}/uplink/")
}

/// See the module's head.
pub(super) struct Reports {
    name: Arc<str>,
    pipeline: Arc<Pipeline>,
    /// Whether the remote is there; retained.
    state: Topic,
    /// The path in use, where the settings name any, and how long the change to it took.
    path: (Option<String>, Option<Duration>),
    /// What was said last.
    said: Option<Said>,
}

#[derive(PartialEq, Eq)]
struct Said {
    online: bool,
    reason: String,
    path: (Option<String>, Option<Duration>),
}

impl Reports {
    pub(super) fn new(gateway: &str, name: &str, pipeline: Arc<Pipeline>) -> Result<Self, TopicError> {
        let state = Topic::new(&format!("{}{name}/state", own(gateway)))?;
        Ok(Self { name: name.into(), pipeline, state, path: (None, None), said: None })
    }

    pub(super) fn now(&self) -> Received {
        self.pipeline.clock().now()
    }

    pub(super) fn state_topic(&self) -> &Topic {
        &self.state
    }

    /// Connections go over this path from now on.
    pub(super) fn goes_over(&mut self, path: Option<String>) {
        if self.path.0 != path {
            self.path = (path, None);
        }
    }

    /// The change to the path in use took so long.
    pub(super) fn change_took(&mut self, gap: Duration) {
        self.path.1 = Some(gap);
    }

    /// The path in use.
    pub(super) fn path(&self) -> &str {
        self.path.0.as_deref().unwrap_or_default()
    }

    /// The state as JSON, for here and for the remote.
    pub(super) fn state(&self, online: bool, reason: &str) -> serde_json::Value {
        let since = self.now().rfc3339();
        if !online {
            return json!({ "state": "offline", "reason": reason, "since": since });
        }
        let mut state = json!({ "state": "online", "since": since });
        let (path, gap) = &self.path;
        if let (Some(path), Some(state)) = (path, state.as_object_mut()) {
            state.insert("path".to_owned(), path.as_str().into());
            state.extend(gap.map(|gap| ("path_gap_seconds".to_owned(), gap.as_secs_f64().into())));
        }
        state
    }

    /// What the remote is to publish when it loses the gateway; it can't know since when.
    pub(super) fn will() -> String {
        json!({ "state": "offline", "reason": "lost" }).to_string()
    }

    /// Publishes the state, retained, where it is another than before. Says whether it is.
    pub(super) async fn say(&mut self, online: bool, reason: &str) -> bool {
        let path = if online { self.path.clone() } else { (None, None) };
        let news = Some(Said { online, reason: reason.to_owned(), path });
        if self.said == news {
            return false;
        }
        self.said = news;
        let body = self.state(online, reason).to_string();
        let mut message = self.pipeline.message(self.now(), Origin::Gateway, self.state.clone(), body);
        message.retain = true;
        self.send(message).await;
        true
    }

    /// A message of the remote's, now.
    pub(super) fn of_remote(&self, topic: Topic, payload: Bytes) -> Message {
        self.pipeline.message(self.now(), Origin::Uplink(Arc::clone(&self.name)), topic, payload)
    }

    pub(super) async fn ingest(&self, message: Message, receipt: Option<Receipt>) -> Result<(), Closed> {
        self.pipeline.ingest_for(message, receipt).await
    }

    async fn send(&self, message: Message) {
        if self.pipeline.ingest(message).await.is_err() {
            // Counted as dropped; the daemon is ending.
            log::debug!(uplink:% = self.name; "message dropped: the gateway is stopping");
        }
    }
}

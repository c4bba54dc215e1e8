//! Messages that can't go to the remote: counted, logged once for each reason and connection, and told of on the uplink's
//! `dead` topic. The newest are kept (`letters.rs`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::Notify;

use super::letters::Letters;
use super::reports;
use super::stats::{Dead, UplinkStats};
use crate::message::{Message, Origin, Topic, TopicError};
use crate::pipeline::Pipeline;

/// Payloads up to this length, in bytes, are repeated.
const REPEATED_MAX: usize = 16 * 1024;
/// Messages that wait to be told of. Policy: what comes then is counted and not told of.
const WAITING_MAX: usize = 256;

/// Why a message can't go to the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) why: Dead,
    /// In words.
    pub(super) detail: String,
}

impl Misfit {
    pub(super) fn new(why: Dead, detail: impl Into<String>) -> Self {
        Self { why, detail: detail.into() }
    }
}

/// See the module's head.
pub(super) struct DeadLetters {
    name: String,
    topic: Topic,
    pipeline: Arc<Pipeline>,
    stats: Arc<UplinkStats>,
    logged: [AtomicBool; Dead::ALL.len()],
    /// What is to be told of them.
    waiting: Mutex<VecDeque<String>>,
    some: Notify,
    letters: Letters,
}

impl DeadLetters {
    pub(super) fn new(
        gateway: &str,
        name: &str,
        pipeline: Arc<Pipeline>,
        stats: Arc<UplinkStats>,
    ) -> Result<Self, TopicError> {
        let topic = Topic::new(&format!("{}{name}/dead", reports::own(gateway)))?;
        let (logged, waiting) = (Default::default(), Mutex::default());
        let (some, letters) = (Notify::new(), Letters::default());
        Ok(Self { name: name.to_owned(), topic, pipeline, stats, logged, waiting, some, letters })
    }

    /// A connection begins: reasons are logged again.
    pub(super) fn log_again(&self) {
        self.logged.iter().for_each(|logged| logged.store(false, Ordering::Relaxed));
    }

    /// Those that are kept for an operator.
    pub(super) fn letters(&self) -> &Letters {
        &self.letters
    }

    fn note(&self, message: &Message, misfit: &Misfit) {
        self.stats.dead(misfit.why);
        self.letters.keep(message, misfit);
        if !self.logged[misfit.why as usize].swap(true, Ordering::Relaxed) {
            log::warn!(uplink = self.name.as_str(), topic:% = message.topic, reason = misfit.why.as_str(),
                detail = misfit.detail.as_str(); "a message can't go to the remote; more of the kind are counted");
        }
    }

    /// Tells of a message, once it is noted.
    pub(super) async fn tell(&self, message: &Message, misfit: &Misfit) {
        self.note(message, misfit);
        self.publish(body(message, misfit)).await;
    }

    /// Notes a message at once, and has [`tend`](Self::tend) tell of it: for those who can't wait.
    pub(super) fn leave(&self, message: &Message, misfit: &Misfit) {
        self.note(message, misfit);
        let mut waiting = self.waiting();
        if waiting.len() < WAITING_MAX {
            waiting.push_back(body(message, misfit));
            self.some.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of what was left here, for as long as it is polled.
    pub(super) async fn tend(&self) {
        loop {
            self.some.notified().await;
            self.tell_waiting().await;
        }
    }

    /// Tells of what was left here so far.
    pub(super) async fn tell_waiting(&self) {
        loop {
            let Some(body) = self.waiting().pop_front() else { return };
            self.publish(body).await;
        }
    }

    async fn publish(&self, body: String) {
        let now = self.pipeline.clock().now();
        let told = self.pipeline.message(now, Origin::Gateway, self.topic.clone(), body);
        if self.pipeline.ingest(told).await.is_err() {
            // Counted as dropped; the daemon is ending.
            log::debug!(uplink = self.name.as_str(); "message dropped: the gateway is stopping");
        }
    }
}

/// What is told of a message.
fn body(message: &Message, misfit: &Misfit) -> String {
    let mut body = json!({
        "reason": misfit.why.as_str(), "detail": misfit.detail, "id": message.id.to_string(),
        "topic": message.topic.as_str(), "time": message.received.rfc3339(), "bytes": message.payload.len(),
    });
    if let (true, Some(body)) = (message.payload.len() <= REPEATED_MAX, body.as_object_mut()) {
        let (encoding, payload) = message.readable_payload();
        body.insert("encoding".to_owned(), encoding.into());
        body.insert("payload".to_owned(), payload.into());
    }
    body.to_string()
}

//! What clients want sent: the queue behind a radio's `down` topic.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::reports::Reports;
use crate::message::{Message, MessageId, Topic};
use crate::pipeline::{Output, Pipeline};
use crate::radio::{RadioStats, Refused};

/// Refusals that wait to be reported. Policy: refuse; beyond them a refusal is counted but not reported.
const REFUSALS: usize = 64;

/// One frame that a client wants sent.
#[derive(Debug, Clone)]
pub(super) struct Down {
    /// The message that asked for it.
    pub(super) id: MessageId,
    /// What to send, before framing.
    pub(super) payload: Bytes,
    /// What the asker will know the answer by.
    pub(super) correlation: Option<Bytes>,
}

impl From<&Message> for Down {
    fn from(message: &Message) -> Self {
        Self { id: message.id, payload: message.payload.clone(), correlation: message.correlation().cloned() }
    }
}

/// The pipeline's end of the queue. Policy when full: the newcomer is refused, counted and reported.
struct Entrance {
    topic: Topic,
    frames: mpsc::Sender<Down>,
    refusals: mpsc::Sender<Down>,
    stats: Arc<RadioStats>,
}

impl Output for Entrance {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn offer(&self, message: &Message) {
        match self.frames.try_send(message.into()) {
            Ok(()) => {}
            Err(TrySendError::Full(down)) => {
                self.stats.refused(Refused::QueueFull);
                // With that queue full as well there is nobody to tell; the count stands.
                let _ = self.refusals.try_send(down);
            }
            // The radio stopped while the message was on its way here.
            Err(TrySendError::Closed(_)) => self.stats.refused(Refused::ShuttingDown),
        }
    }
}

/// The driver's end of the queue.
pub(super) struct Downlink {
    frames: mpsc::Receiver<Down>,
    refusals: mpsc::Receiver<Down>,
    stats: Arc<RadioStats>,
}

/// What the queue has for the driver.
pub(super) enum Next {
    /// A frame to send.
    Frame(Down),
    /// A frame that was turned away at the entrance and is to be reported.
    TurnedAway(Down),
}

impl Downlink {
    /// Makes the queue and attaches its entrance to the pipeline.
    pub(super) fn attach(topic: Topic, capacity: usize, pipeline: &Pipeline, stats: &Arc<RadioStats>) -> Self {
        let (frames, waiting) = mpsc::channel(capacity);
        let (refusals, turned_away) = mpsc::channel(REFUSALS);
        pipeline.attach(Arc::new(Entrance { topic, frames, refusals, stats: Arc::clone(stats) }));
        Self { frames: waiting, refusals: turned_away, stats: Arc::clone(stats) }
    }

    /// Waits for what comes next; frames only when `ready` for one. Safe to cancel.
    pub(super) async fn next(&mut self, ready: bool) -> Next {
        tokio::select! {
            Some(down) = self.refusals.recv() => Next::TurnedAway(down),
            Some(down) = self.frames.recv(), if ready => Next::Frame(down),
            else => std::future::pending().await,
        }
    }

    /// Refuses whatever comes in this time.
    pub(super) async fn refuse_for(&mut self, time: Duration, why: Refused, reports: &Reports) {
        let end = Instant::now() + time;
        while let Ok(next) = tokio::time::timeout_at(end, self.next(true)).await {
            match next {
                Next::Frame(down) => self.refuse(&down, why, "", reports).await,
                Next::TurnedAway(down) => reports.refused(&down, Refused::QueueFull, "").await,
            }
        }
    }

    /// Refuses what is still there. The entrance must be detached.
    pub(super) async fn refuse_rest(&mut self, why: Refused, reports: &Reports) {
        self.frames.close();
        while let Some(down) = self.frames.recv().await {
            self.refuse(&down, why, "", reports).await;
        }
    }

    /// Counts and reports a frame that is not sent.
    pub(super) async fn refuse(&self, down: &Down, why: Refused, detail: &str, reports: &Reports) {
        self.stats.refused(why);
        reports.refused(down, why, detail).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Origin;

    #[tokio::test]
    async fn a_frame_that_comes_when_the_queue_has_closed_is_counted() {
        let (pipeline, _delivered) = Pipeline::new(1, Vec::new());
        let (topic, stats) = (Topic::new("serial/a/down").unwrap(), Arc::default());
        let mut downlink = Downlink::attach(topic.clone(), 1, &pipeline, &stats);
        downlink.frames.close();
        let message = pipeline.message(pipeline.clock().now(), Origin::Gateway, topic, "late");
        pipeline.ingest(message).await.unwrap();
        assert!(stats.refusals().any(|refusal| refusal == ("shutting-down", 1)));
    }
}

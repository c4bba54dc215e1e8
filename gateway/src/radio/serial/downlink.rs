//! What clients want sent: the queue behind a radio's `down` topic.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::reports::Reports;
use crate::message::{Message, MessageId, Topic};
use crate::pipeline::{Output, Pipeline};
use crate::radio::{RadioStats, Refused};

/// Refusals that wait to be reported. Policy: refuse; beyond them a refusal is counted but not reported.
const REFUSALS: usize = 64;

/// One frame that a client wants sent.
#[derive(Debug, Clone)]
pub(in crate::radio) struct Down {
    /// The message that asked for it.
    pub(in crate::radio) id: MessageId,
    /// What to send, before framing.
    pub(in crate::radio) payload: Bytes,
    /// What the asker will know the answer by.
    pub(in crate::radio) correlation: Option<Bytes>,
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
pub(in crate::radio) struct Downlink {
    frames: mpsc::Receiver<Down>,
    refusals: mpsc::Receiver<Down>,
    stats: Arc<RadioStats>,
}

/// What the queue has for the driver.
pub(in crate::radio) enum Next {
    /// A frame to send.
    Frame(Down),
    /// A frame that was turned away at the entrance and is to be reported.
    TurnedAway(Down),
}

impl Downlink {
    /// Makes the queue and attaches its entrance to the pipeline.
    pub(in crate::radio) fn attach(
        topic: Topic,
        capacity: usize,
        pipeline: &Pipeline,
        stats: &Arc<RadioStats>,
    ) -> Self {
        let (frames, waiting) = mpsc::channel(capacity);
        let (refusals, turned_away) = mpsc::channel(REFUSALS);
        pipeline.attach(Arc::new(Entrance { topic, frames, refusals, stats: Arc::clone(stats) }));
        Self { frames: waiting, refusals: turned_away, stats: Arc::clone(stats) }
    }

    /// One to which nobody sends.
    pub(in crate::radio) fn none(stats: &Arc<RadioStats>) -> Self {
        let (_, frames) = mpsc::channel(1);
        let (_, refusals) = mpsc::channel(1);
        Self { frames, refusals, stats: Arc::clone(stats) }
    }

    /// Waits for what comes next; frames only when `ready` for one. Safe to cancel.
    pub(in crate::radio) async fn next(&mut self, ready: bool) -> Next {
        tokio::select! {
            Some(down) = self.refusals.recv() => Next::TurnedAway(down),
            Some(down) = self.frames.recv(), if ready => Next::Frame(down),
            else => std::future::pending().await,
        }
    }

    /// Refuses whatever comes in this time, or until `stop`. What it has taken it always reports.
    pub(in crate::radio) async fn refuse_for(
        &mut self,
        time: Duration,
        why: Refused,
        reports: &Reports,
        stop: &CancellationToken,
    ) {
        let end = Instant::now() + time;
        loop {
            let next = tokio::select! {
                // In this order, so that a flood can't put off the end.
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(end) => return,
                next = self.next(true) => next,
            };
            match next {
                Next::Frame(down) => self.refuse(&down, why, "", reports).await,
                Next::TurnedAway(down) => reports.refused(&down, Refused::QueueFull, "").await,
            }
        }
    }

    /// Refuses what is still there. The entrance must be detached.
    pub(in crate::radio) async fn refuse_rest(&mut self, why: Refused, reports: &Reports) {
        self.frames.close();
        while let Some(down) = self.frames.recv().await {
            self.refuse(&down, why, "", reports).await;
        }
        self.refusals.close();
        while let Some(down) = self.refusals.recv().await {
            reports.refused(&down, Refused::QueueFull, "").await;
        }
    }

    /// Counts and reports a frame that is not sent.
    pub(in crate::radio) async fn refuse(&self, down: &Down, why: Refused, detail: &str, reports: &Reports) {
        self.stats.refused(why);
        reports.refused(down, why, detail).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SerialRadio, SimulatedDevice};
    use crate::message::Origin;
    use crate::pipeline::FANOUT_QUEUE;
    use crate::radio::Topics;

    struct Bench {
        pipeline: Arc<Pipeline>,
        delivered: crate::pipeline::Intake,
        stats: Arc<RadioStats>,
        topics: Topics,
        reports: Reports,
        downlink: Downlink,
    }

    /// A queue for one frame.
    fn bench() -> Bench {
        let (pipeline, delivered) = Pipeline::new(1);
        let (topics, stats) = (Topics::new("a").unwrap(), Arc::default());
        let radio = SerialRadio::simulated("a", SimulatedDevice::Line, 1);
        let reports = Reports::new(&radio, topics.clone(), Arc::clone(&pipeline), Arc::clone(&stats));
        let downlink = Downlink::attach(topics.down.clone(), 1, &pipeline, &stats);
        Bench { pipeline, delivered, stats, topics, reports, downlink }
    }

    impl Bench {
        /// A client publishes there.
        async fn publish(&self, topic: &Topic) {
            let message = self.pipeline.message(self.pipeline.clock().now(), Origin::Gateway, topic.clone(), "x");
            self.pipeline.ingest(message).await.unwrap();
        }

        /// The reasons on the `ack` topic so far.
        fn acks(&mut self) -> Vec<String> {
            let mut reasons = Vec::new();
            while let Ok(crate::pipeline::Delivered { message, .. }) = self.delivered.try_recv() {
                if message.topic == self.topics.ack {
                    let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                    reasons.push(body["reason"].as_str().unwrap().to_owned());
                }
            }
            reasons
        }
    }

    #[tokio::test]
    async fn a_frame_that_comes_when_the_queue_has_closed_is_counted() {
        let mut bench = bench();
        bench.downlink.frames.close();
        bench.publish(&bench.topics.down).await;
        assert!(bench.stats.refusals().any(|refusal| refusal == ("shutting-down", 1)));
    }

    #[tokio::test]
    async fn the_end_refuses_what_waits_and_reports_what_was_turned_away() {
        let mut bench = bench();
        for _ in 0..3 {
            bench.publish(&bench.topics.down).await;
        }
        bench.downlink.refuse_rest(Refused::ShuttingDown, &bench.reports).await;
        assert_eq!(bench.acks(), ["shutting-down", "queue-full", "queue-full"]);
    }

    #[tokio::test]
    async fn a_frame_that_is_being_refused_when_the_radio_stops_is_reported_all_the_same() {
        let mut bench = bench();
        bench.publish(&bench.topics.down).await;
        // Nobody takes what is delivered, so the report has to wait.
        for _ in 1..FANOUT_QUEUE {
            bench.publish(&bench.topics.up).await;
        }
        let stop = CancellationToken::new();
        let (hour, why) = (Duration::from_secs(3600), Refused::PortClosed);
        let mut delivered = std::mem::replace(&mut bench.delivered, Pipeline::new(2).1);
        {
            let mut refusing = std::pin::pin!(bench.downlink.refuse_for(hour, why, &bench.reports, &stop));
            assert!(tokio::time::timeout(Duration::ZERO, &mut refusing).await.is_err(), "it waits");
            stop.cancel();
            assert!(tokio::time::timeout(Duration::ZERO, &mut refusing).await.is_err(), "it still has one to report");
            delivered.recv().await.unwrap();
            refusing.await;
        }
        bench.delivered = delivered;
        assert_eq!(bench.acks(), ["port-closed"]);
    }
}

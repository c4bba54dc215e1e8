//! `$SYS/broker/...`: the broker's figures as messages, under the names that mosquitto uses.
//!
//! They are made when somebody asks and while somebody listens, are not retained in the store, and do not go through the
//! pipeline: they tell of the broker, and counting them would change what they tell.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::stats::Stats;
use crate::message::{Message, Origin, QoS, Topic, TopicFilter};
use crate::pipeline::Pipeline;

/// Time between two editions, as mosquitto's `sys_interval`.
pub(super) const PERIOD: Duration = Duration::from_secs(10);

const PREFIX: &str = "$SYS/broker/";

/// Whether a filter asks for any of these.
pub(super) fn is_asked_by(filter: &TopicFilter) -> bool {
    filter.as_str().split('/').next() == Some("$SYS")
}

/// Makes the messages.
pub(super) struct System {
    started: Instant,
    stats: Arc<Stats>,
    /// For ids and clocks. Weak, since the pipeline leads here.
    pipeline: Weak<Pipeline>,
}

impl System {
    pub(super) fn new(stats: Arc<Stats>, pipeline: &Arc<Pipeline>) -> Self {
        Self { started: Instant::now(), stats, pipeline: Arc::downgrade(pipeline) }
    }

    /// All figures now. Empty while the gateway ends.
    pub(super) fn messages(&self) -> Vec<Arc<Message>> {
        let Some(pipeline) = self.pipeline.upgrade() else { return Vec::new() };
        let now = pipeline.clock().now();
        let message = |(name, value): (&str, String)| {
            let topic = Topic::new(&format!("{PREFIX}{name}")).ok()?;
            let mut message = pipeline.message(now, Origin::Gateway, topic, value);
            message.qos = QoS::ExactlyOnce;
            Some(Arc::new(message))
        };
        self.figures().into_iter().filter_map(message).collect()
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (connected, sessions) = (read(&self.stats.connections), read(&self.stats.sessions));
        let dropped: u64 = self.stats.drops().map(|(_, n)| n).sum();
        vec![
            ("version", format!("stile version {}", env!("CARGO_PKG_VERSION"))),
            ("uptime", format!("{} seconds", self.started.elapsed().as_secs())),
            ("clients/connected", connected.to_string()),
            ("clients/disconnected", sessions.saturating_sub(connected).to_string()),
            ("clients/total", sessions.max(connected).to_string()),
            ("messages/received", read(&self.stats.packets_received).to_string()),
            ("publish/messages/received", read(&self.stats.publishes_received).to_string()),
            ("publish/messages/sent", read(&self.stats.publishes_sent).to_string()),
            ("publish/messages/dropped", dropped.to_string()),
            ("bytes/received", read(&self.stats.bytes_received).to_string()),
            ("bytes/sent", read(&self.stats.bytes_sent).to_string()),
            ("retained messages/count", read(&self.stats.retained).to_string()),
            ("subscriptions/count", read(&self.stats.filters).to_string()),
        ]
    }
}

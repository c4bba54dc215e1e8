//! `$SYS/broker/...`: the broker's figures as messages, under the names that mosquitto uses.
//!
//! They are made when somebody asks and while somebody listens, are not retained in the store, and do not go through the
//! pipeline: they tell of the broker, and counting them would change what they tell.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::inventory::Inventory;
use super::load::Load;
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

/// What loads are the averages of, by the names of the topics.
const LOADS: [(&str, Counter); 9] = [
    ("messages/received", |stats| read(&stats.packets_received)),
    ("messages/sent", |stats| read(&stats.packets_sent)),
    ("publish/received", |stats| read(&stats.publishes_received)),
    ("publish/sent", |stats| read(&stats.publishes_sent)),
    ("publish/dropped", dropped),
    ("bytes/received", |stats| read(&stats.bytes_received)),
    ("bytes/sent", |stats| read(&stats.bytes_sent)),
    ("connections", |stats| read(&stats.connects)),
    ("sockets", |stats| read(&stats.sockets)),
];

type Counter = fn(&Stats) -> u64;

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn dropped(stats: &Stats) -> u64 {
    stats.drops().map(|(_, n)| n).sum()
}

/// Makes the messages.
pub(super) struct System {
    started: Instant,
    stats: Arc<Stats>,
    inventory: Arc<Inventory>,
    loads: [Load; LOADS.len()],
    sampled: Instant,
    /// For ids and clocks. Weak, since the pipeline leads here.
    pipeline: Weak<Pipeline>,
}

impl System {
    pub(super) fn new(stats: Arc<Stats>, inventory: Arc<Inventory>, pipeline: &Arc<Pipeline>) -> Self {
        let now = Instant::now();
        let pipeline = Arc::downgrade(pipeline);
        Self { started: now, stats, inventory, loads: Default::default(), sampled: now, pipeline }
    }

    /// Takes the counters in, for the loads: every [`PERIOD`], whether or not somebody listens.
    pub(super) fn sample(&mut self) {
        let now = Instant::now();
        for (load, (_, counter)) in self.loads.iter_mut().zip(LOADS) {
            load.sample(counter(&self.stats), now - self.sampled);
        }
        self.sampled = now;
    }

    /// All figures now. Empty while the gateway ends.
    pub(super) fn messages(&self) -> Vec<Arc<Message>> {
        let Some(pipeline) = self.pipeline.upgrade() else { return Vec::new() };
        let now = pipeline.clock().now();
        let message = |(name, value): (String, String)| {
            let topic = Topic::new(&format!("{PREFIX}{name}")).ok()?;
            let mut message = pipeline.message(now, Origin::Gateway, topic, value);
            message.qos = QoS::ExactlyOnce;
            Some(Arc::new(message))
        };
        self.figures()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .chain(self.load())
            .filter_map(message)
            .collect()
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let stats = &self.stats;
        let (connected, sessions) = (read(&stats.connections), read(&stats.sessions));
        let held = self.inventory.totals();
        let counts = [
            ("clients/connected", connected),
            ("clients/disconnected", sessions.saturating_sub(connected)),
            ("clients/total", sessions.max(connected)),
            ("clients/maximum", read(&stats.connections_max)),
            ("clients/expired", read(&stats.sessions_expired)),
            ("messages/received", read(&stats.packets_received)),
            ("messages/sent", read(&stats.packets_sent)),
            ("messages/stored", read(&stats.retained) + held.waiting),
            ("store/messages/count", read(&stats.retained) + held.waiting),
            ("store/messages/bytes", read(&stats.retained_bytes) + held.waiting_bytes),
            ("publish/messages/received", read(&stats.publishes_received)),
            ("publish/messages/sent", read(&stats.publishes_sent)),
            ("publish/messages/dropped", dropped(stats)),
            ("publish/bytes/received", read(&stats.publish_bytes_received)),
            ("publish/bytes/sent", read(&stats.publish_bytes_sent)),
            ("bytes/received", read(&stats.bytes_received)),
            ("bytes/sent", read(&stats.bytes_sent)),
            ("retained messages/count", read(&stats.retained)),
            ("subscriptions/count", held.subscriptions),
            ("shared_subscriptions/count", held.shared_subscriptions),
        ];
        let texts = [
            ("version", format!("stile version {}", env!("CARGO_PKG_VERSION"))),
            ("uptime", format!("{} seconds", self.started.elapsed().as_secs())),
        ];
        texts.into_iter().chain(counts.map(|(name, count)| (name, count.to_string()))).collect()
    }

    fn load(&self) -> impl Iterator<Item = (String, String)> {
        self.loads.iter().zip(LOADS).flat_map(|(load, (name, _))| {
            load.averages().map(move |(interval, average)| (format!("load/{name}/{interval}"), format!("{average:.2}")))
        })
    }
}

//! The fan-out engine: rumqttd's router, given tickets instead of messages. The only file that names rumqttd.
//!
//! What the router is good at is fanning a topic out to the filters that match it. What it does badly (quality of
//! service, retained messages, sessions, properties, memory) it is not asked to do: one link subscribes to each distinct
//! filter once, at QoS 0, and what travels through it is a *ticket*: the topic, and a payload whose length is the number
//! of a slot in which the front keeps the real message. The facts about the router that this rests on, all of them read
//! in rumqttd 0.20.0, which is therefore pinned:
//!
//! - A ring (one for each filter) forgets its oldest entries without a word when its segments are full. Each ticket
//!   counts [`TICKET_BYTES`] or a little more whatever its topic, so a ring holds at least [`SLOTS`] of them, and the
//!   front never has more than that outstanding. So nothing can fall off.
//! - Which tickets matched nothing, the router does not say. A *barrier* does: the link's rings are read first come,
//!   first served, each wholly (`max_outgoing_packet_count` is larger than `SLOTS`), so when a barrier comes back, all
//!   tickets published before it have come back too. Only one barrier is under way at a time: a window of at most
//!   `SLOTS` tickets goes out with its barrier behind it, and the next window waits for that barrier.
//! - The first character of a topic must be ASCII and no `$`, or the router panics or refuses: every topic and filter
//!   gets the prefix `t/`.
//! - It never frees a filter's ring or a topic it has seen: it is replaced by a fresh one when it has
//!   grown ([`RouterLink::is_worn`]). It can't be told to stop either: [`RouterLink`]'s drop sends the
//!   one packet that is known to end its thread, whose unwinding frees everything.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Once;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{Filter, Packet, Publish, QoS, RetainForwardRule, Subscribe, SubscribeProperties, Unsubscribe};
use rumqttd::{Notification, Router, RouterConfig};

/// Tickets that may be outstanding.
pub(super) const SLOTS: usize = 128;
/// What each ticket weighs in a ring: more than the longest topic, so that topic and padding add up to it.
const TICKET_BYTES: usize = 66 * 1024;
static PADDING: [u8; TICKET_BYTES + SLOTS] = [0; TICKET_BYTES + SLOTS];

const PREFIX: &str = "t/";
const BARRIER: &str = "b";
/// The name that the router's thread has, by which its deliberate end is told from an accident.
const ROUTER_ID: usize = 0;
const ROUTER_THREAD: &str = "router-0";

/// Topics seen, or filters no longer wanted, after which the router is replaced.
const WORN_TOPICS: usize = 20_000;
const WORN_FILTERS: usize = 256;

/// How long a window may take before the router counts as stalled. A healthy one takes well under a millisecond.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Names a filter within one router. Never 0, which MQTT forbids for a subscription identifier.
pub(super) type FilterId = usize;

/// What comes out of the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The ticket in `slot` matched the filter.
    Match { slot: usize, filter: FilterId },
    /// All tickets before the barrier have been reported.
    Barrier,
}

/// The router's thread is gone, or what it says makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("the fan-out router failed: {0}")]
pub(super) struct RouterFailure(String);

impl RouterFailure {
    /// It did not answer within `patience`.
    pub(super) fn stalled() -> Self {
        Self(format!("no answer within {PATIENCE:?}"))
    }
}

impl From<LinkError> for RouterFailure {
    fn from(error: LinkError) -> Self {
        Self(error.to_string())
    }
}

/// One router and the one link to it. What is asked of it is buffered until [`flush`](Self::flush).
pub(super) struct RouterLink {
    tx: LinkTx,
    rx: LinkRx,
    topics: HashSet<u64>,
    hasher: RandomState,
    forgotten_filters: usize,
}

impl RouterLink {
    /// Starts a router in a thread of its own and links to it.
    pub(super) fn start() -> Result<Self, RouterFailure> {
        quiet();
        let config = RouterConfig {
            max_connections: 2,
            // Larger than SLOTS, so that one visit empties a ring.
            max_outgoing_packet_count: 4 * SLOTS as u64,
            // All segments but the active one are sure to be full, so a ring holds SLOTS tickets at the least.
            max_segment_size: SLOTS / 2 * TICKET_BYTES,
            max_segment_count: 3,
            ..RouterConfig::default()
        };
        let events = Router::new(ROUTER_ID, config).spawn();
        let (tx, rx, _connack) = LinkBuilder::new("front", events).build()?;
        let mut link = Self { tx, rx, topics: HashSet::new(), hasher: RandomState::new(), forgotten_filters: 0 };
        link.buffer_subscribe(BARRIER.to_owned(), None);
        link.prime()?;
        Ok(link)
    }

    /// Sends the first barrier and waits for it. A new subscription stands first in the order of reading until it has
    /// been read to its end once; only then do barriers queue up behind the tickets before them.
    fn prime(&mut self) -> Result<(), RouterFailure> {
        self.flush()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(Notification::Forward(_)) = self.rx.recv_deadline(deadline)? {
                return Ok(());
            }
        }
    }

    /// Adds a filter. What is published after this call is matched against it.
    pub(super) fn subscribe(&self, filter: &str, id: FilterId) {
        self.buffer_subscribe(format!("{PREFIX}{filter}"), Some(id));
    }

    fn buffer_subscribe(&self, path: String, id: Option<FilterId>) {
        let filter = Filter {
            path,
            qos: QoS::AtMostOnce,
            nolocal: false,
            preserve_retain: false,
            retain_forward_rule: RetainForwardRule::Never,
        };
        let properties = id.map(|id| SubscribeProperties { id: Some(id), user_properties: Vec::new() });
        self.tx.buffer().push_back(Packet::Subscribe(Subscribe { pkid: 1, filters: vec![filter] }, properties));
    }

    /// Drops a filter. Its ring stays in the router, which is worn a little more by it.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        self.forgotten_filters += 1;
        let filters = vec![format!("{PREFIX}{filter}")];
        self.tx.buffer().push_back(Packet::Unsubscribe(Unsubscribe { pkid: 1, filters }, None));
    }

    /// Publishes a ticket. `slot` is below [`SLOTS`] and not in use since the last barrier came back.
    pub(super) fn publish(&mut self, topic: &str, slot: usize) {
        if self.topics.len() < WORN_TOPICS {
            self.topics.insert(self.hasher.hash_one(topic));
        }
        let mut name = Vec::with_capacity(PREFIX.len() + topic.len());
        name.extend_from_slice(PREFIX.as_bytes());
        name.extend_from_slice(topic.as_bytes());
        let payload = padding(name.len(), slot);
        self.tx.buffer().push_back(Packet::Publish(Publish::new(Bytes::from(name), payload, false), None));
    }

    /// Sends all that is buffered and a barrier behind it. The one before must have come back.
    ///
    /// # Errors
    /// When the router's thread is gone, or takes nothing any more.
    pub(super) fn flush(&mut self) -> Result<(), RouterFailure> {
        self.tx.try_publish(BARRIER, padding(BARRIER.len(), 0))?;
        Ok(())
    }

    /// Waits for the next arrival. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Arrival, RouterFailure> {
        loop {
            match self.rx.next().await? {
                Some(Notification::Forward(forward)) => {
                    let length = forward.publish.payload.len() + forward.publish.topic.len();
                    if forward.publish.topic == BARRIER {
                        return Ok(Arrival::Barrier);
                    }
                    let filter = forward.properties.and_then(|p| p.subscription_identifiers.first().copied());
                    let slot = length.checked_sub(TICKET_BYTES).filter(|slot| *slot < SLOTS);
                    return match (slot, filter) {
                        (Some(slot), Some(filter)) => Ok(Arrival::Match { slot, filter }),
                        _ => Err(RouterFailure("a ticket came back that was never sent".to_owned())),
                    };
                }
                // It has handed out all it may at once and waits to be asked for more.
                Some(Notification::Unschedule) => self.rx.ready()?,
                Some(Notification::Disconnect(..)) => {
                    return Err(RouterFailure("it ended the link".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Whether it holds so much that it will never give back that a fresh one is due.
    pub(super) fn is_worn(&self) -> bool {
        self.topics.len() >= WORN_TOPICS || self.forgotten_filters >= WORN_FILTERS
    }

    /// Ends the router's thread: a topic whose first character is not ASCII makes it panic; see the module's head.
    pub(super) fn kill(&mut self) {
        // If it is dead already, all the better.
        let _ = self.tx.try_publish("é", Bytes::new());
    }
}

impl Drop for RouterLink {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The payload that makes topic and payload weigh [`TICKET_BYTES`] and the slot's number.
fn padding(topic_bytes: usize, slot: usize) -> Bytes {
    let length = (TICKET_BYTES + slot).saturating_sub(topic_bytes);
    Bytes::from_static(PADDING.get(..length).unwrap_or(&PADDING))
}

/// Keeps two kinds of noise away: the router's trace points, which cost more than its work once `log` listens to them,
/// and the deliberate ends of routers, which the default hook would print as crashes.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only where somebody set one before, and then the trace points are not ours to silence.
        let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default());
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(ROUTER_THREAD) {
                default(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests;

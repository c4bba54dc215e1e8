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
//!   `SLOTS` tickets goes out with its barrier behind it, and the next window waits for that barrier. The order holds
//!   while the barrier's own ring is parked, that is, read to its end, when the window begins: see [`CROWD`].
//! - What is unsubscribed must stand before the tickets of a batch, never behind, or the ring is read once more for a
//!   subscription that has no identifier. The hub asks only between windows.
//! - The first character of a topic must be ASCII and no `$`, or the router panics or refuses: every topic and filter
//!   gets the prefix `t/`.
//! - It never frees a filter's ring or a topic it has seen: it is replaced by a fresh one when it has
//!   grown ([`RouterLink::is_worn`]). It can't be told to stop either: [`RouterLink`]'s drop sends the
//!   one packet that is known to end its thread, whose unwinding frees everything.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{Filter, Packet, Publish, QoS, RetainForwardRule, Subscribe, SubscribeProperties, Unsubscribe};
use rumqttd::{Notification, Router, RouterConfig};

/// Tickets that may be outstanding.
pub(super) const SLOTS: usize = 64;
/// What each ticket weighs in a ring: more than the longest topic, so that topic and padding add up to it.
const TICKET_BYTES: usize = 66 * 1024;
static PADDING: [u8; TICKET_BYTES + SLOTS] = [0; TICKET_BYTES + SLOTS];

const PREFIX: &str = "t/";
const BARRIER: &str = "b";
/// The name that the router's thread has, by which its deliberate end is told from an accident.
const ROUTER_ID: usize = 0;
const ROUTER_THREAD: &str = "router-0";
/// Ends that were asked for and have not happened yet.
static DELIBERATE: AtomicUsize = AtomicUsize::new(0);

/// Filters no longer wanted after which the router is replaced.
const WORN_FILTERS: usize = 256;
/// Bytes that it may hold by our estimate, which counts nothing as given back, and what each filter adds to that.
const WORN_BYTES: usize = 16 << 20;
const WORN_BYTES_PER_FILTER: usize = 4 << 10;
/// What one ticket in one ring costs it besides the topic, and what one topic does that it has not seen before.
const TICKET_COST: usize = 300;
const TOPIC_COST: usize = 300;

/// Notifications since the last barrier after which a second one is sent. When a read fills the link's buffer (rumqttd's
/// `MAX_CHANNEL_CAPACITY`, 200), the ring that was read stays in the order of reading. Were that the barrier's own, the next
/// barrier would overtake the tickets before it.
const CROWD: usize = 150;

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

impl RouterFailure {
    /// A ticket came back that can't be one of this window's.
    pub(super) fn astray() -> Self {
        Self("a ticket came back that was not sent".to_owned())
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
    filters: usize,
    forgotten_filters: usize,
    /// Bytes that it may hold.
    weight: usize,
    since_barrier: usize,
}

impl RouterLink {
    /// Starts a router in a thread of its own and links to it.
    pub(super) async fn start() -> Result<Self, RouterFailure> {
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
        let mut link = Self { tx, rx, filters: 0, forgotten_filters: 0, weight: 0, since_barrier: 0 };
        link.buffer_subscribe(BARRIER.to_owned(), None);
        link.prime().await?;
        Ok(link)
    }

    /// Sends the first barrier and waits for it. A new subscription stands first in the order of reading until it has
    /// been read to its end once; only then do barriers queue up behind the tickets before them.
    async fn prime(&mut self) -> Result<(), RouterFailure> {
        self.flush()?;
        match tokio::time::timeout(PATIENCE, self.next()).await {
            Ok(first) => first.map(|_barrier| ()),
            Err(_elapsed) => Err(RouterFailure::stalled()),
        }
    }

    /// Adds a filter. What is published after this call is matched against it.
    pub(super) fn subscribe(&mut self, filter: &str, id: FilterId) {
        self.filters += 1;
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
        self.filters = self.filters.saturating_sub(1);
        self.forgotten_filters += 1;
        let filters = vec![format!("{PREFIX}{filter}")];
        self.tx.buffer().push_back(Packet::Unsubscribe(Unsubscribe { pkid: 1, filters }, None));
    }

    /// Publishes a ticket. `slot` is below [`SLOTS`] and not in use since the last barrier came back.
    pub(super) fn publish(&mut self, topic: &str, slot: usize) {
        self.weight += TOPIC_COST + topic.len();
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

    /// What is asked and not sent yet.
    pub(super) fn backlog(&self) -> usize {
        self.tx.buffer().len()
    }

    /// Waits for the next arrival. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Arrival, RouterFailure> {
        loop {
            let notification = self.rx.next().await?;
            self.since_barrier += usize::from(notification.is_some());
            match notification {
                Some(Notification::Forward(forward)) if forward.publish.topic == BARRIER => {
                    if std::mem::take(&mut self.since_barrier) < CROWD {
                        return Ok(Arrival::Barrier);
                    }
                    // Nothing else is buffered now: whoever waits for a barrier asks for nothing meanwhile.
                    self.flush()?;
                }
                Some(Notification::Forward(forward)) => {
                    let topic = forward.publish.topic.len();
                    self.weight += TICKET_COST + topic;
                    let slot = (forward.publish.payload.len() + topic).checked_sub(TICKET_BYTES);
                    let filter = forward.properties.and_then(|p| p.subscription_identifiers.first().copied());
                    return match (slot.filter(|slot| *slot < SLOTS), filter) {
                        (Some(slot), Some(filter)) => Ok(Arrival::Match { slot, filter }),
                        _ => Err(RouterFailure::astray()),
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
        let bearable = WORN_BYTES + self.filters * WORN_BYTES_PER_FILTER;
        self.forgotten_filters >= WORN_FILTERS || self.weight >= bearable
    }

    /// Ends the router's thread: a topic whose first character is not ASCII makes it panic; see the module's head.
    pub(super) fn kill(&mut self) {
        DELIBERATE.fetch_add(1, Ordering::Relaxed);
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
            let routers = std::thread::current().name() == Some(ROUTER_THREAD);
            let one_less = |left: usize| left.checked_sub(1);
            if !routers || DELIBERATE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
                default(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests;

//! The card of one session: counts with atomics, the rest under a lock of its own that nobody takes for a message.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Amount, Client, SessionAfter, Totals, Whence};
use crate::broker::outbox::Outbox;
use crate::codec::Version;
use crate::message::{QoS, Received, TopicFilter};

/// What only comings, goings and subscriptions change.
#[derive(Debug)]
struct Sheet {
    connected: bool,
    since: Received,
    user: Option<Arc<str>>,
    /// None since a restart.
    from: Option<(Whence, Version)>,
    keep_alive: Option<Duration>,
    session_expiry: Duration,
    subscriptions: HashMap<TopicFilter, QoS>,
    last_error: Option<String>,
    /// The way to the connection, while there is one.
    orders: Option<oneshot::Sender<SessionAfter>>,
}

/// A connection that begins.
pub(in crate::broker) struct Arrived {
    pub(in crate::broker) at: Received,
    pub(in crate::broker) user: Option<Arc<str>>,
    pub(in crate::broker) whence: Whence,
    pub(in crate::broker) protocol: Version,
    pub(in crate::broker) keep_alive: Duration,
    pub(in crate::broker) session_expiry: Duration,
}

/// One session, as seen from outside.
#[derive(Debug)]
pub(in crate::broker) struct Card {
    outbox: Arc<Outbox>,
    sheet: Mutex<Sheet>,
    messages_received: AtomicU64,
    messages_sent: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    in_flight: AtomicU64,
    retained: AtomicU64,
    retained_bytes: AtomicU64,
}

impl Card {
    pub(super) fn new(outbox: Arc<Outbox>, now: Received) -> Self {
        let sheet = Sheet {
            connected: false,
            since: now,
            user: None,
            from: None,
            keep_alive: None,
            session_expiry: Duration::ZERO,
            subscriptions: HashMap::new(),
            last_error: None,
            orders: None,
        };
        Self {
            outbox,
            sheet: Mutex::new(sheet),
            messages_received: AtomicU64::default(),
            messages_sent: AtomicU64::default(),
            bytes_received: AtomicU64::default(),
            bytes_sent: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            retained: AtomicU64::default(),
            retained_bytes: AtomicU64::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sheet> {
        self.sheet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a connection that begins; gives the way on which it is told to leave.
    pub(in crate::broker) fn arrived(&self, arrived: Arrived) -> oneshot::Receiver<SessionAfter> {
        let (orders, ordered) = oneshot::channel();
        let mut sheet = self.lock();
        (sheet.connected, sheet.since, sheet.user) = (true, arrived.at, arrived.user);
        sheet.from = Some((arrived.whence, arrived.protocol));
        sheet.keep_alive = Some(arrived.keep_alive);
        (sheet.session_expiry, sheet.orders) = (arrived.session_expiry, Some(orders));
        ordered
    }

    /// Notes what is known of a session whose client is away since a restart.
    pub(in crate::broker) fn restored(&self, since: Received, user: Option<Arc<str>>, session_expiry: Duration) {
        let mut sheet = self.lock();
        (sheet.since, sheet.user, sheet.session_expiry) = (since, user, session_expiry);
    }

    /// Notes that the connection is over, and how long the session goes on.
    pub(in crate::broker) fn left(&self, at: Received, session_expiry: Duration) {
        let mut sheet = self.lock();
        (sheet.connected, sheet.since, sheet.session_expiry) = (false, at, session_expiry);
        sheet.orders = None;
    }

    /// Notes what a connection ended of.
    pub(in crate::broker) fn failed(&self, error: &str) {
        self.lock().last_error = Some(error.to_owned());
    }

    pub(in crate::broker) fn subscribed(&self, filter: TopicFilter, qos: QoS) {
        self.lock().subscriptions.insert(filter, qos);
    }

    pub(in crate::broker) fn unsubscribed(&self, filter: &TopicFilter) {
        self.lock().subscriptions.remove(filter);
    }

    pub(in crate::broker) fn message_received(&self) {
        self.messages_received.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::broker) fn message_sent(&self) {
        self.messages_sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::broker) fn bytes_received(&self, count: usize) {
        self.bytes_received.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(in crate::broker) fn bytes_sent(&self, count: usize) {
        self.bytes_sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Notes how much waits in the session beside its outbox.
    pub(in crate::broker) fn waiting(&self, in_flight: usize, retained: usize, retained_bytes: usize) {
        self.in_flight.store(in_flight as u64, Ordering::Relaxed);
        self.retained.store(retained as u64, Ordering::Relaxed);
        self.retained_bytes.store(retained_bytes as u64, Ordering::Relaxed);
    }

    /// The way to its connection, if there is one. It is good for one order.
    pub(super) fn take_orders(&self) -> Option<oneshot::Sender<SessionAfter>> {
        self.lock().orders.take()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.lock().connected
    }

    /// Whose session it is.
    pub(super) fn id(&self) -> &Arc<str> {
        &self.outbox.client
    }

    /// Adds what this session holds.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        let queue = self.queue();
        totals.waiting += queue.messages;
        totals.waiting_bytes += queue.bytes;
        let sheet = self.lock();
        let shared = sheet.subscriptions.keys().filter(|filter| filter.as_str().starts_with("$share/"));
        totals.shared_subscriptions += shared.count() as u64;
        totals.subscriptions += sheet.subscriptions.len() as u64;
    }

    pub(super) fn queue(&self) -> Amount {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (messages, bytes) = self.outbox.load();
        Amount { messages: messages as u64 + read(&self.retained), bytes: bytes as u64 + read(&self.retained_bytes) }
    }

    /// Everything now.
    pub(super) fn client(&self) -> Client {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let queue = self.queue();
        let sheet = self.lock();
        let mut subscriptions: Vec<_> =
            sheet.subscriptions.iter().map(|(filter, qos)| (filter.clone(), *qos)).collect();
        subscriptions.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        Client {
            id: Arc::clone(&self.outbox.client),
            connected: sheet.connected,
            since: sheet.since,
            user: sheet.user.clone(),
            address: sheet.from.map(|(whence, _)| whence.address),
            protocol: sheet.from.map(|(_, version)| version),
            transport: sheet.from.map(|(whence, _)| whence.door),
            keep_alive: sheet.keep_alive,
            session_expiry: sheet.session_expiry,
            subscriptions,
            queue,
            in_flight: read(&self.in_flight),
            received: Amount { messages: read(&self.messages_received), bytes: read(&self.bytes_received) },
            sent: Amount { messages: read(&self.messages_sent), bytes: read(&self.bytes_sent) },
            last_error: sheet.last_error.clone(),
        }
    }
}

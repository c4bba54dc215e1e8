//! The broker's counters, for `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::outbox::NotTaken;
use crate::password::Counts;
use crate::tls::Fault;

/// Why a delivery to one client, or a retained message, was let go. Counted apart from the ledger, which counts a
/// message once however many clients it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Drop {
    /// The client's queue was full.
    QueueFull,
    /// All clients' queues together held as much as they may.
    AllQueuesFull,
    /// The message's expiry interval ran out while it waited.
    Expired,
    /// It is larger than the client's Maximum Packet Size.
    TooLargeForClient,
    /// There is no room for another retained message; it was still delivered to those who were subscribed.
    RetainedFull,
    /// It has QoS 0 and the client was away.
    ClientAway,
    /// The client was away and its session ended with messages waiting.
    SessionEnded,
}

impl Drop {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::AllQueuesFull,
        Self::Expired,
        Self::TooLargeForClient,
        Self::RetainedFull,
        Self::ClientAway,
        Self::SessionEnded,
    ];

    /// The word for metrics and pages.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::AllQueuesFull => "all-queues-full",
            Self::Expired => "expired",
            Self::TooLargeForClient => "too-large-for-client",
            Self::RetainedFull => "retained-full",
            Self::ClientAway => "client-away",
            Self::SessionEnded => "session-ended",
        }
    }
}

/// Why a connection was turned away or ended by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Refusal {
    /// `broker.max-connections` are there.
    TooMany,
    /// `broker.max-connections-per-address` are there.
    TooManyFromAddress,
    /// No CONNECT within five seconds.
    NoConnect,
    /// Wrong or missing user name or password.
    Credentials,
    /// Too many wrong passwords came from there before; this one was not looked at.
    TooManyGuesses,
    /// Too many passwords wait to be checked.
    Busy,
    /// The user was removed or has a new password, or clients without a name may no longer connect.
    NoLongerAllowed,
    /// A packet that MQTT forbids.
    Protocol,
    /// Nothing was heard for one and a half times the keep-alive.
    KeepAlive,
    /// It took nothing for so long that it was given up.
    Stuck,
    /// What it published could not be stored.
    Storage,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 11] = [
        Self::TooMany,
        Self::TooManyFromAddress,
        Self::NoConnect,
        Self::Credentials,
        Self::TooManyGuesses,
        Self::Busy,
        Self::NoLongerAllowed,
        Self::Protocol,
        Self::KeepAlive,
        Self::Stuck,
        Self::Storage,
    ];

    /// The word for metrics and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "too-many-connections",
            Self::TooManyFromAddress => "too-many-from-address",
            Self::NoConnect => "no-connect",
            Self::Credentials => "credentials",
            Self::TooManyGuesses => "too-many-guesses",
            Self::Busy => "busy",
            Self::NoLongerAllowed => "no-longer-allowed",
            Self::Protocol => "protocol-error",
            Self::KeepAlive => "keep-alive",
            Self::Stuck => "stuck",
            Self::Storage => "storage",
        }
    }
}

/// Counters of the broker; all only grow, but for `connections`, `sessions`, `filters`, `retained` and `queue_bytes`.
#[derive(Debug, Default)]
pub struct Stats {
    /// Open connections that sent a valid CONNECT.
    pub connections: AtomicU64,
    /// The most of them that there were at once.
    pub connections_max: AtomicU64,
    /// Valid CONNECTs so far.
    pub connects: AtomicU64,
    /// TCP connections, whatever came of them.
    pub sockets: AtomicU64,
    /// Sessions, of clients that are there and of those that are away.
    pub sessions: AtomicU64,
    /// Those of them that outlive the process.
    pub sessions_kept: AtomicU64,
    /// Sessions that ended because their time was over.
    pub sessions_expired: AtomicU64,
    /// Distinct filters.
    pub filters: AtomicU64,
    /// Retained messages.
    pub retained: AtomicU64,
    /// Bytes of all retained messages.
    pub retained_bytes: AtomicU64,
    /// Bytes that wait for all clients together, of those that they share.
    pub queue_bytes: AtomicU64,
    /// Packets from clients, of any kind.
    pub packets_received: AtomicU64,
    /// Packets to clients, of any kind.
    pub packets_sent: AtomicU64,
    /// PUBLISH packets from clients.
    pub publishes_received: AtomicU64,
    /// PUBLISH packets to clients.
    pub publishes_sent: AtomicU64,
    /// Bytes of their payloads.
    pub publish_bytes_received: AtomicU64,
    /// Bytes of the payloads of PUBLISH packets to clients.
    pub publish_bytes_sent: AtomicU64,
    /// Bytes from clients.
    pub bytes_received: AtomicU64,
    /// Bytes to clients.
    pub bytes_sent: AtomicU64,
    /// Deliveries that a client had no right to, though its subscription reached there.
    pub deliveries_withheld: AtomicU64,
    /// Messages that a client had no right to publish.
    pub publishes_refused: AtomicU64,
    /// Subscriptions that a client had no right to.
    pub subscriptions_refused: AtomicU64,
    /// Connections that could not be accepted.
    pub accepts_failed: AtomicU64,
    /// Times that the fan-out router was replaced because it had failed or stalled.
    pub router_failures: AtomicU64,
    /// Times that the fan-out router was replaced because it was worn.
    pub router_renewals: AtomicU64,
    dropped: [AtomicU64; Drop::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
    handshakes_failed: [AtomicU64; Fault::ALL.len()],
    pub(super) password_checks: Arc<Counts>,
}

impl Stats {
    /// Adds to a counter.
    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn subtract(counter: &AtomicU64, n: u64) {
        counter.fetch_sub(n, Ordering::Relaxed);
    }

    /// Counts a client that was let in.
    pub(super) fn client_connected(&self) {
        Self::add(&self.connects, 1);
        let now = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.connections_max.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, why: Drop) {
        self.dropped_many(why, 1);
    }

    pub(super) fn dropped_many(&self, why: Drop, n: u64) {
        Self::add(&self.dropped[why as usize], n);
    }

    /// Whether whoever publishes with QoS 1 or 2 must be kept waiting until the message is safe: it may be retained, or
    /// somebody's session is kept.
    pub(super) fn asks_for_receipts(&self, retain: bool) -> bool {
        retain || self.sessions_kept.load(Ordering::Acquire) > 0
    }

    /// Passwords that came, by what was done with them.
    pub fn password_checks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.password_checks.all()
    }

    /// Counts a message that a client's queue did not take.
    pub(super) fn count(&self, taken: Result<(), NotTaken>) {
        if taken == Err(NotTaken::NotAllowed) {
            Self::add(&self.deliveries_withheld, 1);
        }
        if let Some(reason) = taken.err().and_then(NotTaken::reason) {
            self.dropped(reason);
        }
    }

    pub(super) fn refused(&self, why: Refusal) {
        Self::add(&self.refused[why as usize], 1);
    }

    pub(super) fn handshake_failed(&self, why: Fault) {
        Self::add(&self.handshakes_failed[why as usize], 1);
    }

    /// TLS handshakes that failed, by reason.
    pub fn failed_handshakes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Fault::ALL.iter().map(|f| (f.as_str(), self.handshakes_failed[*f as usize].load(Ordering::Relaxed)))
    }

    /// Deliveries let go, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Drop::ALL.iter().map(|d| (d.as_str(), self.dropped[*d as usize].load(Ordering::Relaxed)))
    }

    /// Connections turned away or ended, by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::ALL.iter().map(|r| (r.as_str(), self.refused[*r as usize].load(Ordering::Relaxed)))
    }
}

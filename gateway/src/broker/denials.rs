//! What was refused, for want of a right or at the door: counted each time, told now and then.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::access::Access;
use super::handshake::Rejected;
use super::stats::Stats;

/// One line in this time, whoever it is about: a client that tries again and again must not fill the log.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Told {
    last: Option<Instant>,
    untold: u64,
}

/// Lets one line through in a while.
#[derive(Default)]
struct Seldom(Mutex<Told>);

impl Seldom {
    /// How many were not told since the last one that was, if this one may be told.
    fn may_tell(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            told.untold += 1;
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.untold))
    }
}

/// See the module's head.
pub(super) struct Denials {
    stats: Arc<Stats>,
    rights: Seldom,
    /// Of its own, so that strangers at the door do not hide what clients are refused.
    clients: Seldom,
}

impl Denials {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self { stats, rights: Seldom::default(), clients: Seldom::default() }
    }

    /// A message that its client had no right to publish.
    pub(super) fn publish(&self, access: &Access, topic: &str) {
        Stats::add(&self.stats.publishes_refused, 1);
        if let Some(untold) = self.rights.may_tell(Instant::now()) {
            let (client, user) = (&access.client, access.who.name().unwrap_or_default());
            log::info!(client:% = client, user = user, topic = topic, untold = untold; "publish refused: no right to it");
        }
    }

    /// A subscription that its client had no right to.
    pub(super) fn subscription(&self, access: &Access, filter: &str) {
        Stats::add(&self.stats.subscriptions_refused, 1);
        if let Some(untold) = self.rights.may_tell(Instant::now()) {
            let (client, user) = (&access.client, access.who.name().unwrap_or_default());
            log::info!(client:% = client, user = user, filter = filter, untold = untold; "subscription refused: no right to it");
        }
    }

    /// A client that may not come in.
    pub(super) fn client(&self, peer: SocketAddr, rejected: &Rejected) {
        self.stats.refused(rejected.refusal);
        if let Some(untold) = self.clients.may_tell(Instant::now()) {
            let (reason, why) = (rejected.refusal.as_str(), rejected.why.as_str());
            log::info!(peer:% = peer, reason = reason, error = why, untold = untold; "client refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_while_tells_how_many_were_not_told() {
        let told = Seldom::default();
        let start = Instant::now();
        assert_eq!(told.may_tell(start), Some(0));
        assert_eq!((told.may_tell(start), told.may_tell(start)), (None, None));
        assert_eq!(told.may_tell(start + PAUSE), Some(2));
        assert_eq!(told.may_tell(start + 2 * PAUSE), Some(0));
    }
}

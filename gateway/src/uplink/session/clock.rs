//! Whether the remote is still there, by what was heard of it and when.

use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use crate::codec::Packet;
use crate::uplink::trouble::Trouble;

/// The longest that a remote may take to answer a sign of life.
const PING_PATIENCE: Duration = Duration::from_secs(15);

impl Session<'_> {
    /// The longest silence; also where the remote wants no sign of life, since the gateway does.
    fn keep_alive(&self) -> Duration {
        match self.limits.keep_alive {
            0 => self.own.settings.keep_alive,
            seconds => Duration::from_secs(seconds.into()),
        }
    }

    fn ping_patience(&self) -> Duration {
        let usual = PING_PATIENCE.min(self.keep_alive());
        if self.has_paths() { usual.min(self.own.settings.path_timeout / 2) } else { usual }
    }

    fn has_paths(&self) -> bool {
        self.own.settings.paths.len() > 1
    }

    /// When the remote is to be asked for a sign of life. Where another path may do better, and something waits, that is sooner.
    fn ping_at(&self) -> Instant {
        let usual = self.last_heard.min(self.last_said) + self.keep_alive();
        let waiting = self.waiting.map(|since| self.last_heard.max(since) + self.own.settings.path_timeout / 2);
        waiting.map_or(usual, |soon| usual.min(soon))
    }

    /// Asks for a sign of life when it is time, and gives the remote up when none comes.
    pub(super) fn look_at_clock(&mut self, now: Instant) -> Result<(), Trouble> {
        let waits = self.has_paths() && (self.own.flight.len() > 0 || !self.out.is_empty());
        self.waiting = waits.then(|| self.waiting.unwrap_or(now));
        match self.pinged {
            Some(at) if now >= at + self.ping_patience() => {
                Err(Trouble::Silent(now.duration_since(self.last_heard).as_secs()))
            }
            None if now >= self.ping_at() => {
                self.pinged = Some(now);
                self.last_said = now;
                self.write(&Packet::PingReq)
            }
            _ => Ok(()),
        }
    }

    /// When the clock is to be looked at again.
    pub(super) fn wake(&self, now: Instant) -> Instant {
        let ping = match self.pinged {
            Some(at) => at + self.ping_patience(),
            None => self.ping_at(),
        };
        let end = self.leave_by.or(self.own.renew_at);
        [self.own.rate.next(now), end, self.hub_wake()].into_iter().flatten().fold(ping, Instant::min)
    }
}

//! What a stateful reflector remembers: the next number of each session. Pure.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Sessions that are remembered. Policy: the one that was silent for the longest makes room.
const SESSIONS_MAX: usize = 1024;
/// A session that was silent for so long begins anew (REFWAIT of RFC 5357, section 4.2).
const SILENT_MAX: Duration = Duration::from_secs(900);

#[derive(Default)]
pub(super) struct Sessions(HashMap<(SocketAddr, u16), Session>);

struct Session {
    next: u32,
    heard: Instant,
}

impl Sessions {
    /// The number of the next packet to this sender, from 0; `ssid` is what the sender calls the session.
    pub(super) fn next(&mut self, sender: SocketAddr, ssid: u16, now: Instant) -> u32 {
        let key = (sender, ssid);
        if self.0.len() >= SESSIONS_MAX && !self.0.contains_key(&key) {
            let silent = self.0.iter().min_by_key(|(_, session)| session.heard).map(|(key, _)| *key);
            silent.map(|key| self.0.remove(&key));
        }
        let session = self.0.entry(key).or_insert(Session { next: 0, heard: now });
        if now.saturating_duration_since(session.heard) >= SILENT_MAX {
            session.next = 0;
        }
        let number = session.next;
        (session.next, session.heard) = (number.wrapping_add(1), now);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_counts_from_0_and_begins_anew_after_a_long_silence() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let [one, other] = ["192.0.2.1:50000", "192.0.2.1:50001"].map(|address| address.parse().unwrap());
        let mut next = |sender, ssid, seconds| sessions.next(sender, ssid, now + Duration::from_secs(seconds));
        assert_eq!(
            [next(one, 0, 0), next(one, 0, 1), next(other, 0, 1), next(one, 7, 1), next(one, 0, 2)],
            [0, 1, 0, 0, 2]
        );
        assert_eq!([next(one, 0, 901), next(one, 0, 1801)], [3, 0]);
    }

    #[test]
    fn there_are_never_more_than_the_most_and_the_most_silent_one_goes() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let sender = |port: usize| SocketAddr::from(([192, 0, 2, 1], u16::try_from(1000 + port).unwrap()));
        for port in 0..SESSIONS_MAX + 1 {
            sessions.next(sender(port), 0, now + Duration::from_millis(port as u64));
        }
        let later = now + Duration::from_secs(5);
        assert_eq!(sessions.0.len(), SESSIONS_MAX);
        assert_eq!(sessions.next(sender(1), 0, later), 1);
        assert_eq!(sessions.next(sender(0), 0, later), 0, "it was forgotten");
    }
}

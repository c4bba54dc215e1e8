//! Accepting connections: what every listener does alike.
//!
//! Owns the pace of failing accepts and what the log is told of them, what the kernel is told of a new connection, and TLS
//! in front of it (`secure.rs`). Never knows what is spoken on it.

mod secure;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

pub(crate) use self::secure::{Failed, Handshaken, secure};
use crate::wait::sleep_until;

/// Pause after a failed accept: running out of file descriptors must not spin.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two log lines about failing accepts.
const SUMMARY: Duration = Duration::from_secs(60);
/// Probes of a silent connection that go unanswered before it is given up.
const PROBES: u32 = 3;

/// A listener whose failures cost neither the processor nor the log.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    /// What is spoken there, for the log.
    speaks: &'static str,
    paused_until: Option<Instant>,
    failures: Failures,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, speaks: &'static str) -> Self {
        Self { listener, speaks, paused_until: None, failures: Failures::default() }
    }

    /// The next connection. Failures are counted in `failed` and waited out. Safe to cancel.
    pub(crate) async fn next(&mut self, failed: &AtomicU64) -> (TcpStream, SocketAddr) {
        loop {
            let (paused_until, tell_at) = (self.paused_until, self.failures.tell_at());
            let accepted = async {
                if paused_until.is_some() {
                    sleep_until(paused_until).await;
                }
                self.listener.accept().await
            };
            tokio::select! {
                accepted = accepted => match accepted {
                    Ok(accepted) => {
                        self.paused_until = None;
                        return accepted;
                    }
                    Err(error) => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        self.paused_until = Some(Instant::now() + PAUSE);
                        if self.failures.add(&error) {
                            log::warn!(door = self.speaks, error:% = error; "a connection could not be accepted");
                        }
                    }
                },
                () = sleep_until(tell_at) => {
                    if let Some((count, error)) = self.failures.tell() {
                        log::warn!(door = self.speaks, count = count, error = error; "connections could not be accepted");
                    }
                }
            }
        }
    }
}

/// Failures that the log has not been told of. It is told of the first at once, and of what follows once a minute.
#[derive(Debug, Default)]
struct Failures {
    told: Option<Instant>,
    untold: u64,
    last: String,
}

impl Failures {
    /// Notes one. Says whether the log is to be told at once.
    fn add(&mut self, error: &io::Error) -> bool {
        if self.told.is_none() {
            self.told = Some(Instant::now());
            return true;
        }
        self.untold += 1;
        self.last = error.to_string();
        false
    }

    /// When to look whether there is something to tell.
    fn tell_at(&self) -> Option<Instant> {
        self.told.map(|told| told + SUMMARY)
    }

    /// How many there were since the last line, and the last of them. After a minute without one, the next is told of at
    /// once again.
    fn tell(&mut self) -> Option<(u64, String)> {
        let count = std::mem::take(&mut self.untold);
        self.told = (count > 0).then(Instant::now);
        (count > 0).then(|| (count, std::mem::take(&mut self.last)))
    }
}

/// Where an address counts wherever so many of one are allowed: for IPv6 its network of 64 bits, of which anybody
/// has one whole.
pub(crate) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Has small packets go at once, and has the kernel find out about a peer whose network is gone, also when nobody has
/// anything to say: after `idle` without a sign of it, it is asked; after half of that again without an answer, the
/// connection fails. What the kernel refuses costs speed, or leaves a lost peer to other limits; no connection ends of it.
pub(crate) fn prepare(stream: &TcpStream, idle: Duration) {
    let refused = stream.set_nodelay(true).and_then(|()| notice_loss(stream, idle)).err();
    if let Some(error) = refused {
        log::debug!(error:% = error; "a connection's socket option was refused");
    }
}

fn notice_loss(stream: &TcpStream, idle: Duration) -> io::Result<()> {
    let interval = (idle / (2 * PROBES)).max(Duration::from_secs(1));
    sockopt::set_tcp_keepidle(stream, idle)?;
    sockopt::set_tcp_keepintvl(stream, interval)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    // Nobody is asked while data waits for its acknowledgement: this is the limit for that.
    let patience = (idle + interval * PROBES).as_millis();
    sockopt::set_tcp_user_timeout(stream, u32::try_from(patience).unwrap_or(u32::MAX))?;
    Ok(sockopt::set_socket_keepalive(stream, true)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_of_64_bits_count_as_one() {
        let counted = |address: &str| counted_as(address.parse().unwrap());
        assert_eq!(counted("2001:db8::1"), counted("2001:db8::ffff:1"));
        assert_ne!(counted("2001:db8::1"), counted("2001:db8:0:1::1"));
        assert_eq!(counted("::ffff:192.0.2.1"), counted("192.0.2.1"));
        assert_ne!(counted("192.0.2.2"), counted("192.0.2.1"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_is_told_of_the_first_failure_at_once_and_of_the_others_once_a_minute() {
        let mut failures = Failures::default();
        let error = io::Error::other("no descriptors");
        assert!(failures.tell_at().is_none());
        assert!(failures.add(&error));
        for _ in 0..600 {
            assert!(!failures.add(&error));
        }
        assert_eq!(failures.tell_at(), Some(Instant::now() + SUMMARY));
        tokio::time::advance(SUMMARY).await;
        assert_eq!(failures.tell(), Some((600, "no descriptors".to_owned())));
        assert!(!failures.add(&error), "less than a minute after the last line");
        assert_eq!(failures.tell(), Some((1, "no descriptors".to_owned())));
        assert_eq!(failures.tell(), None);
        assert!(failures.tell_at().is_none() && failures.add(&error), "after a quiet minute it begins anew");
    }
}

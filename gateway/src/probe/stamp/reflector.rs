//! Answers the packets of others: only of those who are allowed, never with more bytes than came, and so many a second.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::packet::{self, ErrorEstimate, Ntp, Reflection};
use super::sessions::Sessions;
use crate::buckets::Buckets;
use crate::config::{Reflector, ReflectorMode};
use crate::message::Clock;
use crate::probe::lock;
use crate::probe::socket::{Arrived, TimedSocket};

/// Datagrams that are read before others have their turn.
const BATCH: usize = 32;
/// The longest packet that is answered, in bytes: what leaves in one piece. Longer ones are refused.
const LONGEST: usize = 1472;
/// Sources whose rate is known. Those that come on top share one limit.
const SOURCES_MAX: usize = 1024;
/// Where reflectors usually are (RFC 8762, section 4.1).
const USUAL_PORT: u16 = 862;
/// Between two looks at how good the clock is.
const LOOK: Duration = Duration::from_secs(10);

/// Why a packet is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::probe) enum Refused {
    /// Its address is not in `allow`.
    NotAllowed,
    /// There were too many of its address.
    RateLimit,
    /// It is shorter than any packet of STAMP: the answer would be longer.
    Short,
    /// It is longer than what leaves in one piece.
    Long,
    /// It comes from where reflectors are, and two of them would answer each other for ever.
    Reflector,
    /// The answer could not be sent.
    Unsent,
}

impl Refused {
    const ALL: [Self; 6] = [Self::NotAllowed, Self::RateLimit, Self::Short, Self::Long, Self::Reflector, Self::Unsent];

    fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::RateLimit => "rate-limit",
            Self::Short => "short",
            Self::Long => "long",
            Self::Reflector => "reflector",
            Self::Unsent => "unsent",
        }
    }
}

/// What a reflector counts.
#[derive(Debug, Default)]
pub struct ReflectorStats {
    answered: AtomicU64,
    /// Where it listens, while it does.
    address: Mutex<Option<SocketAddr>>,
    refused: [AtomicU64; Refused::ALL.len()],
}

impl ReflectorStats {
    /// Packets answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Packets not answered, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refused::ALL.iter().map(|why| (why.as_str(), self.refused[*why as usize].load(Ordering::Relaxed)))
    }

    /// Where it listens; `None` while it can't.
    pub fn address(&self) -> Option<SocketAddr> {
        *lock(&self.address)
    }

    /// It listens there, as long as what this gives is kept.
    pub(in crate::probe) fn listens(&self, address: SocketAddr) -> Listens<'_> {
        *lock(&self.address) = Some(address);
        Listens(self)
    }

    fn refuse(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// See [`ReflectorStats::listens`].
pub(in crate::probe) struct Listens<'a>(&'a ReflectorStats);

impl Drop for Listens<'_> {
    fn drop(&mut self) {
        *lock(&self.0.address) = None;
    }
}

/// The reflector without its socket.
pub(in crate::probe) struct Answering {
    settings: Reflector,
    stats: Arc<ReflectorStats>,
    sessions: Sessions,
    sources: Buckets<IpAddr>,
    own_port: u16,
    error: ErrorEstimate,
}

impl Answering {
    pub(in crate::probe) fn new(settings: Reflector, stats: Arc<ReflectorStats>, own_port: u16, now: Instant) -> Self {
        let sources = Buckets::new(settings.rate_limit, Duration::from_secs(1), SOURCES_MAX, now);
        let error = ErrorEstimate::of(None);
        Self { settings, stats, sessions: Sessions::default(), sources, own_port, error }
    }

    /// The answer to a packet, without its time of sending.
    pub(in crate::probe) fn answer(
        &mut self,
        request: &[u8],
        arrived: &Arrived,
        from: SocketAddr,
    ) -> Result<Vec<u8>, Refused> {
        if !self.settings.allow.iter().any(|network| network.contains(from.ip())) {
            return Err(Refused::NotAllowed);
        }
        if from.port() == USUAL_PORT || from.port() == self.own_port {
            return Err(Refused::Reflector);
        }
        if arrived.cut || request.len() > LONGEST {
            return Err(Refused::Long);
        }
        let ssid = packet::session(request).ok_or(Refused::Short)?;
        if !self.sources.take(from.ip().to_canonical(), arrived.at) {
            return Err(Refused::RateLimit);
        }
        let sequence = match self.settings.mode {
            ReflectorMode::Stateful => Some(self.sessions.next(from, ssid, arrived.at)),
            ReflectorMode::Stateless => None,
        };
        let received = Ntp::of(arrived.wall);
        // 255 where it is not known, as TWAMP has it (RFC 5357, section 4.2.1).
        let reflection = Reflection { sequence, received, error: self.error, ttl: arrived.ttl.unwrap_or(255) };
        packet::reflect(request, reflection).ok_or(Refused::Short)
    }

    /// Serves until told to stop. `clock` says how far the own one is off.
    ///
    /// # Errors
    /// When the socket fails.
    pub(in crate::probe) async fn serve(
        &mut self,
        socket: &TimedSocket,
        clock: &Clock,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        // One more than is answered, so that what is longer is seen to be.
        let mut buffer = vec![0; LONGEST + 1];
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = look.tick() => self.error = ErrorEstimate::of(clock.error()),
                ready = socket.readable() => {
                    ready?;
                    self.read(socket, &mut buffer)?;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn read(&mut self, socket: &TimedSocket, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..BATCH {
            let arrived = match socket.try_recv(buffer) {
                Ok(arrived) => arrived,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let Some(from) = arrived.from else { continue };
            let request = buffer.get(..arrived.length).unwrap_or_default();
            let sent = self.answer(request, &arrived, from).and_then(|mut answer| {
                packet::stamp(&mut answer, Ntp::of(SystemTime::now()));
                socket.try_send_to(&answer, from).map_err(|_| Refused::Unsent)
            });
            match sent {
                Ok(_) => drop(self.stats.answered.fetch_add(1, Ordering::Relaxed)),
                Err(why) => self.stats.refuse(why),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;

    fn answering(mode: ReflectorMode, rate_limit: u32, now: Instant) -> Answering {
        let allow = vec![Network::parse("192.0.2.0/24").unwrap()];
        let settings = Reflector { listen: None, allow, mode, rate_limit };
        Answering::new(settings, Arc::default(), 4000, now)
    }

    fn at(now: Instant) -> Arrived {
        Arrived { length: 0, cut: false, from: None, wall: SystemTime::now(), at: now, ttl: Some(61) }
    }

    #[test]
    fn only_those_are_answered_who_may_be_and_never_with_more_than_they_sent() {
        let now = Instant::now();
        let mut answering = answering(ReflectorMode::Stateful, 1000, now);
        let friend: SocketAddr = "192.0.2.9:50000".parse().unwrap();
        let mut ask = |bytes: usize, from: SocketAddr, cut| {
            let arrived = Arrived { cut, ..at(now) };
            answering.answer(&vec![0; bytes], &arrived, from).map(|answer| answer.len())
        };
        assert_eq!((ask(44, friend, false), ask(1472, friend, false)), (Ok(44), Ok(1472)));
        assert_eq!((ask(43, friend, false), ask(0, friend, false)), (Err(Refused::Short), Err(Refused::Short)));
        assert_eq!((ask(1473, friend, false), ask(44, friend, true)), (Err(Refused::Long), Err(Refused::Long)));
        assert_eq!(ask(44, "198.51.100.1:50000".parse().unwrap(), false), Err(Refused::NotAllowed));
        assert_eq!(ask(44, "[::ffff:192.0.2.9]:50000".parse().unwrap(), false), Ok(44));
        for port in [862, 4000] {
            assert_eq!(ask(44, SocketAddr::new(friend.ip(), port), false), Err(Refused::Reflector));
        }
    }

    #[test]
    fn each_address_has_its_rate_whatever_its_port() {
        let now = Instant::now();
        let mut answering = answering(ReflectorMode::Stateless, 2, now);
        let mut ask = |from: &str| answering.answer(&[0; 44], &at(now), from.parse().unwrap()).is_ok();
        assert_eq!(["1", "2", "3"].map(|port| ask(&format!("192.0.2.9:5000{port}"))), [true, true, false]);
        assert!(ask("192.0.2.8:50000"));
    }

    #[test]
    fn numbers_are_its_own_or_the_senders_and_the_ttl_is_told() {
        let now = Instant::now();
        let friend = "192.0.2.9:50000".parse().unwrap();
        let request = packet::request(70, 0, Ntp(1), ErrorEstimate(0x8001), 44);
        for (mode, number) in [(ReflectorMode::Stateful, 1), (ReflectorMode::Stateless, 70)] {
            let mut answering = answering(mode, 10, now);
            answering.answer(&request, &at(now), friend).unwrap();
            let second = answering.answer(&request, &at(now), friend).unwrap();
            assert_eq!((&second[..4], second[40]), (&u32::to_be_bytes(number)[..], 61));
        }
    }
}

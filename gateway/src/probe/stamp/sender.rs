//! What a sender says and makes of the answers.

use std::time::{Duration, SystemTime};

use super::packet::{self, ErrorEstimate, Ntp, Reply};
use crate::probe::figures::Delays;
use crate::probe::socket::Arrived;
use crate::probe::train::Exchange;

/// One session: that of one train.
pub(in crate::probe) struct Session {
    size: usize,
    /// Another one each time, so that a reflector does not take it for one from the same port before.
    ssid: u16,
    /// Of the own clock.
    error: ErrorEstimate,
    /// When each packet left, by the wall clock, as it says itself.
    sent: Vec<Ntp>,
    last: Option<(Reply, SystemTime)>,
    forward: Delays,
    backward: Delays,
    /// The largest error that the reflector's clock claimed; `None` before the first answer, or where one claimed none.
    far_error: Option<f64>,
    heard: u32,
    numbers: Numbers,
}

/// What the reflector's own numbers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Numbers {
    /// An answer had another number than its packet.
    own: bool,
    /// Of the last packet that was answered: its number, and that of its answer.
    last: (u32, u32),
}

/// Delays of one way each, in seconds, where both clocks are good.
pub(in crate::probe) struct OneWay<'a> {
    pub(in crate::probe) forward: &'a Delays,
    pub(in crate::probe) backward: &'a Delays,
    /// The errors of both clocks together.
    pub(in crate::probe) error: f64,
}

impl Session {
    /// `error` is that of the own clock where it is synchronised.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(in crate::probe) fn new(size: usize, error: Option<Duration>) -> Result<Self, getrandom::Error> {
        let mut random = [0; 2];
        getrandom::fill(&mut random)?;
        Ok(Self {
            size,
            // 0 says that there is none (RFC 8972, section 3).
            ssid: u16::from_ne_bytes(random).max(1),
            error: ErrorEstimate::of(error),
            sent: Vec::new(),
            last: None,
            forward: Delays::default(),
            backward: Delays::default(),
            far_error: None,
            heard: 0,
            numbers: Numbers::default(),
        })
    }

    /// The delays of each way, which are worth something where both clocks are synchronised to UTC and their errors are less
    /// than the round trip, `rtt`, within which the delays lie anyway. A packet that has come before it was sent, by more than
    /// the errors, says that a clock has jumped or a claim is wrong.
    pub(in crate::probe) fn one_way(&self, rtt: f64) -> Option<OneWay<'_>> {
        let error = self.error.seconds()? + self.far_error?;
        let earliest = |delays: &Delays| delays.summary().map(|all| all.min);
        let earliest = earliest(&self.forward)?.min(earliest(&self.backward)?);
        (error < rtt && earliest >= -error).then_some(OneWay {
            forward: &self.forward,
            backward: &self.backward,
            error,
        })
    }

    /// Of packets that got no answer, those that the reflector never had and those whose answers were lost, where the
    /// reflector counts by itself and has lost any. What was lost behind the last answer is in neither.
    pub(in crate::probe) fn losses(&self, received: u32) -> Option<(u32, u32)> {
        let (of, number) = self.numbers.last;
        // One that has lost none can't be told from one that says the sender's numbers.
        let (forward, backward) = (of.checked_sub(number)?, number.checked_add(1)?.checked_sub(received)?);
        self.numbers.own.then_some((forward, backward))
    }
}

impl Exchange for Session {
    fn packet(&mut self, sequence: u32) -> Vec<u8> {
        let now = Ntp::of(SystemTime::now());
        self.sent.push(now);
        packet::request(sequence, self.ssid, now, self.error, self.size)
    }

    fn answer(&mut self, packet: &[u8], arrived: &Arrived) -> Option<(u32, Duration)> {
        let reply = Reply::parse(packet)?;
        // Both are echoed; who has not seen the packet can't know the time.
        if self.sent.get(reply.of as usize) != Some(&reply.of_sent) {
            return None;
        }
        self.last = Some((reply, arrived.wall));
        // A reflector whose clock jumps meanwhile says nonsense; then it held nothing.
        let held = Duration::try_from_secs_f64(reply.sent.since(reply.received)).unwrap_or_default();
        Some((reply.of, held))
    }

    fn counts(&mut self) {
        let Some((reply, wall)) = self.last.take() else { return };
        let Some(sent) = self.sent.get(reply.of as usize) else { return };
        self.forward.push(reply.of, reply.received.since(*sent));
        self.backward.push(reply.of, Ntp::of(wall).since(reply.sent));
        // PTP's time is not UTC: some seconds lie between them, and nobody says how many.
        let claimed = reply.error.seconds().filter(|_| !reply.error.is_ptp());
        self.far_error = if self.heard == 0 { claimed } else { self.far_error.zip(claimed).map(|(a, b)| a.max(b)) };
        self.heard += 1;
        self.numbers.own |= reply.sequence != reply.of;
        self.numbers.last = self.numbers.last.max((reply.of, reply.sequence));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::packet::{Reflection, reflect, stamp};
    use super::*;

    fn of_44_bytes(error: Option<Duration>) -> Session {
        Session::new(44, error).unwrap()
    }

    /// Answers a packet as a reflector would, whose clock is this far ahead of ours, or behind, and which holds it for 5 ms.
    fn answer(request: &[u8], sequence: u32, off: (Duration, Duration), error: Option<Duration>) -> Vec<u8> {
        let received = SystemTime::now() + off.0 - off.1;
        let error = ErrorEstimate::of(error);
        let reflection = Reflection { sequence: Some(sequence), received: Ntp::of(received), error, ttl: 64 };
        let mut packet = reflect(request, reflection).unwrap();
        stamp(&mut packet, Ntp::of(received + Duration::from_millis(5)));
        packet
    }

    fn arrived(length: usize) -> Arrived {
        let wall = SystemTime::now() + Duration::from_millis(6);
        Arrived { length, cut: false, from: None, wall, at: Instant::now(), ttl: None }
    }

    fn exchange(session: &mut Session, sequence: u32, own: u32, error: Option<Duration>) -> Option<(u32, Duration)> {
        let request = session.packet(sequence);
        let packet = answer(&request, own, RIGHT, error);
        let answered = session.answer(&packet, &arrived(packet.len()));
        session.counts();
        answered
    }

    const MILLI: Duration = Duration::from_millis(1);
    const RIGHT: (Duration, Duration) = (Duration::ZERO, Duration::ZERO);

    #[test]
    fn an_answer_says_which_packet_it_is_to_and_how_long_it_was_held() {
        let mut session = of_44_bytes(Some(MILLI));
        let (of, held) = exchange(&mut session, 0, 0, Some(MILLI)).unwrap();
        assert_eq!(of, 0);
        assert!(held.abs_diff(5 * MILLI) < Duration::from_micros(1), "{held:?}");
        let request = session.packet(1);
        let mut forged = answer(&request, 1, RIGHT, None);
        // Somebody who guesses at the time that was sent.
        forged[35] ^= 1;
        assert_eq!(session.answer(&forged, &arrived(44)), None);
        assert_eq!(session.answer(&forged[..43], &arrived(43)), None);
    }

    #[test]
    fn one_way_delays_are_told_only_where_both_clocks_are_good() {
        for (own, far, told) in [
            (Some(MILLI), Some(MILLI), true),
            (None, Some(MILLI), false),
            (Some(MILLI), None, false),
            (None, None, false),
        ] {
            let mut session = of_44_bytes(own);
            exchange(&mut session, 0, 0, far);
            assert_eq!(session.one_way(0.1).is_some(), told, "{own:?} {far:?}");
            assert!(session.one_way(0.001).is_none(), "the errors are larger than the round trip");
            exchange(&mut session, 1, 1, None);
            assert!(session.one_way(0.1).is_none(), "the reflector has lost its source of time");
        }
        let mut session = of_44_bytes(Some(MILLI));
        exchange(&mut session, 0, 0, Some(MILLI));
        let one_way = session.one_way(1.0).unwrap();
        let backward = one_way.backward.summary().unwrap().p50;
        assert!((0.0..0.05).contains(&backward) && one_way.error >= 0.002, "{backward}");
    }

    #[test]
    fn a_packet_that_came_before_it_was_sent_makes_no_delay_of_any_worth() {
        for (ahead, behind) in [(100 * MILLI, Duration::ZERO), (Duration::ZERO, 100 * MILLI)] {
            let mut session = of_44_bytes(Some(MILLI));
            exchange(&mut session, 0, 0, Some(MILLI));
            assert!(session.one_way(0.01).is_some());
            let request = session.packet(1);
            let packet = answer(&request, 1, (ahead, behind), Some(MILLI));
            session.answer(&packet, &arrived(packet.len())).unwrap();
            session.counts();
            assert!(session.one_way(0.01).is_none(), "its clock is {ahead:?} ahead, {behind:?} behind");
        }
    }

    #[test]
    fn a_port_that_comes_again_is_another_session() {
        let ssids: std::collections::BTreeSet<_> =
            (0..64).filter_map(|_| packet::session(&of_44_bytes(None).packet(0))).collect();
        assert!(ssids.len() > 32 && !ssids.contains(&0), "{ssids:?}");
    }

    #[test]
    fn a_reflector_that_counts_tells_on_which_way_packets_were_lost() {
        let mut session = of_44_bytes(None);
        // 0 never got there; 1 and 3 were answered as its first and third, and the answer to 2 was lost.
        session.packet(0);
        exchange(&mut session, 1, 0, None);
        session.packet(2);
        exchange(&mut session, 3, 2, None);
        assert_eq!(session.losses(2), Some((1, 1)));
        let mut stateless = of_44_bytes(None);
        exchange(&mut stateless, 0, 0, None);
        assert_eq!(stateless.losses(1), None);
    }
}

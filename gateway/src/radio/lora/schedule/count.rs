//! A concentrator's count: 32 bits of microseconds that wrap every 71.6 minutes, made a line without wraps.
//!
//! Where the count stands now is known from the uplinks: each says where it stood when it came. That was a little ago, and
//! how long differs. So one that says less than the others takes the line back only slowly.

use std::time::{Duration, Instant};

/// Where the line begins, so that what is before the first uplink is on it too.
const BEGIN: u64 = 1 << 40;

/// A count that is off by more than this from where it should stand is another one: the concentrator was started again, or
/// this machine slept.
const TOLERANCE: u64 = 2_000_000;

/// How fast an uplink that says less takes the line back: one part in so many of the time since the one before. Much more
/// than clocks drift, so that one wrong uplink is forgotten within minutes.
const BACK: u64 = 100;

/// Microseconds of a time that fits.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What the line rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Nothing: it runs with this machine's clock.
    Nothing,
    /// A downlink's context, which some uplink had before.
    Context,
    /// An uplink.
    Uplink,
}

/// What an uplink's count says of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It goes on, from so many microseconds further than was thought.
    Moved(i64),
    /// It has begun anew.
    Restarted,
}

/// The line: places are counts without wraps.
#[derive(Debug)]
pub(super) struct Counter {
    place: u64,
    at: Instant,
    known: Known,
    /// A place and its GPS time, in microseconds.
    gps: Option<(u64, u64)>,
}

impl Counter {
    pub(super) fn new(now: Instant) -> Self {
        Self { place: BEGIN, at: now, known: Known::Nothing, gps: None }
    }

    /// Where it stands.
    pub(super) fn now(&self, now: Instant) -> u64 {
        self.place.saturating_add(micros(now.saturating_duration_since(self.at)))
    }

    /// When it stands there, or stood.
    pub(super) fn instant(&self, place: u64) -> Instant {
        match place.checked_sub(self.place) {
            Some(later) => self.at + Duration::from_micros(later),
            None => self.at.checked_sub(Duration::from_micros(self.place - place)).unwrap_or(self.at),
        }
    }

    /// The count of a place.
    pub(super) fn tmst(place: u64) -> u32 {
        (place & u64::from(u32::MAX)) as u32
    }

    /// The place of a count: of all that have it, the nearest to where the line stands.
    fn near(&self, tmst: u32, now: Instant) -> u64 {
        let stands = self.now(now);
        let ahead = tmst.wrapping_sub(Self::tmst(stands));
        // As a signed number: the shorter way round.
        stands.saturating_add_signed(i64::from(ahead as i32))
    }

    /// The place that a downlink's context names. Without any uplink it is taken to be now: the uplink it answers came
    /// just before this process was there.
    pub(super) fn context(&mut self, tmst: u32, now: Instant) -> (u64, Heard) {
        let heard = match self.known {
            Known::Nothing => self.align(tmst, Known::Context, now),
            Known::Context | Known::Uplink => Heard::Moved(0),
        };
        (self.near(tmst, now), heard)
    }

    /// An uplink says where the count stood, and its GPS time if the concentrator has one.
    pub(super) fn heard(&mut self, tmst: u32, gps: Option<Duration>, now: Instant) -> Heard {
        let heard = match self.known {
            Known::Nothing => self.align(tmst, Known::Uplink, now),
            Known::Context | Known::Uplink => self.follow(tmst, now),
        };
        self.gps = gps.map(|gps| (self.near(tmst, now), micros(gps)));
        heard
    }

    fn align(&mut self, tmst: u32, known: Known, now: Instant) -> Heard {
        let stands = self.now(now);
        let place = BEGIN.max(stands & !u64::from(u32::MAX)).saturating_add(u64::from(tmst));
        self.go_on(stands, place, known, now)
    }

    fn go_on(&mut self, stands: u64, place: u64, known: Known, now: Instant) -> Heard {
        (self.place, self.at, self.known) = (place, now, known);
        Heard::Moved(place.cast_signed().saturating_sub(stands.cast_signed()))
    }

    fn follow(&mut self, tmst: u32, now: Instant) -> Heard {
        let (stands, place) = (self.now(now), self.near(tmst, now));
        if stands.abs_diff(place) > TOLERANCE {
            // Beyond all places that were ever named.
            let next = (stands | u64::from(u32::MAX)).saturating_add(1 + (1 << 32));
            (self.place, self.at, self.known, self.gps) =
                (next.saturating_add(u64::from(tmst)), now, Known::Uplink, None);
            return Heard::Restarted;
        }
        let back = micros(now.saturating_duration_since(self.at)) / BACK;
        self.go_on(stands, place.max(stands.saturating_sub(back)), Known::Uplink, now)
    }

    /// The place of a GPS time (since the epoch of 6 January 1980); `None` while the concentrator has none.
    pub(super) fn of_gps(&self, time: Duration) -> Option<u64> {
        let (place, gps) = self.gps?;
        Some(place.saturating_add_signed(micros(time).cast_signed().saturating_sub(gps.cast_signed())))
    }

    /// The GPS time of a place, in microseconds.
    pub(super) fn gps_of(&self, place: u64) -> Option<u64> {
        let (known, gps) = self.gps?;
        Some(gps.saturating_add_signed(place.cast_signed().saturating_sub(known.cast_signed())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(start: Instant, micros: u64) -> Instant {
        start + Duration::from_micros(micros)
    }

    #[test]
    fn a_late_uplink_does_not_turn_the_count_back_and_a_restart_is_noticed() {
        let start = Instant::now();
        let mut counter = Counter::new(start);
        assert!(matches!(counter.heard(1000, None, start), Heard::Moved(_)));
        let place = counter.now(start);
        // 20 ms late.
        assert_eq!(counter.heard(981_000, None, after(start, 1_000_000)), Heard::Moved(-10_000));
        assert_eq!(counter.now(after(start, 1_000_000)), place + 990_000);
        assert_eq!(counter.heard(7, None, after(start, 20_000_000)), Heard::Restarted);
        assert_eq!(Counter::tmst(counter.now(after(start, 20_000_000))), 7);
        assert!(counter.now(after(start, 20_000_000)) > place + (1 << 32));
    }

    #[test]
    fn gps_time_is_there_as_long_as_uplinks_have_it() {
        let start = Instant::now();
        let mut counter = Counter::new(start);
        let at = Duration::from_secs(1_000_000_000);
        assert_eq!(counter.of_gps(at), None);
        counter.heard(5_000_000, Some(at), start);
        let place = counter.of_gps(at + Duration::from_secs(2)).unwrap();
        assert_eq!(Counter::tmst(place), 7_000_000);
        assert_eq!(counter.gps_of(place), Some(micros(at) + 2_000_000));
        counter.heard(5_000_001, None, after(start, 1));
        assert_eq!(counter.of_gps(at), None);
    }

    proptest! {
        /// Whatever the gaps between uplinks, wraps among them, the line follows the count.
        #[test]
        fn the_line_follows_the_count_over_its_wraps(
            first in any::<u32>(), gaps in prop::collection::vec(0..9_000_000_000_u64, 1..20),
        ) {
            let start = Instant::now();
            let mut counter = Counter::new(start);
            counter.heard(first, None, start);
            let (begin, mut gone) = (counter.now(start), 0);
            for gap in gaps {
                gone += gap;
                let now = after(start, gone);
                let tmst = Counter::tmst(u64::from(first) + gone);
                prop_assert_eq!(counter.heard(tmst, None, now), Heard::Moved(0));
                prop_assert_eq!(counter.now(now), begin + gone);
                prop_assert_eq!(Counter::tmst(counter.now(now)), tmst);
                prop_assert_eq!(counter.instant(counter.now(now)), now);
            }
        }
    }
}

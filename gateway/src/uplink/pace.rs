//! How often a remote is tried, and how fast it is sent to. Pure but for the clock that is handed in.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause before a remote is tried again, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Pauses between tries: each twice as long as the one before, and each somewhere between half of it and all of it, so that
/// a fleet of gateways does not come back in one moment.
#[derive(Debug)]
pub(super) struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl BackOff {
    /// The next pause. `chance` is in 0..1.
    pub(super) fn next(&mut self, chance: f64) -> Duration {
        let whole = self.0;
        self.0 = (whole * 2).min(PAUSE_MAX);
        whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// The remote has taken something: it is worth trying soon.
    pub(super) fn reset(&mut self) {
        self.0 = PAUSE_MIN;
    }
}

/// So many messages a second, and not more at once than in a tenth of it.
#[derive(Debug)]
pub(super) struct Rate {
    /// `None`: no limit.
    each: Option<Duration>,
    burst: Duration,
    /// When all that has been sent is paid for.
    paid: Instant,
}

impl Rate {
    pub(super) fn new(most: Option<u32>, now: Instant) -> Self {
        let each = most.map(|most| Duration::from_secs(1) / most.max(1));
        let burst = each.map_or(Duration::ZERO, |each| each.max(Duration::from_millis(100)));
        Self { each, burst, paid: now }
    }

    /// How many may be sent now, at most `most`.
    pub(super) fn allows(&self, most: usize, now: Instant) -> usize {
        let Some(each) = self.each else { return most };
        let room = (now + self.burst).saturating_duration_since(self.paid);
        let count = room.as_nanos() / each.as_nanos().max(1);
        most.min(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// When one more may be sent; `None` when it may now.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let each = self.each.filter(|_| self.allows(1, now) == 0)?;
        Some(self.paid + each - self.burst)
    }

    /// One was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        if let Some(each) = self.each {
            self.paid = self.paid.max(now) + each;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_second_to_a_minute_with_jitter_and_begin_anew_after_success() {
        let mut back_off = BackOff::default();
        let longest: Vec<u64> = (0..8).map(|_| back_off.next(1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(back_off.next(0.0), Duration::from_secs(30));
        back_off.reset();
        assert_eq!(back_off.next(0.5), Duration::from_millis(750));
    }

    #[test]
    fn no_second_has_more_messages_than_the_rate_and_a_tenth() {
        for most in [1_u32, 7, 100, 5000] {
            let start = Instant::now();
            let (mut rate, mut now, mut sent) = (Rate::new(Some(most), start), start, 0_u32);
            while now < start + Duration::from_secs(1) {
                for _ in 0..rate.allows(usize::MAX, now) {
                    rate.sent(now);
                    sent += 1;
                }
                now = rate.next(now).unwrap();
            }
            assert!((most..=most + most / 10 + 1).contains(&sent), "{most}: {sent}");
        }
        let now = Instant::now();
        assert_eq!((Rate::new(None, now).allows(9, now), Rate::new(None, now).next(now)), (9, None));
    }
}

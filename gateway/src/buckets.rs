//! Limits on rates, one for each of many: sources, devices. Owns the buckets; never knows what is spent.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Between two looks for those that can be forgotten. Each look is at all.
const SWEEP: Duration = Duration::from_millis(100);

/// What one may still spend, and when that was worked out.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// A bucket for each key, of which there are never more than `most`. The keys that come on top share one.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    /// What comes back in a second.
    rate: f64,
    /// What may be spent at once.
    burst: f64,
    most: usize,
    known: HashMap<K, Bucket>,
    others: Bucket,
    swept: Instant,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Full buckets for at most `most` keys: `burst` at once, and `burst` in each `period`.
    pub(crate) fn new(burst: u32, period: Duration, most: usize, now: Instant) -> Self {
        let burst = f64::from(burst);
        let others = Bucket { left: burst, at: now };
        Self { rate: burst / period.as_secs_f64(), burst, most, known: HashMap::new(), others, swept: now }
    }

    /// Takes one from the key's bucket. Says whether there was one.
    pub(crate) fn take(&mut self, key: K, now: Instant) -> bool {
        if let Some(bucket) = self.known.get_mut(&key) {
            return bucket.take(self.rate, self.burst, now);
        }
        if self.known.len() >= self.most {
            self.sweep(now);
        }
        if self.known.len() >= self.most {
            return self.others.take(self.rate, self.burst, now);
        }
        let mut bucket = Bucket { left: self.burst, at: now };
        let taken = bucket.take(self.rate, self.burst, now);
        self.known.insert(key, bucket);
        taken
    }

    /// Forgets those that are full again: a new one would be the same.
    fn sweep(&mut self, now: Instant) {
        if now.duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        let (rate, burst) = (self.rate, self.burst);
        self.known.retain(|_, bucket| bucket.filled(rate, burst, now) < burst);
    }
}

impl Bucket {
    fn filled(&self, rate: f64, burst: f64, now: Instant) -> f64 {
        (self.left + rate * now.saturating_duration_since(self.at).as_secs_f64()).min(burst)
    }

    fn take(&mut self, rate: f64, burst: f64, now: Instant) -> bool {
        // One that goes back would fill it again for the time that it goes through a second time.
        *self = Self { left: self.filled(rate, burst, now), at: now.max(self.at) };
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_key_has_its_own_limit_and_gets_it_back_with_time() {
        let now = Instant::now();
        let mut buckets = Buckets::new(2, SECOND, 10, now);
        assert_eq!([0; 3].map(|_| buckets.take("a", now)), [true, true, false]);
        assert!(buckets.take("b", now));
        assert!(!buckets.take("a", now + SECOND / 4) && buckets.take("a", now + SECOND));
        let later = now + 3600 * SECOND;
        assert_eq!([0; 3].map(|_| buckets.take("a", later)), [true, true, false], "no more than the burst is saved up");
    }

    #[test]
    fn keys_beyond_the_most_share_one_bucket_and_take_nothing_from_those_that_are_known() {
        let now = Instant::now();
        let mut buckets = Buckets::new(2, SECOND, 3, now);
        assert!((0..3).all(|key| buckets.take(key, now)));
        assert_eq!((3..6).map(|key| buckets.take(key, now)).collect::<Vec<_>>(), [true, true, false]);
        assert!((0..3).all(|key| buckets.take(key, now)));
        assert_eq!(buckets.known.len(), 3);
        assert!(buckets.take(9, now + 2 * SECOND), "the three were forgotten");
        assert_eq!(buckets.known.len(), 1);
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let now = Instant::now() + SECOND;
        let mut buckets = Buckets::new(1, SECOND, 1, now);
        assert!(buckets.take(1, now) && !buckets.take(1, now - SECOND) && !buckets.take(1, now));
    }
}

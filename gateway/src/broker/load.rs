//! Moving averages over one, five and fifteen minutes, as mosquitto's `load`: so many a minute.

use std::time::Duration;

/// The intervals and their names.
const INTERVALS: [(&str, Duration); 3] =
    [("1min", Duration::from_secs(60)), ("5min", Duration::from_secs(5 * 60)), ("15min", Duration::from_secs(15 * 60))];

/// The averages of one counter.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Load {
    counted: u64,
    a_minute: [f64; INTERVALS.len()],
}

impl Load {
    /// Takes in what was counted in the time `since` the last look.
    pub(super) fn sample(&mut self, counted: u64, since: Duration) {
        if since.is_zero() {
            return;
        }
        let rate = counted.saturating_sub(self.counted) as f64 * 60.0 / since.as_secs_f64();
        self.counted = counted;
        for (average, (_, interval)) in self.a_minute.iter_mut().zip(INTERVALS) {
            let weight = (-since.as_secs_f64() / interval.as_secs_f64()).exp();
            *average = rate + (*average - rate) * weight;
        }
    }

    /// Each with its interval's name.
    pub(super) fn averages(&self) -> impl Iterator<Item = (&'static str, f64)> {
        INTERVALS.iter().zip(self.a_minute).map(|((name, _), average)| (*name, average))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(load: &Load) -> Vec<(&'static str, String)> {
        load.averages().map(|(name, average)| (name, format!("{average:.2}"))).collect()
    }

    #[test]
    fn a_steady_rate_is_its_average_in_the_end_and_sooner_over_short_intervals() {
        let mut load = Load::default();
        let mut counted = 0;
        let mut go_on = |load: &mut Load, times: usize, count: u64| {
            for _ in 0..times {
                counted += count;
                load.sample(counted, Duration::from_secs(10));
            }
        };
        // 120 a minute, for one minute.
        go_on(&mut load, 6, 20);
        // 120 times 1 - 1/e, and so on.
        assert_eq!(rounded(&load), [("1min", "75.85".into()), ("5min", "21.75".into()), ("15min", "7.74".into())]);
        go_on(&mut load, 6 * 15 * 20, 20);
        assert!(load.averages().all(|(_, average)| (119.9..120.1).contains(&average)), "{load:?}");
        go_on(&mut load, 6 * 15, 0);
        let idle: Vec<_> = load.averages().map(|(_, average)| average).collect();
        assert!(idle[0] < 0.01 && idle[2] > 40.0, "{idle:?}");
    }

    #[test]
    fn two_looks_at_once_are_one() {
        let mut load = Load::default();
        load.sample(100, Duration::ZERO);
        assert!(load.averages().all(|(_, average)| average == 0.0));
    }
}

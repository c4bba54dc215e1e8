//! What many delays come to. Pure.

/// Delays of one train, in seconds, with the number of the packet that each is of, in the order in which the answers came.
#[derive(Debug, Default, Clone)]
pub(super) struct Delays(Vec<(u32, f64)>);

/// The ends, the middle and what lies between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    pub(super) min: f64,
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

/// How much delays differ from one packet to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Variation {
    /// The smoothed interarrival jitter of RFC 3550, section 6.4.1, in the order of arrival.
    pub(super) jitter: f64,
    /// Delay variation (RFC 3393, section 2) between packets that were sent one after the other: its mean without sign.
    pub(super) ipdv_mean: f64,
    /// The largest of these.
    pub(super) ipdv_max: f64,
}

impl Delays {
    pub(super) fn push(&mut self, sequence: u32, seconds: f64) {
        self.0.push((sequence, seconds));
    }

    /// `None` without any delay.
    pub(super) fn summary(&self) -> Option<Summary> {
        let mut sorted: Vec<f64> = self.0.iter().map(|(_, seconds)| *seconds).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        // The nearest rank: always a delay that there was.
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        Some(Summary { min, mean, p50: rank(50), p90: rank(90), p99: rank(99), max })
    }

    /// `None` without two delays.
    pub(super) fn variation(&self) -> Option<Variation> {
        let differ = |pair: &[(u32, f64)]| (pair[1].1 - pair[0].1).abs();
        let jitter = self.0.windows(2).map(differ).fold(0.0, |jitter, differ| jitter + (differ - jitter) / 16.0);
        let mut sent = self.0.clone();
        sent.sort_by_key(|(sequence, _)| *sequence);
        let neighbours = sent.windows(2).filter(|pair| pair[1].0 == pair[0].0 + 1);
        let ipdv: Vec<f64> = neighbours.map(differ).collect();
        let max = ipdv.iter().copied().max_by(f64::total_cmp)?;
        Some(Variation { jitter, ipdv_mean: ipdv.iter().sum::<f64>() / ipdv.len() as f64, ipdv_max: max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(all: &[(u32, f64)]) -> Delays {
        Delays(all.to_vec())
    }

    #[test]
    fn percentiles_are_delays_that_there_were() {
        assert_eq!(Delays::default().summary(), None);
        let one = delays(&[(0, 2.0)]).summary().unwrap();
        assert_eq!((one.min, one.p50, one.p99, one.max), (2.0, 2.0, 2.0, 2.0));
        let all: Vec<_> = (1..=100).rev().map(|n| (n, f64::from(n))).collect();
        let all = delays(&all).summary().unwrap();
        assert_eq!((all.min, all.mean, all.p50, all.p90, all.p99, all.max), (1.0, 50.5, 50.0, 90.0, 99.0, 100.0));
    }

    #[test]
    fn jitter_goes_by_arrival_and_ipdv_by_neighbours() {
        assert_eq!(delays(&[(0, 1.0)]).variation(), None);
        // RFC 3550: |D| of 16, then 0.
        let two = delays(&[(0, 0.0), (1, 16.0), (2, 16.0)]).variation().unwrap();
        assert_eq!(two, Variation { jitter: 0.9375, ipdv_mean: 8.0, ipdv_max: 16.0 });
        // 1 was lost, and 3 came before 2: only 2 and 3 are neighbours.
        let some = delays(&[(0, 1.0), (3, 4.0), (2, 2.0)]).variation().unwrap();
        assert_eq!((some.ipdv_mean, some.ipdv_max), (2.0, 2.0));
    }
}

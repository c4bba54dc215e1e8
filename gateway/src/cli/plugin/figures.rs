//! Times and sizes for people.

use std::time::Duration;

/// The middle one; zero of none.
pub(super) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// `850 ns`, `4.2 µs`, `12 ms`.
pub(super) fn time(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..100_000 => format!("{:.1} µs", time.as_secs_f64() * 1e6),
        100_000..10_000_000 => format!("{:.0} µs", time.as_secs_f64() * 1e6),
        10_000_000..10_000_000_000 => format!("{:.0} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// `850 B`, `192 KiB`, `1.6 MiB`.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_with_a_unit_that_suits_them() {
        let nanos = |nanos| time(Duration::from_nanos(nanos));
        assert_eq!(nanos(850), "850 ns");
        assert_eq!(nanos(4_230), "4.2 µs");
        assert_eq!(nanos(230_000), "230 µs");
        assert_eq!(nanos(12_000_000), "12 ms");
        assert_eq!(nanos(12_300_000_000), "12.3 s");
        assert_eq!(
            (size(850), size(65_536 * 3), size(1_700_000)),
            ("850 B".into(), "192 KiB".into(), "1.6 MiB".into())
        );
        assert_eq!(median([3, 1, 2].map(Duration::from_nanos).to_vec()), Duration::from_nanos(2));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }
}

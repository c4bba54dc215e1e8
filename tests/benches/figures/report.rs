//! Percentiles, medians, and tables in Markdown. Pure.

use std::time::Duration;

/// The value below which `percent` of the sorted values are (nearest rank).
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(Duration::MAX)
}

/// The middle value; of an even number the upper of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Begins a table of figures and their targets.
pub(crate) fn targets() {
    println!("| Figure | Measured | Target | |\n|---|---|---|---|");
}

/// One figure with a target.
pub(crate) fn target(figure: &str, measured: &str, target: &str, met: bool) {
    println!("| {figure} | {measured} | {target} | {} |", if met { "met" } else { "**missed**" });
}

/// One figure for information.
pub(crate) fn information(figure: &str, measured: &str) {
    println!("| {figure} | {measured} | | |");
}

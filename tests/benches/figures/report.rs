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

/// Begins a table of figures that two brokers share.
pub(crate) fn beside() {
    println!("| Figure | Stile | Mosquitto | Stile / Mosquitto | Target | |\n|---|---|---|---|---|---|");
}

/// Medians of one figure on both brokers.
pub(crate) struct Beside {
    ours: f64,
    theirs: f64,
    /// What the ratio is to be, and whether it is.
    target: Option<(String, bool)>,
}

impl Beside {
    pub(crate) fn of<R>(rounds: &[(R, R)], figure: fn(&R) -> f64) -> Self {
        let ours = median(rounds.iter().map(|(ours, _)| figure(ours)).collect());
        let theirs = median(rounds.iter().map(|(_, theirs)| figure(theirs)).collect());
        Self { ours, theirs, target: None }
    }

    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    pub(crate) fn at_least(mut self, times: f64) -> Self {
        self.target = Some((format!("≥ {times}"), self.ratio() >= times));
        self
    }

    pub(crate) fn at_most(mut self, times: f64) -> Self {
        self.target = Some((format!("≤ {times}"), self.ratio() <= times));
        self
    }

    pub(crate) fn less_than(mut self, times: f64) -> Self {
        self.target = Some((format!("< {times}"), self.ratio() < times));
        self
    }

    pub(crate) fn print(&self, figure: &str, unit: &str, digits: usize) {
        let (wanted, verdict) = match &self.target {
            Some((wanted, met)) => (wanted.as_str(), verdict(*met)),
            None => ("", ""),
        };
        let (ours, theirs) = (self.ours, self.theirs);
        println!(
            "| {figure} | {ours:.digits$}{unit} | {theirs:.digits$}{unit} | {:.2} | {wanted} | {verdict} |",
            self.ratio()
        );
    }
}

/// Begins a table of figures that two brokers share, of which a pair in turn is close together in what else the machine does.
pub(crate) fn pairs() {
    println!(
        "| Figure | Stile | Mosquitto | Stile / Mosquitto, 95 % of confidence | Target | |\n|---|---|---|---|---|---|"
    );
}

/// One figure, which is to be no worse on ours: medians, and the median of each pair's ratio with the interval in which that
/// lies. Where a whole interval is above 1 it is missed; where 1 is in it and the median above, the two can't be told apart.
pub(crate) fn no_worse<R>(rounds: &[(R, R)], figure: fn(&R) -> f64, name: &str, unit: &str) {
    let Beside { ours, theirs, .. } = Beside::of(rounds, figure);
    let mut ratios: Vec<f64> = rounds.iter().map(|(ours, theirs)| figure(ours) / figure(theirs)).collect();
    ratios.sort_by(f64::total_cmp);
    let cut = beyond_confidence(ratios.len());
    let (ratio, low, high) = (median(ratios.clone()), ratios[cut], ratios[ratios.len() - 1 - cut]);
    let verdict = if ratio > 1.0 && low <= 1.0 { "even" } else { verdict(ratio <= 1.0) };
    println!("| {name} | {ours:.0}{unit} | {theirs:.0}{unit} | {ratio:.2} ({low:.2} to {high:.2}) | ≤ 1 | {verdict} |");
}

/// How many values at each end of so many sorted ones are outside of the 95 % in which the true median lies: it is above or
/// below each with the same probability, so that the number below it is binomial (the interval of the sign test).
fn beyond_confidence(count: usize) -> usize {
    let mut exactly = 0.5_f64.powi(i32::try_from(count).unwrap());
    let mut at_most = exactly;
    let mut cut = 0;
    while 2.0 * at_most <= 0.05 {
        cut += 1;
        exactly *= (count + 1 - cut) as f64 / cut as f64;
        at_most += exactly;
    }
    cut.saturating_sub(1)
}

/// Begins a table of counts of two brokers.
pub(crate) fn tallies() {
    println!("| Figure | Stile | Mosquitto | Target | |\n|---|---|---|---|---|");
}

/// A count of each.
pub(crate) struct Tally {
    pub(crate) ours: u64,
    pub(crate) theirs: u64,
}

impl Tally {
    /// With a target, ours is to be at most that.
    pub(crate) fn print(&self, figure: &str, most: Option<u64>) {
        let target = most.map(|most| (format!("≤ {most}"), verdict(self.ours <= most)));
        let (wanted, verdict) = target.unwrap_or_default();
        println!("| {figure} | {} | {} | {wanted} | {verdict} |", self.ours, self.theirs);
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// Begins a table of figures and their targets.
pub(crate) fn targets() {
    println!("| Figure | Measured | Target | |\n|---|---|---|---|");
}

/// One figure with a target.
pub(crate) fn target(figure: &str, measured: &str, target: &str, met: bool) {
    println!("| {figure} | {measured} | {target} | {} |", verdict(met));
}

/// One figure for information.
pub(crate) fn information(figure: &str, measured: &str) {
    println!("| {figure} | {measured} | | |");
}

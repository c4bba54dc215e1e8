//! How a plugin is: what operators see of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::failure::{Failure, FailureKind, one_line};

/// Different reasons for drops that are counted apart. A plugin writes them, so there is a bound; the rest is `other`.
const REASONS: usize = 16;
/// The longest reason, in bytes.
const REASON_BYTES: usize = 64;
/// Figures that a plugin may have.
pub(super) const METRICS: usize = 64;

/// Whether a plugin judges messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// It was not started yet.
    #[default]
    New,
    /// It does.
    Ready,
    /// Its last start failed; each batch tries again.
    Failing,
    /// It failed too often and is left alone for a while.
    Quarantined,
}

impl Health {
    /// The word for metrics and pages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ready => "ready",
            Self::Failing => "failing",
            Self::Quarantined => "quarantined",
        }
    }
}

/// A figure of the plugin's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// Only counts up.
    Count(u64),
    /// Goes up and down.
    Gauge(f64),
}

/// All that is known of a plugin at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Whether it judges messages.
    pub health: Health,
    /// Batches and ticks that it was called for, retries included.
    pub calls: u64,
    /// Messages that came to it.
    pub messages: u64,
    /// Went on as they were.
    pub passed: u64,
    /// Went on changed.
    pub modified: u64,
    /// Ended here as it meant, by the reason that it gave.
    pub filtered: BTreeMap<String, u64>,
    /// Ended here with others instead.
    pub replaced: u64,
    /// It could not judge them.
    pub rejected: u64,
    /// Why it could not judge the last of these.
    pub last_rejection: Option<String>,
    /// It failed at them.
    pub failed: u64,
    /// Were not shown to it while it was left alone.
    pub skipped: u64,
    /// Made by it: instead of others, besides and by ticks.
    pub made: u64,
    /// Calls that failed, by the number of their [`FailureKind`].
    pub failures: [u64; FailureKind::ALL.len()],
    /// Instances made.
    pub instances: u64,
    /// How often it was left alone.
    pub quarantines: u64,
    /// What went wrong last, in words, and when.
    pub last_error: Option<(String, SystemTime)>,
    /// CPU time of its thread.
    pub cpu: Duration,
    /// Bytes of its memories.
    pub memory: usize,
    /// Lines that it may not log because they came too fast.
    pub lines_left_out: u64,
    /// Its own figures.
    pub metrics: BTreeMap<String, Figure>,
}

impl Report {
    /// So often it failed in this way.
    pub fn failures_of(&self, kind: FailureKind) -> u64 {
        self.failures[kind as usize]
    }

    /// Counts a message that ended here as the plugin meant.
    pub(super) fn filter(&mut self, reason: &str) {
        let short = &reason[..reason.floor_char_boundary(REASON_BYTES)];
        if let Some(count) = self.filtered.get_mut(short) {
            *count += 1;
        } else {
            let known = if self.filtered.len() < REASONS { short } else { "other" };
            *self.filtered.entry(known.to_owned()).or_default() += 1;
        }
    }

    /// Notes a message that it could not judge.
    pub(super) fn reject(&mut self, why: String) {
        self.rejected += 1;
        self.last_rejection = Some(one_line(why, REASON_BYTES));
    }

    /// Takes on the figures of a call that ended well.
    pub(super) fn measure(&mut self, name: String, figure: Figure) {
        let room = self.metrics.len() < METRICS;
        match (self.metrics.get_mut(&name), figure) {
            (Some(Figure::Count(sum)), Figure::Count(more)) => *sum = sum.saturating_add(more),
            (Some(old), new) => *old = new,
            (None, new) if room => drop(self.metrics.insert(name, new)),
            (None, _) => {}
        }
    }
}

/// A handle on one plugin's report.
#[derive(Debug, Default)]
pub struct Status(Mutex<Report>);

impl Status {
    /// All of it at one moment.
    pub fn report(&self) -> Report {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn edit<T>(&self, change: impl FnOnce(&mut Report) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn failed(&self, failure: &Failure) {
        self.edit(|report| {
            report.failures[failure.kind as usize] += 1;
            report.last_error = Some((format!("{}: {}", failure.kind, failure.text), SystemTime::now()));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_figures_are_bounded_however_many_a_plugin_invents() {
        let mut report = Report::default();
        for number in 0..1000 {
            report.filter(&format!("reason {number}"));
            report.measure(format!("figure_{number}"), Figure::Count(1));
        }
        report.filter("reason 0");
        report.filter(&"ü".repeat(100));
        assert_eq!(report.filtered.len(), REASONS + 1);
        assert_eq!((report.filtered["reason 0"], report.filtered["other"]), (2, 1000 - REASONS as u64 + 1));
        assert_eq!(report.metrics.len(), METRICS);
    }

    #[test]
    fn the_numbers_of_the_kinds_are_their_places() {
        assert!(FailureKind::ALL.iter().enumerate().all(|(i, kind)| *kind as usize == i));
    }
}

//! What a probe has spent of its budget, also over a restart.
//!
//! On disk stands a mark beyond what has been spent, written before it is reached: after a power cut some of a budget may be
//! lost, and nothing is spent twice. So a probe that runs each second does not write each second.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::config::Budget;
use crate::whole_file;

/// The folder in the data folder.
const FOLDER: &str = "probe";
/// A budget is written to disk in so many parts.
const PARTS: u64 = 100;
/// More than the file ever has, in bytes.
const FILE_MAX: u64 = 4096;

/// Bytes in a day and in a month, both of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Spent {
    /// Days since 1970.
    day: u64,
    pub(super) in_day: u64,
    /// Months since 1970.
    month: u64,
    pub(super) in_month: u64,
}

/// Why a run is not begun.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSpent {
    #[error("the budget of the {0} is used up; raise `budget-{0}`, or wait")]
    UsedUp(&'static str),
    #[error("the budget of the {what} is smaller than one run, which may cost {cost} bytes; raise `budget-{what}`")]
    TooSmall { what: &'static str, cost: u64 },
    #[error("{0} can't be written: {1}; see that the disk has room and the gateway may write there")]
    Unwritten(PathBuf, io::Error),
}

/// A probe's purse. Nothing is kept for one without a budget, but for the counts of this run.
#[derive(Debug)]
pub(super) struct Purse {
    file: PathBuf,
    data_dir: PathBuf,
    spent: Spent,
    /// What stands on disk.
    mark: Spent,
}

impl Purse {
    /// Reads what was spent before. Waits for the disk.
    pub(super) fn open(data_dir: &Path, probe: &str) -> Self {
        let file = data_dir.join(FOLDER).join(format!("{probe}.json"));
        let short = std::fs::metadata(&file).is_ok_and(|file| file.len() <= FILE_MAX);
        let read = short.then(|| std::fs::read(&file).ok()).flatten();
        // One that is damaged can't come of a power cut; then it is as if nothing had been spent.
        let mark: Spent = read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { file, data_dir: data_dir.to_owned(), spent: mark, mark }
    }

    /// What was spent until now.
    pub(super) fn spent(&self, now: SystemTime) -> Spent {
        self.spent.at(now)
    }

    /// Takes what a run may cost at most. Waits for the disk where the mark has to be moved.
    ///
    /// # Errors
    /// When there is not so much, or never will be, or the disk does not take it.
    pub(super) fn take(&mut self, budget: Budget, cost: u64, now: SystemTime) -> Result<(), NotSpent> {
        self.spent = self.spent.at(now);
        let mut spent = self.spent;
        spent.add(cost);
        for (most, has, what) in [(budget.day, spent.in_day, "day"), (budget.month, spent.in_month, "month")] {
            if most.is_some_and(|most| cost > most) {
                return Err(NotSpent::TooSmall { what, cost });
            }
            if most.is_some_and(|most| has > most) {
                return Err(NotSpent::UsedUp(what));
            }
        }
        self.cover(budget, spent)?;
        self.spent = spent;
        Ok(())
    }

    /// Has the mark on disk beyond this, where there is a budget.
    fn cover(&mut self, budget: Budget, spent: Spent) -> Result<(), NotSpent> {
        if let Some(least) = [budget.day, budget.month].into_iter().flatten().min()
            && !self.mark.covers(&spent)
        {
            let mut mark = spent;
            mark.add(least / PARTS);
            self.write(&mark).map_err(|error| NotSpent::Unwritten(self.file.clone(), error))?;
            self.mark = mark;
        }
        Ok(())
    }

    /// What was taken as `cost` has come to `actual`, which may be more. Waits for the disk as [`Self::take`] does.
    ///
    /// # Errors
    /// When the disk does not take it; it counts nevertheless.
    pub(super) fn settle(&mut self, budget: Budget, cost: u64, actual: u64) -> Result<(), NotSpent> {
        for spent in [&mut self.spent.in_day, &mut self.spent.in_month] {
            *spent = spent.saturating_sub(cost).saturating_add(actual);
        }
        self.cover(budget, self.spent)
    }

    fn write(&self, mark: &Spent) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            whole_file::make_folder(folder, Some(&self.data_dir))?;
        }
        whole_file::write(&self.file, &serde_json::to_vec(mark)?, 0o600, &self.data_dir)
    }
}

impl Spent {
    /// The same in the day and the month that `now` is in. A clock that goes back gives nothing back, and
    /// one that was far ahead does not bar the days until then: what was spent stays, and counts for now.
    fn at(mut self, now: SystemTime) -> Self {
        let day = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
        let month = month_of(day);
        if day > self.day {
            (self.day, self.in_day) = (day, 0);
        } else if self.day > day + 1 {
            self.day = day;
        }
        if month > self.month {
            (self.month, self.in_month) = (month, 0);
        } else if self.month > month + 1 {
            self.month = month;
        }
        self
    }

    fn add(&mut self, cost: u64) {
        self.in_day = self.in_day.saturating_add(cost);
        self.in_month = self.in_month.saturating_add(cost);
    }

    /// Whether after a power cut nothing less would stand here than was spent.
    fn covers(&self, spent: &Self) -> bool {
        (self.day, self.month) == (spent.day, spent.month)
            && self.in_day >= spent.in_day
            && self.in_month >= spent.in_month
    }
}

/// Months since January 1970 of a day since then, in the Gregorian calendar.
fn month_of(day: u64) -> u64 {
    // RFC 3339 from the library that writes all times here; four digits of the year and two of the month.
    let time = UNIX_EPOCH + std::time::Duration::from_secs(day.min(2_900_000) * 86_400);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u64>().ok()).unwrap_or(0);
    (number(0, 4) * 12 + number(5, 7)).saturating_sub(1970 * 12 + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// 31 January 2026, 12:00.
    const NOON: u64 = 1_769_860_800;
    const DAY: u64 = 86_400;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn budget(day: u64, month: u64) -> Budget {
        Budget { day: Some(day), month: Some(month) }
    }

    #[test]
    fn nothing_is_spent_beyond_a_budget_and_a_new_day_or_month_brings_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut purse = Purse::open(dir.path(), "a");
        let mut take = |cost, seconds| purse.take(budget(1000, 1500), cost, at(seconds)).map_err(|why| why.to_string());
        assert_eq!((take(600, NOON), take(400, NOON)), (Ok(()), Ok(())));
        assert_eq!(take(1, NOON), Err("the budget of the day is used up; raise `budget-day`, or wait".to_owned()));
        assert_eq!(
            take(1, NOON - DAY),
            Err("the budget of the day is used up; raise `budget-day`, or wait".to_owned())
        );
        // The next day is in another month.
        assert_eq!((take(1000, NOON + DAY), take(500, NOON + 2 * DAY)), (Ok(()), Ok(())));
        assert!(take(1, NOON + 2 * DAY).unwrap_err().contains("of the month"));
        assert_eq!(purse.spent(at(NOON + 2 * DAY)).in_month, 1500);
        purse.settle(budget(1000, 1500), 500, 100).unwrap();
        assert!(purse.take(budget(1000, 1500), 400, at(NOON + 2 * DAY)).is_ok());
    }

    #[test]
    fn a_budget_that_is_never_enough_is_not_to_be_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let why = Purse::open(dir.path(), "a").take(budget(2000, 1000), 1500, at(NOON)).unwrap_err().to_string();
        assert_eq!(
            why,
            "the budget of the month is smaller than one run, which may cost 1500 bytes; raise `budget-month`"
        );
    }

    #[test]
    fn a_run_that_cost_more_than_was_taken_is_on_disk_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut purse = Purse::open(dir.path(), "a");
        purse.take(budget(100_000, 100_000), 100, at(NOON)).unwrap();
        purse.settle(budget(100_000, 100_000), 100, 50_000).unwrap();
        let found = Purse::open(dir.path(), "a").spent(at(NOON));
        assert!(found.in_day >= 50_000 && found.in_month >= 50_000, "{found:?}");
    }

    #[test]
    fn after_a_restart_at_least_as_much_is_spent_and_only_some_runs_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut purse = Purse::open(dir.path(), "a");
        let file = dir.path().join("probe/a.json");
        let (mut written, mut last) = (0, Vec::new());
        for turn in 1..=200 {
            purse.take(budget(100_000, 100_000), 100, at(NOON)).unwrap();
            let now = std::fs::read(&file).unwrap();
            written += usize::from(now != last);
            last = now;
            let found = Purse::open(dir.path(), "a").spent(at(NOON));
            assert!((turn * 100..=turn * 100 + 1100).contains(&found.in_day), "{turn}: {found:?}");
        }
        assert!(written <= 25, "{written}");
        assert_eq!(Purse::open(dir.path(), "b").spent(at(NOON)).in_day, 0);
    }

    #[test]
    fn a_clock_that_was_far_ahead_bars_the_days_until_then_no_longer_than_today() {
        let dir = tempfile::tempdir().unwrap();
        let mut purse = Purse::open(dir.path(), "a");
        let mut take = |seconds| purse.take(budget(1000, 10_000), 1000, at(seconds)).is_ok();
        assert!(take(NOON + 5000 * DAY));
        assert!(!take(NOON), "what was spent stays spent");
        assert!(take(NOON + DAY));
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        for (day, month) in [(0, 0), (30, 0), (31, 1), (NOON / DAY, 672), (NOON / DAY + 1, 673)] {
            assert_eq!(month_of(day), month, "{day}");
        }
    }
}

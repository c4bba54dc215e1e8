//! The time that made-up devices believe in: a fixed start plus the time since. Never reads a clock.

use std::time::Duration;

/// When every simulation starts: Monday 2026-01-05 06:00:00 UTC, in seconds since 1970.
const START: u64 = 1_767_592_800;
const DAY: u64 = 86_400;
/// Days in 400 years of the Gregorian calendar, after which it repeats.
const CYCLE: u64 = 146_097;

/// One second of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    /// Year, from 1970.
    pub(super) year: u64,
    /// 1 to 12.
    pub(super) month: u64,
    /// 1 to 31.
    pub(super) day: u64,
    /// 0 to 23.
    pub(super) hour: u64,
    /// 0 to 59.
    pub(super) minute: u64,
    /// 0 to 59.
    pub(super) second: u64,
    /// 0 is Monday.
    pub(super) weekday: u64,
}

impl Civil {
    /// Coordinated Universal Time when the simulation has run for `now`.
    pub(super) fn utc(now: Duration) -> Self {
        Self::from_unix(START.saturating_add(now.as_secs()))
    }

    /// Central European standard time, all year round: made-up meters ignore summer time and say so by `W`.
    pub(super) fn cet(now: Duration) -> Self {
        Self::utc(now.saturating_add(Duration::from_secs(3600)))
    }

    /// Seconds since midnight.
    pub(super) fn second_of_day(&self) -> u64 {
        self.hour * 3600 + self.minute * 60 + self.second
    }

    fn from_unix(seconds: u64) -> Self {
        let days = seconds / DAY;
        let second = seconds % DAY;
        let mut year = 1970 + 400 * (days / CYCLE);
        let mut day = days % CYCLE;
        while day >= year_length(year) {
            day -= year_length(year);
            year += 1;
        }
        let mut month = 1;
        while day >= month_length(year, month) {
            day -= month_length(year, month);
            month += 1;
        }
        // 1970-01-01 was a Thursday.
        let weekday = (days + 3) % 7;
        Self { year, month, day: day + 1, hour: second / 3600, minute: second / 60 % 60, second: second % 60, weekday }
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn year_length(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn month_length(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(civil: Civil) -> (u64, u64, u64, u64) {
        (civil.year, civil.month, civil.day, civil.weekday)
    }

    #[test]
    fn a_simulation_starts_on_a_monday_morning() {
        let start = Civil::utc(Duration::ZERO);
        assert_eq!(date(start), (2026, 1, 5, 0));
        assert_eq!(start.second_of_day(), 6 * 3600);
        assert_eq!(Civil::cet(Duration::ZERO).hour, 7);
    }

    #[test]
    fn leap_days_and_year_ends_are_known() {
        assert_eq!(date(Civil::from_unix(951_782_400)), (2000, 2, 29, 1));
        assert_eq!(date(Civil::from_unix(1_709_164_800)), (2024, 2, 29, 3));
        assert_eq!(date(Civil::from_unix(1_767_225_599)), (2025, 12, 31, 2));
        assert_eq!(date(Civil::from_unix(4_107_542_400)), (2100, 3, 1, 0));
    }

    #[test]
    fn the_end_of_time_does_not_hang() {
        assert!(Civil::utc(Duration::MAX).year > 2026);
    }
}

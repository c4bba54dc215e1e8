//! GPS time: seconds since 6 January 1980, without leap seconds.

use std::time::{Duration, SystemTime};

/// Between the beginning of Unix time and that of GPS time.
const EPOCH: Duration = Duration::from_secs(315_964_800);

/// Leap seconds that UTC has had since GPS time began: 18 since 1 January 2017 (IERS Bulletin C 52). With the next one this
/// is to be raised, or class B is off by a second.
const LEAP_SECONDS: Duration = Duration::from_secs(18);

/// The GPS time of a moment by the system's clock; `None` before GPS time began.
pub(super) fn of(time: SystemTime) -> Option<Duration> {
    let unix = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(unix.checked_sub(EPOCH)? + LEAP_SECONDS)
}

/// The moment in UTC of a GPS time that lies after the last leap second; `None` where there is none.
pub(super) fn to_utc(gps: Duration) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(EPOCH.checked_add(gps)?.checked_sub(LEAP_SECONDS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gps_time_is_ahead_of_utc_by_the_leap_seconds() {
        // 2020-01-01T00:00:00Z is GPS second 1,261,872,018.
        let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
        assert_eq!(of(new_year), Some(Duration::from_secs(1_261_872_018)));
        assert_eq!(to_utc(Duration::from_secs(1_261_872_018)), Some(new_year));
        assert_eq!(of(SystemTime::UNIX_EPOCH), None);
        assert_eq!(to_utc(Duration::MAX), None);
    }
}

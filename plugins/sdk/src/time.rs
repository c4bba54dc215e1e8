//! Moments, as microseconds since 1970, UTC.

use std::fmt;
use std::time::Duration;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The moment at which tests begin: midnight before the first of January 2026.
    pub const EXAMPLE: Self = Self(1_767_225_600_000_000);

    /// How long after `earlier` this is; zero if before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// So much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Seconds since 1970.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a microsecond is kept until the year 2255")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Reads what [`Time`] writes: RFC 3339 in UTC, with or without a fraction of a second.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(clock, ':')?;
        let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && (1..=6).contains(&fraction.len());
        let sane = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
        if !digits || !sane || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let micros = fraction.parse::<u64>().ok()? * 10_u64.pow(6 - u32::try_from(fraction.len()).ok()?);
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Self(seconds * 1_000_000 + micros)).filter(|time| time.date() == (year, month, day))
    }

    /// Year, month, day.
    fn date(self) -> (u64, u64, u64) {
        // Years that begin in March, in eras of 400: the leap day is then the last of a year (H. Hinnant's algorithm).
        let z = self.0 / 86_400_000_000 + 719_468;
        let (era, day) = (z / 146_097, z % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        (year + era * 400 + u64::from(month <= 2), month, day)
    }
}

/// Days since 1970.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year) = (year / 400, year % 400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut next = || {
        let part = parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        part.parse().ok()
    };
    let found = [next()?, next()?, next()?];
    parts.next().is_none().then_some(found)
}

/// RFC 3339 in UTC, to the millisecond: `2026-01-01T00:00:00.000Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((year, month, day), seconds) = (self.date(), self.0 / 1_000_000);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let millis = self.0 / 1000 % 1000;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// A length of time in settings: a whole number and its unit, `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// Reads one, such as `10s`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis)?)))
    }
}

impl<'de> serde::Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "`{text}` is no length of time; write it as 500ms, 10s, 5m, 12h or 7d"
            ))
        })
    }
}

impl schemars::JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_numbers_with_a_unit() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("12h", 43_200_000), ("7d", 604_800_000)]
        {
            assert_eq!(Period::parse(text), Some(Period(Duration::from_millis(millis))));
        }
        for text in ["", "10", "s", "-1s", "1.5s", "1 s", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        assert_eq!(Time::EXAMPLE.to_string(), "2026-01-01T00:00:00.000Z");
        for text in ["1970-01-01T00:00:00.000Z", "2000-02-29T23:59:59.999Z", "2024-12-31T12:00:00.250Z"] {
            assert_eq!(Time::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Time::parse("2026-01-01T00:00:00Z"), Some(Time::EXAMPLE));
        assert_eq!(Time::parse("2026-01-01T00:00:00.5Z"), Some(Time(Time::EXAMPLE.0 + 500_000)));
    }

    #[test]
    fn each_day_of_four_hundred_years_is_its_own() {
        let mut before = (1969, 12, 31);
        for day in 0..146_097_u64 {
            let time = Time(day * 86_400_000_000);
            let (year, month, day_of_month) = time.date();
            assert!((year, month, day_of_month) > before);
            assert_eq!(days(year, month, day_of_month), day);
            before = (year, month, day_of_month);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}

//! Makes numbers, positions and times less exact. What is none of that can't be, and is `None`.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Metres of a degree of latitude, on a sphere as large as the Earth.
const METRES_OF_A_DEGREE: f64 = 111_195.0;

/// What a text of JSON says as a number: a number, or a text that is one.
fn number(json: &str) -> Option<f64> {
    let text = json.strip_prefix('"').map_or(json, |text| text.trim_end_matches('"'));
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The shortest text that means the number; `None` where JSON has none.
fn written(number: f64) -> Option<String> {
    // Without a minus before 0.
    number.is_finite().then(|| format!("{}", number + 0.0))
}

/// Keeps so many decimals.
pub(super) fn to_decimals(json: &str, decimals: u8) -> Option<String> {
    if json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        // A whole number has none, and may have more digits than a float.
        return Some(json.to_owned());
    }
    let (number, factor) = (number(json)?, 10_f64.powi(i32::from(decimals)));
    let scaled = number * factor;
    // One with so many digits that the factor overflows has no decimals either.
    written(if scaled.is_finite() { scaled.round() / factor } else { number })
}

/// The latitude, moved to a line of the grid.
pub(super) fn latitude(json: &str, metres: u32) -> Option<f64> {
    let degrees = number(json).filter(|degrees| degrees.abs() <= 90.0)?;
    Some(on_grid(degrees, f64::from(metres) / METRES_OF_A_DEGREE).clamp(-90.0, 90.0))
}

/// The longitude, moved to a line of the grid at this latitude. That is the coarse one, or how wide the squares are would
/// tell the exact one.
pub(super) fn longitude(json: &str, latitude: f64, metres: u32) -> Option<f64> {
    let degrees = number(json).filter(|degrees| degrees.abs() <= 180.0)?;
    // Near the poles all longitudes are one place.
    let shrunk = latitude.to_radians().cos().max(1e-6);
    Some(on_grid(degrees, f64::from(metres) / (METRES_OF_A_DEGREE * shrunk)).clamp(-180.0, 180.0))
}

fn on_grid(degrees: f64, step: f64) -> f64 {
    (degrees / step).round() * step
}

/// Degrees as JSON, to a tenth of a metre.
pub(super) fn degrees(degrees: f64) -> Option<String> {
    written((degrees * 1e6).round() / 1e6)
}

/// Rounds a time down. A text is RFC 3339 and becomes UTC; a number counts from 1970 in seconds, milliseconds, microseconds
/// or nanoseconds, which its size tells, and keeps its unit.
pub(super) fn time(json: &str, to: Duration) -> Option<String> {
    match json.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => Some(format!("\"{}\"", rfc3339(round_down(moment(text)?, to))?)),
        None => count(json, to),
    }
}

/// The time as RFC 3339 in UTC, to a second; `None` after the year 9999, for which it has no form.
pub(super) fn rfc3339(time: SystemTime) -> Option<String> {
    let mut text = String::new();
    write!(text, "{}", humantime::format_rfc3339_seconds(time)).ok()?;
    Some(text)
}

/// A time before 1970 becomes 1970.
pub(super) fn round_down(time: SystemTime, to: Duration) -> SystemTime {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UNIX_EPOCH + Duration::from_secs(seconds - seconds % to.as_secs().max(1))
}

/// What a text of RFC 3339 means, with an offset or without.
fn moment(text: &str) -> Option<SystemTime> {
    let (date_time, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(date_time) => (date_time, 0),
        None => match text.rfind(['+', '-']).filter(|at| *at > "2026-11-27T".len()) {
            Some(at) => (text.get(..at)?, seconds_of(text.get(at..)?)?),
            None => (text, 0),
        },
    };
    let local = humantime::parse_rfc3339_weak(date_time).ok()?;
    let by = Duration::from_secs(u64::from(i32::unsigned_abs(offset)));
    if offset > 0 { local.checked_sub(by) } else { local.checked_add(by) }
}

/// The seconds of an offset such as `+01:00`.
fn seconds_of(offset: &str) -> Option<i32> {
    let (sign, rest) = offset.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':').or_else(|| rest.split_at_checked(2))?;
    let two = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() == 2).map(i32::from);
    let seconds = two(hours).filter(|h| *h < 24)? * 3600 + two(minutes).filter(|m| *m < 60)? * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

fn count(json: &str, to: Duration) -> Option<String> {
    let unit = |size: f64| match size {
        size if size < 1e11 => Some(1_u64),
        size if size < 1e14 => Some(1000),
        size if size < 1e17 => Some(1_000_000),
        size if size < 1e20 => Some(1_000_000_000),
        _ => None,
    };
    if let Ok(whole) = json.parse::<u64>() {
        let step = to.as_secs().checked_mul(unit(whole as f64)?)?;
        return Some((whole - whole % step).to_string());
    }
    let number = number(json).filter(|number| *number >= 0.0)?;
    let step = to.as_secs() as f64 * unit(number)? as f64;
    written((number / step).floor() * step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimals(json: &str, decimals: u8) -> String {
        to_decimals(json, decimals).unwrap_or_else(|| "none".to_owned())
    }

    #[test]
    fn a_number_keeps_so_many_decimals_and_a_whole_one_all_its_digits() {
        assert_eq!(decimals("52.51627", 2), "52.52");
        assert_eq!(decimals("\"13.37770\"", 1), "13.4");
        assert_eq!(decimals("-0.001", 2), "0");
        assert_eq!(decimals("12345678901234567890123", 2), "12345678901234567890123");
        assert_eq!(decimals("1.5e300", 8).len(), 301);
        for none in ["\"here\"", "true", "[1]", "\"\"", "\"inf\"", "1e999"] {
            assert_eq!(decimals(none, 2), "none", "{none}");
        }
    }

    #[test]
    fn a_time_is_rounded_down_in_its_own_form() {
        let hour = Duration::from_secs(3600);
        let rounded = |json: &str| time(json, hour).unwrap_or_else(|| "none".to_owned());
        for (json, expected) in [
            ("\"2026-11-27T03:59:59.999999Z\"", "\"2026-11-27T03:00:00Z\""),
            ("\"2026-11-27T03:59:59\"", "\"2026-11-27T03:00:00Z\""),
            ("\"2026-11-27T03:59:59.775023242+00:00\"", "\"2026-11-27T03:00:00Z\""),
            ("\"2026-11-27T05:29:59+05:30\"", "\"2026-11-26T23:00:00Z\""),
            ("\"2026-11-26T20:10:00-05:00\"", "\"2026-11-27T01:00:00Z\""),
            ("1795751999", "1795748400"),
            ("1795751999999", "1795748400000"),
            ("1795751999999999", "1795748400000000"),
            ("1795751999.25", "1795748400"),
            ("\"9999-12-31T23:59:59-23:59\"", "none"),
            ("\"yesterday\"", "none"),
            ("\"2026-11-27T05:29:59+05\"", "none"),
            ("-1", "none"),
            ("null", "none"),
        ] {
            assert_eq!(rounded(json), expected, "{json}");
        }
    }

    fn degrees_apart(a: f64, b: f64) -> f64 {
        (a - b).abs()
    }

    proptest! {
        #[test]
        fn a_coarse_position_is_near_and_the_same_for_all_that_become_it(
            lat in -90.0..90.0_f64, lon in -180.0..180.0_f64, metres in 1..100_000_u32,
        ) {
            let coarse = latitude(&lat.to_string(), metres).unwrap();
            prop_assert!(degrees_apart(coarse, lat) * METRES_OF_A_DEGREE <= f64::from(metres) / 2.0 + 1.0);
            let again = latitude(&coarse.to_string(), metres).unwrap();
            prop_assert!(degrees_apart(again, coarse) < 1e-9);
            let east = longitude(&lon.to_string(), coarse, metres).unwrap();
            let shrunk = coarse.to_radians().cos().max(1e-6);
            prop_assert!(degrees_apart(east, lon) * METRES_OF_A_DEGREE * shrunk <= f64::from(metres) / 2.0 + 1.0);
            prop_assert!(degrees(coarse).is_some() && degrees(east).is_some());
        }

        #[test]
        fn any_text_is_taken_without_panic(text in any::<String>(), number in any::<f64>(), whole in any::<u64>()) {
            for json in [text.clone(), format!("\"{text}\""), number.to_string(), whole.to_string()] {
                let _ = (to_decimals(&json, 8), latitude(&json, 1), longitude(&json, 90.0, 1), time(&json, Duration::from_secs(1)));
            }
        }
    }
}

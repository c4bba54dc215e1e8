//! Figures as people read them.

use std::time::Duration;

/// The first `most` characters of what came from outside: whatever repeats it is no longer than that.
pub(in crate::admin) fn beginning(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

/// The same with a sign where something is left out.
pub(in crate::admin) fn cut(text: &str, most: usize) -> String {
    let shown = beginning(text, most);
    if shown.len() < text.len() { format!("{shown}…") } else { shown.to_owned() }
}

/// A text as it stands in a query.
pub(in crate::admin) fn in_query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// How often something happens: `0`, `0.02/s`, `12/s`.
pub(in crate::admin) fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "–".to_owned(),
        Some(0.0) => "0/s".to_owned(),
        Some(rate) if rate < 0.095 => format!("{:.1}/min", rate * 60.0),
        Some(rate) if rate < 9.95 => format!("{rate:.1}/s"),
        Some(rate) => format!("{}/s", count(rate.round() as u64)),
    }
}

/// A count with a narrow blank between thousands.
pub(in crate::admin) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Bytes: `17 B`, `1.2 MB`.
pub(in crate::admin) fn bytes(number: u64) -> String {
    let (mut value, mut unit) = (number as f64, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" || value >= 9.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A time in its two largest units: `3 d 4 h`, `12 min 5 s`.
pub(in crate::admin) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(at) = units.iter().position(|(size, _)| seconds >= *size) else { return "0 s".to_owned() };
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units.iter().skip(at).take(2) {
        if left / size > 0 {
            parts.push(format!("{} {unit}", left / size));
        }
        left %= size;
    }
    parts.join(" ")
}

/// A time in RFC 3339 and UTC, to the minute: `2026-11-27 04:47`.
pub(in crate::admin) fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// Bytes in hex, with blanks between them.
pub(in crate::admin) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

/// Bytes as text, where they are text that can be shown. A character that is cut off at the end is left out.
pub(in crate::admin) fn readable(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    let shown = |c: char| !c.is_control() || matches!(c, '\r' | '\n' | '\t');
    (!text.is_empty() && text.chars().all(shown)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_stands_in_an_address() {
        assert_eq!(in_query("conf.d/a b&ä.toml"), "conf.d/a%20b%26%C3%A4.toml");
    }

    #[test]
    fn a_beginning_is_of_whole_characters() {
        assert_eq!(["", "ä", "äb", "äbc"].map(|text| beginning(text, 2)), ["", "ä", "äb", "äb"]);
        assert_eq!(["äb", "äbc"].map(|text| cut(text, 2)), ["äb", "äb…"]);
    }

    #[test]
    fn bytes_are_text_only_where_all_of_them_can_be_shown() {
        assert_eq!(hex(&[1, 0xab]), "01 ab");
        assert_eq!(readable("21 °C\r\n".as_bytes()).as_deref(), Some("21 °C\r\n"));
        assert_eq!(readable(&"21 °".as_bytes()[..4]).as_deref(), Some("21 "), "a character that is cut off");
        for other in [&b""[..], b"a\0b", b"\x1b[2J", &[0xff, b'a']] {
            assert_eq!(readable(other), None, "{other:?}");
        }
    }

    #[test]
    fn figures_are_short_and_have_their_unit() {
        let rates = [None, Some(0.0), Some(0.02), Some(0.5), Some(9.96), Some(1234.4)].map(rate);
        assert_eq!(rates, ["–", "0/s", "1.2/min", "0.5/s", "10/s", "1\u{202f}234/s"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([0, 17, 1_200, 999_600, 12_345_678].map(bytes), ["0 B", "17 B", "1.2 kB", "1.0 MB", "12 MB"]);
        assert_eq!(minute("2026-11-27T04:47:31Z"), "2026-11-27 04:47");
        let times = [0, 59, 60, 725, 3600, 90_061].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(times, ["0 s", "59 s", "1 min", "12 min 5 s", "1 h", "1 d 1 h"]);
    }
}

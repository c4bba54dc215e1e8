//! How times and bytes are written in the settings, both ways. Never decides which values are allowed.

use std::time::Duration;

/// The value of `text`, two hex digits a byte; blanks between bytes are allowed.
pub fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Times as texts: `"20ms"`, `"1s"`, `"5m"`, `"24h"`.
pub(super) mod duration {
    use super::Duration;
    use serde::Serializer;

    /// The time that `text` means, if it has numbers with units and nothing else.
    pub(in crate::config) fn parse(text: &str) -> Option<Duration> {
        humantime::parse_duration(text).ok()
    }

    /// The text that means `value`.
    pub(in crate::config) fn print(value: Duration) -> String {
        humantime::format_duration(value).to_string()
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&print(*value))
    }

    /// The same for a time that may be absent.
    pub(in crate::config) mod option {
        use super::{Duration, Serializer, print};

        pub(in crate::config) fn serialize<S: Serializer>(
            value: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => serializer.serialize_str(&print(*value)),
                None => serializer.serialize_none(),
            }
        }
    }
}

/// A 16-bit number as four hex digits, as USB ids are written.
pub(super) mod hex16 {
    use serde::Serializer;

    /// The number, if `text` is four hex digits.
    pub(in crate::config) fn parse(text: &str) -> Option<u16> {
        let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &u16, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{value:04x}"))
    }
}

/// Bytes as hex digits: `"02"`, `"0d 0a"`.
pub(super) mod hex_bytes {
    use std::fmt::Write as _;

    use serde::Serializer;

    /// The bytes, if `text` is pairs of hex digits.
    pub(in crate::config) fn parse(text: &str) -> Option<Vec<u8>> {
        super::bytes_of_hex(text)
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text = value.iter().fold(String::new(), |mut text, byte| {
            // Writing into a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        serializer.serialize_str(&text)
    }
}

/// Topic filters as a list of texts.
pub(super) mod filters {
    use serde::Serializer;

    use crate::message::TopicFilter;

    pub(in crate::config) fn serialize<S: Serializer>(value: &[TopicFilter], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(TopicFilter::as_str))
    }
}

/// A listener that may be switched off: `"127.0.0.1:8080"` or `"off"`.
pub(super) mod off_or_address {
    use std::net::SocketAddr;

    use serde::Serializer;

    /// `Some(None)` for `"off"`, `None` for what is neither.
    pub(in crate::config) fn parse(text: &str) -> Option<Option<SocketAddr>> {
        if text == "off" { Some(None) } else { text.parse().ok().map(Some) }
    }

    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_pairs_of_digits() {
        assert_eq!(hex_bytes::parse("02"), Some(vec![2]));
        assert_eq!(hex_bytes::parse("0d 0A"), Some(vec![13, 10]));
        assert_eq!(hex_bytes::parse(""), Some(vec![]));
        for bad in ["0", "0x02", "g0", "é0"] {
            assert_eq!(hex_bytes::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_usb_id_is_four_digits() {
        assert_eq!(hex16::parse("0403"), Some(0x0403));
        for bad in ["403", "+403", "0x04", "04033", ""] {
            assert_eq!(hex16::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_time_is_read_back_as_printed() {
        for text in ["20ms", "1s", "5m", "24h", "1h 30m"] {
            let time = duration::parse(text).unwrap();
            assert_eq!(duration::parse(&duration::print(time)), Some(time), "{text}");
        }
        assert_eq!(duration::parse("20"), None);
        assert_eq!(duration::parse("-1s"), None);
    }
}

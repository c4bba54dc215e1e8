//! Single values in the JSON mapping of protocol buffers (ProtoJSON).

use serde::Deserialize;

/// An enumeration's value, as it may be written.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum NameOrNumber {
    /// By name.
    Name(String),
    /// By number.
    Number(i32),
}

/// Bytes: base64, written with padding, read with or without and in both alphabets.
pub(super) mod bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::radio::lora::base64::decode;

    pub(in crate::radio::lora::gw) fn serialize<S: Serializer>(value: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(value))
    }

    pub(in crate::radio::lora::gw) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        decode(&text).map(Bytes::from).ok_or_else(|| serde::de::Error::custom("this is no base64"))
    }
}

/// A point in time as RFC 3339.
pub(super) mod timestamp {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::radio::lora::gw::Timestamp;

    pub(in crate::radio::lora::gw) fn serialize<S: Serializer>(value: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        let Some(time) = value.time() else { return Err(serde::ser::Error::custom("before 1970")) };
        to.collect_str(&humantime::format_rfc3339_nanos(time))
    }

    pub(in crate::radio::lora::gw) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_rfc3339_weak(&text).map(Timestamp::from).map_err(serde::de::Error::custom)
    }
}

/// A span of time as seconds with up to nine decimals and an `s`.
pub(super) mod duration {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::radio::lora::gw::Duration;

    pub(in crate::radio::lora::gw) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        match value.nanos {
            0 => to.collect_str(&format_args!("{}s", value.seconds)),
            nanos => to.collect_str(&format_args!("{}.{nanos:09}s", value.seconds)),
        }
    }

    pub(in crate::radio::lora::gw) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| serde::de::Error::custom("this is no time such as \"1.5s\""))
    }

    /// No time that is waited for is negative.
    fn parse(text: &str) -> Option<Duration> {
        let number = text.strip_suffix('s')?;
        let (seconds, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(seconds) || !digits(decimals) || decimals.len() > 9 {
            return None;
        }
        let nanos = format!("{decimals:0<9}").parse().ok()?;
        Some(Duration { seconds: seconds.parse().ok()?, nanos })
    }
}

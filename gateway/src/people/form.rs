//! How hashes and times stand in the file.

/// A password's hash, as it is kept.
pub(super) mod hash {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::password::Hash;

    pub(in crate::people) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(hash.expose())
    }

    pub(in crate::people) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash::parse(&text).map_err(|why| serde::de::Error::custom(format!("`password-hash` {why}")))
    }
}

/// Times as RFC 3339 in UTC, whole seconds.
pub(super) mod time {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::people) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(&humantime::format_rfc3339_seconds(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::people) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .map(Some)
            .map_err(|_| serde::de::Error::custom("is no time like 2026-11-27T12:00:00Z"))
    }
}

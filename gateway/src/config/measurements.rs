//! Typed settings of what is kept of measurements: `[measurements]`.

use std::time::Duration;

use serde::Serialize;

use super::text::filters;
use crate::message::TopicFilter;

/// The topics that are kept without being named: those of modems and of probes.
const USUAL: [&str; 4] = ["cellular/+/signal", "cellular/+/cell", "cellular/+/event", "probe/+/result"];

/// `[measurements]`: messages that are kept on this machine for a while, to be looked through and exported.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measurements {
    /// Whether any are.
    pub enabled: bool,
    /// Messages under these topics are.
    #[serde(with = "filters")]
    pub topics: Vec<TopicFilter>,
    /// The most that the files may hold; beyond it the oldest go.
    pub max_bytes: u64,
    /// Older ones go.
    #[serde(with = "super::duration")]
    pub max_age: Duration,
    /// They are written together, once in such a time: it is what a power cut may cost.
    #[serde(with = "super::duration")]
    pub interval: Duration,
}

impl Default for Measurements {
    fn default() -> Self {
        let topics = USUAL.iter().filter_map(|filter| TopicFilter::new(filter).ok()).collect();
        Self {
            enabled: true,
            topics,
            max_bytes: 128 << 20,
            max_age: Duration::from_secs(7 * 24 * 3600),
            interval: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_topics_are_filters() {
        assert_eq!(Measurements::default().topics.len(), USUAL.len());
    }
}

//! Reads `[measurements]`.

use std::time::Duration;

use super::filters::filters;
use crate::config::measurements::Measurements;
use crate::config::section::Section;

/// Reads it. What is not there is at its default.
pub(super) fn read(mut section: Section<'_>) -> Measurements {
    let usual = Measurements::default();
    let s = &mut section;
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));
    let read = Measurements {
        enabled: s.boolean("enabled").unwrap_or(usual.enabled),
        topics: filters(s, "topics", "cellular/+/signal").unwrap_or(usual.topics),
        max_bytes: s.integer("max-bytes", 1 << 20..=1 << 40).unwrap_or(usual.max_bytes),
        max_age: s.duration("max-age", minute..=3650 * day).unwrap_or(usual.max_age),
        interval: s.duration("interval", Duration::from_millis(100)..=10 * minute).unwrap_or(usual.interval),
    };
    section.finish();
    read
}

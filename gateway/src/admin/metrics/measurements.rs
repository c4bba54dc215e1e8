//! `/metrics`: what is kept of measurements, and what is not.

use super::Page;
use crate::admin::Sources;
use crate::measurements::Shown;

/// All that is told of it; nothing where nothing is to be kept.
pub(super) fn measurements(page: &mut Page, sources: &Sources) {
    let Some(shown) = sources.measurements.shown() else { return };
    let files = shown.files.clone().unwrap_or_default();
    page.single("stile_measurements_kept_total", "counter", "Measurements taken to be kept.", files.appended);
    page.by_label(
        "stile_measurements_dropped_total",
        "Measurements that are kept no more, or never were, by reason.",
        "reason",
        dropped(&shown).into_iter(),
    );
    page.single("stile_measurements_records", "gauge", "Measurements that are kept.", files.messages);
    page.single("stile_measurements_bytes", "gauge", "What their files take.", files.disk_bytes);
    page.single("stile_measurements_write_errors_total", "counter", "Writes of them that failed.", files.write_errors);
}

/// How many, by the word for why.
pub(in crate::admin) fn dropped(shown: &Shown) -> [(&'static str, u64); 8] {
    let files = shown.files.clone().unwrap_or_default();
    [
        ("oldest", files.dropped.oldest),
        ("expired", files.dropped.expired),
        ("full", files.dropped.full),
        ("busy", files.dropped.busy),
        ("disk", files.dropped.disk),
        ("size", files.dropped.size),
        ("damaged", files.quarantined.messages),
        ("not-open", shown.not_open),
    ]
}

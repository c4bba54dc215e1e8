//! The counters of probes and of the reflector.

use super::Page;
use crate::admin::Sources;
use crate::probe::Shown;

type Counter = fn(&Shown) -> u64;

/// Their part of the page; nothing where there are none.
pub(super) fn probes(page: &mut Page, sources: &Sources) {
    let all = sources.probes.shown();
    let counters: [(&str, &str, Counter); 3] = [
        ("stile_probe_runs_total", "Runs.", |probe| probe.runs),
        ("stile_probe_failures_total", "Runs that failed.", |probe| probe.failures),
        ("stile_probe_bytes_total", "Bytes sent and received, headers included.", |probe| probe.bytes),
    ];
    for (name, help, read) in counters.into_iter().filter(|_| !all.is_empty()) {
        page.metric(name, "counter", help);
        for probe in &all {
            let labels = [("probe", probe.settings.name.as_str()), ("kind", probe.settings.kind.as_str())];
            page.value(name, &labels, read(probe));
        }
    }
    if let Some(stats) = sources.probes.reflector() {
        page.single("stile_reflector_answered_total", "counter", "STAMP packets answered.", stats.answered());
        page.by_label("stile_reflector_refused_total", "STAMP packets not answered.", "reason", stats.refused());
    }
}

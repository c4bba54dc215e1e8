//! The counters of 4G and 5G modems.

use std::sync::atomic::Ordering;

use super::Page;
use crate::admin::Sources;
use crate::radio::CellularStats;

/// Their part of the page; nothing where there is no such modem.
pub(super) fn cellular(page: &mut Page, sources: &Sources) {
    let all = sources.radios.stats();
    let modems: Vec<(&str, &CellularStats)> =
        all.iter().filter_map(|(name, stats)| Some((name.as_str(), stats.cellular.as_ref()?))).collect();
    if modems.is_empty() {
        return;
    }
    let name = "stile_cellular_service";
    page.metric(name, "gauge", "Whether the network served the modem at its last reading.");
    for (radio, stats) in &modems {
        let labels = [("radio", *radio), ("technology", stats.technology())];
        page.value(name, &labels, u8::from(stats.has_service()));
    }
    let name = "stile_cellular_sim_ready";
    page.metric(name, "gauge", "Whether the modem's SIM card is open.");
    for (radio, stats) in &modems {
        page.value(name, &[("radio", radio), ("state", stats.sim())], u8::from(stats.sim() == "ready"));
    }
    let name = "stile_cellular_signal";
    page.metric(name, "gauge", "RSRP in dBm, RSRQ and SINR in dB, of the last reading.");
    for (radio, stats) in &modems {
        for (side, what, value) in stats.signal() {
            page.value(name, &[("radio", radio), ("side", side), ("what", what)], value);
        }
    }
    let name = "stile_cellular_events_total";
    page.metric(name, "counter", "Changes of cell and technology, and of service.");
    for (radio, stats) in &modems {
        for (event, count) in stats.events() {
            page.value(name, &[("radio", radio), ("event", event)], count);
        }
    }
    let name = "stile_cellular_resets_total";
    page.metric(name, "counter", "Times a modem was reset or fell silent, and was set up again.");
    for (radio, stats) in &modems {
        page.value(name, &[("radio", radio)], stats.resets.load(Ordering::Relaxed));
    }
    let name = "stile_cellular_readings_incomplete_total";
    page.metric(name, "counter", "Readings that lack an answer, or have a line that could not be read.");
    for (radio, stats) in &modems {
        page.value(name, &[("radio", radio)], stats.incomplete.load(Ordering::Relaxed));
    }
}

//! `/metrics`: what goes to remote brokers and what waits for them.

use std::sync::atomic::Ordering;

use super::Page;
use crate::admin::{Sources, uplinks};
use crate::spool::Figures;
use crate::uplink::{PathCondition, Shown, UplinkStats};

/// All that is told of uplinks.
pub(super) fn uplinks(page: &mut Page, sources: &Sources) {
    let all = sources.uplinks.shown();
    if all.is_empty() {
        return;
    }
    page.metric("stile_uplink_online", "gauge", "Whether the remote has let the gateway in.");
    for uplink in &all {
        page.value("stile_uplink_online", &label(uplink), u8::from(uplink.stats.condition().online));
    }
    counters(page, &all);
    page.metric("stile_uplink_dropped_total", "counter", "Messages that did not reach the remote, by reason.");
    for uplink in &all {
        for (reason, count) in uplinks::reasons(uplink) {
            let labels = [("uplink", uplink.settings.name.as_str()), ("reason", reason)];
            page.value("stile_uplink_dropped_total", &labels, count);
        }
    }
    page.metric("stile_uplink_withheld_total", "counter", "Messages that the sharing policy keeps here, by reason.");
    for uplink in &all {
        for (reason, count) in uplink.stats.withholdings() {
            let labels = [("uplink", uplink.settings.name.as_str()), ("reason", reason)];
            page.value("stile_uplink_withheld_total", &labels, count);
        }
    }
    queues(page, &all);
    paths(page, &all);
}

fn paths(page: &mut Page, all: &[Shown]) {
    let all: Vec<_> = all.iter().map(|uplink| (uplink, uplink.stats.condition())).collect();
    let all: Vec<_> = all.iter().filter(|(_, condition)| !condition.paths.is_empty()).collect();
    if all.is_empty() {
        return;
    }
    type Read = fn(&PathCondition) -> u64;
    let each: [(&str, &str, &str, Read); 2] = [
        ("stile_uplink_path_current", "gauge", "Whether it is the path in use.", |path| path.current.into()),
        ("stile_uplink_path_failed_total", "counter", "Connections lost or not made on it.", |path| path.failed),
    ];
    for (name, kind, help, read) in each {
        page.metric(name, kind, help);
        for (uplink, condition) in &all {
            for path in &condition.paths {
                page.value(
                    name,
                    &[("uplink", uplink.settings.name.as_str()), ("path", path.name.as_str())],
                    read(path),
                );
            }
        }
    }
    page.metric("stile_uplink_path_changes_total", "counter", "Times that another path was taken.");
    for (uplink, _) in &all {
        let changes = uplink.stats.path_changes.load(Ordering::Relaxed);
        page.value("stile_uplink_path_changes_total", &label(uplink), changes);
    }
    page.metric("stile_uplink_path_gap_seconds", "gauge", "How long the last change of paths took.");
    for (uplink, condition) in &all {
        if let Some(gap) = condition.path_gap {
            page.value("stile_uplink_path_gap_seconds", &label(uplink), gap.as_secs_f64());
        }
    }
}

fn label(uplink: &Shown) -> [(&str, &str); 1] {
    [("uplink", uplink.settings.name.as_str())]
}

fn counters(page: &mut Page, all: &[Shown]) {
    type Read = fn(&UplinkStats) -> u64;
    let counters: [(&str, &str, Read); 8] = [
        ("stile_uplink_taken_total", "Messages given to the spool.", |s| s.taken.load(Ordering::Relaxed)),
        ("stile_uplink_sent_total", "PUBLISH packets sent.", |s| s.sent.load(Ordering::Relaxed)),
        ("stile_uplink_repeated_total", "Of these, repeated ones.", |s| s.repeated.load(Ordering::Relaxed)),
        ("stile_uplink_delivered_total", "Messages that the remote acknowledged.", |s| {
            s.delivered.load(Ordering::Relaxed)
        }),
        ("stile_uplink_received_total", "Messages from the remote.", |s| s.received.load(Ordering::Relaxed)),
        ("stile_uplink_unwanted_total", "Messages from the remote that no rule wants.", |s| {
            s.unwanted.load(Ordering::Relaxed)
        }),
        ("stile_uplink_connected_total", "Times that the remote let the gateway in.", |s| {
            s.connected.load(Ordering::Relaxed)
        }),
        ("stile_uplink_failed_total", "Connections lost or not made.", |s| s.failed.load(Ordering::Relaxed)),
    ];
    for (name, help, read) in counters {
        page.metric(name, "counter", help);
        for uplink in all {
            page.value(name, &label(uplink), read(&uplink.stats));
        }
    }
}

fn queues(page: &mut Page, all: &[Shown]) {
    type Read = fn(&Figures) -> f64;
    let gauges: [(&str, &str, Read); 6] = [
        ("stile_uplink_queue_messages", "Messages that wait for the remote.", |f| f.messages as f64),
        ("stile_uplink_in_flight", "Of these, sent and not acknowledged.", |f| f.in_flight as f64),
        ("stile_uplink_queue_bytes", "What they weigh.", |f| f.bytes as f64),
        ("stile_uplink_disk_bytes", "What the spool's files take.", |f| f.disk_bytes as f64),
        ("stile_uplink_oldest_seconds", "How long the oldest message has waited.", |f| {
            f.oldest_age.map_or(0.0, |age| age.as_secs_f64())
        }),
        ("stile_uplink_spool_failing", "Whether the last write failed.", |f| f64::from(u8::from(f.failing))),
    ];
    for (name, help, read) in gauges {
        page.metric(name, "gauge", help);
        for (uplink, figures) in all.iter().filter_map(|uplink| Some((uplink, uplink.spool.as_ref()?))) {
            page.value(name, &label(uplink), read(figures));
        }
    }
    type Count = fn(&Figures) -> u64;
    let counters: [(&str, &str, Count); 3] = [
        ("stile_uplink_written_bytes_total", "Bytes given to the disk.", |f| f.bytes_written),
        ("stile_uplink_syncs_total", "Waits for the disk.", |f| f.syncs),
        ("stile_uplink_write_errors_total", "Writes that failed and were tried again.", |f| f.write_errors),
    ];
    for (name, help, read) in counters {
        page.metric(name, "counter", help);
        for (uplink, figures) in all.iter().filter_map(|uplink| Some((uplink, uplink.spool.as_ref()?))) {
            page.value(name, &label(uplink), read(figures));
        }
    }
}

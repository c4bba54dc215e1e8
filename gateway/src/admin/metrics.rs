//! `/metrics`: the counters as Prometheus text (exposition format 0.0.4).

mod cellular;
mod lora;
mod measurements;
mod plugins;
mod probes;
mod uplinks;

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use measurements::dropped;

use super::Sources;
use crate::broker;
use crate::pipeline::Snapshot;
use crate::radio::RadioStats;
use crate::store::Figures;
use crate::supervisor::Health;

/// Text under construction.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Starts a metric: its kind and what it means.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail, here and below.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One value, with labels as name and value pairs.
    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.value(name, &[], value);
    }

    fn by_label(&mut self, name: &str, help: &str, label: &str, values: impl Iterator<Item = (&'static str, u64)>) {
        self.metric(name, "counter", help);
        for (text, value) in values {
            self.value(name, &[(label, text)], value);
        }
    }
}

/// The whole page.
pub(super) fn text(sources: &Sources) -> String {
    let mut page = Page::default();
    page.metric("stile_info", "gauge", "Always 1; its labels say what runs.");
    page.value("stile_info", &[("version", env!("CARGO_PKG_VERSION")), ("gateway", &sources.id)], 1);
    ledger(&mut page, &sources.pipeline.ledger().snapshot());
    page.metric("stile_clock_quality", "gauge", "1 for what the kernel says of the wall clock.");
    page.value("stile_clock_quality", &[("quality", sources.pipeline.clock().quality().as_str())], 1);
    broker_counters(&mut page, sources.broker.stats());
    store(&mut page, sources.store.figures());
    let port = &sources.port;
    for (name, help, counter) in [
        ("stile_admin_connections_refused_total", "Connections to the admin port turned away.", &port.refused),
        ("stile_admin_accepts_failed_total", "Connections to it that could not be accepted.", &port.accepts_failed),
        ("stile_admin_handshakes_failed_total", "TLS handshakes with it that failed.", &port.handshakes_failed),
    ] {
        page.single(name, "counter", help, counter.load(Ordering::Relaxed));
    }
    let checks = sources.page.trust.password_checks().all();
    page.by_label("stile_admin_password_checks_total", "Passwords that came to the admin page.", "how", checks);
    radios(&mut page, sources);
    lora::lora(&mut page, sources);
    cellular::cellular(&mut page, sources);
    plugins::plugins(&mut page, sources);
    uplinks::uplinks(&mut page, sources);
    measurements::measurements(&mut page, sources);
    probes::probes(&mut page, sources);
    units(&mut page, sources);
    page.0
}

fn ledger(page: &mut Page, s: &Snapshot) {
    let pairs = |map: &std::collections::BTreeMap<&'static str, u64>| map.clone().into_iter();
    page.by_label("stile_messages_received_total", "Messages and frames taken in.", "door", pairs(&s.received));
    page.single("stile_messages_added_total", "counter", "Messages made by plugins.", s.added);
    page.single("stile_messages_delivered_total", "counter", "Messages that reached the outputs.", s.delivered);
    page.single("stile_messages_filtered_total", "counter", "Messages taken out by plugins.", s.filtered);
    page.by_label("stile_messages_dropped_total", "Messages and frames let go.", "reason", pairs(&s.dropped));
    page.single("stile_messages_held", "gauge", "Messages held for plugins.", s.held);
    page.single("stile_messages_in_flight", "gauge", "Messages under way.", s.in_flight);
}

fn broker_counters(page: &mut Page, stats: &broker::Stats) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    for (name, help, counter) in [
        ("stile_mqtt_connections", "MQTT clients that are connected.", &stats.connections),
        ("stile_mqtt_sessions", "Sessions of clients that are there or away.", &stats.sessions),
        ("stile_mqtt_sessions_kept", "Sessions that outlive the process.", &stats.sessions_kept),
        ("stile_mqtt_filters", "Distinct topic filters.", &stats.filters),
        ("stile_mqtt_queue_bytes", "Bytes that wait for all clients together.", &stats.queue_bytes),
        ("stile_mqtt_retained_messages", "Retained messages.", &stats.retained),
    ] {
        page.single(name, "gauge", help, read(counter));
    }
    for (name, help, counter) in [
        ("stile_mqtt_packets_received_total", "Packets from clients, of any kind.", &stats.packets_received),
        ("stile_mqtt_publishes_received_total", "PUBLISH packets from clients.", &stats.publishes_received),
        ("stile_mqtt_publishes_sent_total", "PUBLISH packets to clients.", &stats.publishes_sent),
        ("stile_mqtt_bytes_received_total", "Bytes from clients.", &stats.bytes_received),
        ("stile_mqtt_bytes_sent_total", "Bytes to clients.", &stats.bytes_sent),
        (
            "stile_mqtt_deliveries_withheld_total",
            "Deliveries that a client has no right to.",
            &stats.deliveries_withheld,
        ),
        ("stile_mqtt_publishes_refused_total", "Publishes without a right.", &stats.publishes_refused),
        ("stile_mqtt_subscriptions_refused_total", "Subscriptions without a right.", &stats.subscriptions_refused),
        ("stile_mqtt_accepts_failed_total", "Connections that could not be accepted.", &stats.accepts_failed),
        ("stile_mqtt_router_failures_total", "Fan-out routers replaced after a failure.", &stats.router_failures),
        ("stile_mqtt_router_renewals_total", "Fan-out routers replaced for their age.", &stats.router_renewals),
    ] {
        page.single(name, "counter", help, read(counter));
    }
    page.by_label("stile_mqtt_deliveries_dropped_total", "Deliveries to one client let go.", "reason", stats.drops());
    page.by_label("stile_mqtt_clients_refused_total", "Clients turned away or cut off.", "reason", stats.refusals());
    let checks = stats.password_checks();
    page.by_label("stile_mqtt_password_checks_total", "Passwords that came.", "how", checks);
    let failed = stats.failed_handshakes();
    page.by_label("stile_mqtt_tls_handshakes_failed_total", "TLS handshakes that failed.", "reason", failed);
}

fn store(page: &mut Page, figures: &Figures) {
    for (name, help, counter) in [
        ("stile_store_commits_total", "Transactions written.", &figures.commits),
        ("stile_store_changes_total", "Changes written, of all transactions.", &figures.changes),
        ("stile_store_failures_total", "Transactions that failed and were tried again.", &figures.failures),
    ] {
        page.single(name, "counter", help, counter.load(Ordering::Relaxed));
    }
    let failing = u8::from(figures.failing.load(Ordering::Relaxed));
    page.single("stile_store_failing", "gauge", "Whether the last transaction failed.", failing);
}

type Counter = fn(&RadioStats) -> u64;

fn radios(page: &mut Page, sources: &Sources) {
    let all = sources.radios.stats();
    page.metric("stile_radio_online", "gauge", "Whether the radio's port is open.");
    for (name, stats) in &all {
        page.value("stile_radio_online", &[("radio", name)], u8::from(stats.online.load(Ordering::Relaxed)));
    }
    let counters: [(&str, &str, Counter); 7] = [
        ("stile_radio_opened_total", "Times the port was opened.", |s| s.opened.load(Ordering::Relaxed)),
        ("stile_radio_bytes_received_total", "Bytes read.", |s| s.bytes_received.load(Ordering::Relaxed)),
        ("stile_radio_bytes_sent_total", "Bytes written.", |s| s.bytes_sent.load(Ordering::Relaxed)),
        ("stile_radio_frames_received_total", "Frames decoded.", |s| s.frames_received.load(Ordering::Relaxed)),
        ("stile_radio_frames_rejected_total", "Frames dropped.", |s| s.frames_rejected.load(Ordering::Relaxed)),
        ("stile_radio_frames_sent_total", "Frames written.", |s| s.frames_sent.load(Ordering::Relaxed)),
        ("stile_radio_polls_failed_total", "Polls without a good answer.", |s| s.polls_failed.load(Ordering::Relaxed)),
    ];
    for (name, help, read) in counters {
        page.metric(name, "counter", help);
        for (radio, stats) in &all {
            page.value(name, &[("radio", radio)], read(stats));
        }
    }
    page.metric("stile_radio_frames_refused_total", "counter", "Frames not sent.");
    for (radio, stats) in &all {
        for (reason, count) in stats.refusals() {
            page.value("stile_radio_frames_refused_total", &[("radio", radio), ("reason", reason)], count);
        }
    }
}

fn units(page: &mut Page, sources: &Sources) {
    let units = sources.supervisor.status();
    page.metric("stile_unit_running", "gauge", "Whether the unit runs and is not failing again and again.");
    for (name, unit) in &units {
        page.value("stile_unit_running", &[("unit", name)], u8::from(unit.health == Health::Running));
    }
    page.metric("stile_unit_restarts_total", "counter", "Times the unit was started again.");
    for (name, unit) in &units {
        page.value("stile_unit_restarts_total", &[("unit", name)], unit.restarts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.value("x", &[("a", "q\"\\\n"), ("b", "2")], 3);
        assert_eq!(page.0, "x{a=\"q\\\"\\\\\\n\",b=\"2\"} 3\n");
    }
}

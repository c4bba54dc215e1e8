//! `/metrics`: what plugins do and cost.

use super::Page;
use crate::admin::Sources;
use crate::pipeline::{ShelfCounts, StageCounts};
use crate::plugin_host::{FailureKind, Figure, Report};
use crate::plugins::Shown;

/// One plugin at one moment.
struct Plugin {
    shown: Shown,
    report: Report,
    stage: Option<StageCounts>,
    held: ShelfCounts,
}

/// All that is told of plugins.
pub(super) fn plugins(page: &mut Page, sources: &Sources) {
    let stages = sources.pipeline.stages();
    let plugins = sources.plugins.shown().into_iter().map(|shown| Plugin {
        report: shown.status.as_ref().map(|status| status.report()).unwrap_or_default(),
        stage: stages.iter().find(|stage| *stage.name == *shown.name).cloned(),
        held: sources.plugins.held(&shown.name),
        shown,
    });
    let plugins: Vec<_> = plugins.collect();
    if plugins.is_empty() {
        return;
    }
    states(page, &plugins);
    counters(page, &plugins);
    by_kind(page, &plugins);
    held(page, &plugins);
    own(page, &plugins);
}

fn states(page: &mut Page, plugins: &[Plugin]) {
    page.metric("stile_plugin_state", "gauge", "1 for the state that the plugin is in.");
    for Plugin { shown, report, .. } in plugins {
        let state = if shown.status.is_some() { report.health.as_str() } else { "not-loaded" };
        page.value("stile_plugin_state", &[("plugin", &shown.name), ("state", state)], 1);
    }
    page.metric("stile_plugin_outdated", "gauge", "1 where what the settings name could not be loaded.");
    for Plugin { shown, .. } in plugins {
        page.value("stile_plugin_outdated", &[("plugin", &shown.name)], u8::from(shown.load_error.is_some()));
    }
}

fn counters(page: &mut Page, plugins: &[Plugin]) {
    type Read = fn(&Report) -> u64;
    let counters: [(&str, &str, Read); 8] = [
        ("stile_plugin_messages_total", "Messages that came to the plugin.", |r| r.messages),
        ("stile_plugin_calls_total", "Calls of the plugin: batches and ticks.", |r| r.calls),
        ("stile_plugin_made_total", "Messages that the plugin made.", |r| r.made),
        ("stile_plugin_failed_total", "Messages that the plugin failed at.", |r| r.failed),
        ("stile_plugin_skipped_total", "Messages not shown to the plugin while it was left alone.", |r| r.skipped),
        ("stile_plugin_instances_total", "Times that the plugin was started.", |r| r.instances),
        ("stile_plugin_quarantines_total", "Times that the plugin was left alone for a while.", |r| r.quarantines),
        ("stile_plugin_log_lines_left_out_total", "Log lines that came too fast.", |r| r.lines_left_out),
    ];
    for (name, help, read) in counters {
        page.metric(name, "counter", help);
        for plugin in plugins {
            page.value(name, &[("plugin", &plugin.shown.name)], read(&plugin.report));
        }
    }
    page.metric("stile_plugin_cpu_seconds_total", "counter", "CPU time of the plugin's thread.");
    for plugin in plugins {
        let label = [("plugin", &*plugin.shown.name)];
        page.value("stile_plugin_cpu_seconds_total", &label, plugin.report.cpu.as_secs_f64());
    }
    page.metric("stile_plugin_memory_bytes", "gauge", "Memory of the plugin's instance.");
    for plugin in plugins {
        page.value("stile_plugin_memory_bytes", &[("plugin", &plugin.shown.name)], plugin.report.memory);
    }
    page.metric("stile_plugin_waiting", "gauge", "Messages that wait for the plugin.");
    for plugin in plugins {
        let waiting = plugin.stage.as_ref().map_or(0, |stage| stage.waiting);
        page.value("stile_plugin_waiting", &[("plugin", &plugin.shown.name)], waiting);
    }
}

fn by_kind(page: &mut Page, plugins: &[Plugin]) {
    page.metric("stile_plugin_decisions_total", "counter", "What the plugin made of messages.");
    for Plugin { shown, report, .. } in plugins {
        let dropped = report.filtered.values().sum();
        let decisions = [
            ("pass", report.passed),
            ("modify", report.modified),
            ("drop", dropped),
            ("replace", report.replaced),
            ("reject", report.rejected),
        ];
        for (decision, count) in decisions {
            page.value("stile_plugin_decisions_total", &[("plugin", &shown.name), ("decision", decision)], count);
        }
    }
    page.metric("stile_plugin_filtered_total", "counter", "Messages that the plugin took out, by its own reason.");
    for Plugin { shown, report, .. } in plugins {
        for (reason, count) in &report.filtered {
            page.value("stile_plugin_filtered_total", &[("plugin", &shown.name), ("reason", reason)], count);
        }
    }
    page.metric("stile_plugin_failures_total", "counter", "Calls that failed.");
    for Plugin { shown, report, .. } in plugins {
        for kind in FailureKind::ALL {
            let labels = [("plugin", &*shown.name), ("kind", kind.as_str())];
            page.value("stile_plugin_failures_total", &labels, report.failures_of(kind));
        }
    }
}

fn held(page: &mut Page, plugins: &[Plugin]) {
    page.metric("stile_plugin_held", "gauge", "Messages held for the plugin.");
    for Plugin { shown, held, .. } in plugins {
        for (place, count) in [("waiting", held.waiting), ("apart", held.apart)] {
            page.value("stile_plugin_held", &[("plugin", &shown.name), ("place", place)], count);
        }
    }
    page.metric("stile_plugin_held_bytes", "gauge", "What they weigh.");
    for Plugin { shown, held, .. } in plugins {
        page.value("stile_plugin_held_bytes", &[("plugin", &shown.name)], held.bytes);
    }
}

fn own(page: &mut Page, plugins: &[Plugin]) {
    page.metric("stile_plugin_count_total", "counter", "What the plugin itself counts.");
    for (plugin, name, figure) in figures(plugins) {
        if let Figure::Count(count) = figure {
            page.value("stile_plugin_count_total", &[("plugin", plugin), ("name", name)], count);
        }
    }
    page.metric("stile_plugin_gauge", "gauge", "What the plugin itself measures.");
    for (plugin, name, figure) in figures(plugins) {
        if let Figure::Gauge(value) = figure {
            page.value("stile_plugin_gauge", &[("plugin", plugin), ("name", name)], value);
        }
    }
}

fn figures(plugins: &[Plugin]) -> impl Iterator<Item = (&str, &str, Figure)> {
    plugins.iter().flat_map(|Plugin { shown, report, .. }| {
        report.metrics.iter().map(|(name, figure)| (&*shown.name, &**name, *figure))
    })
}

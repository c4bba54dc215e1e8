//! The counters of LoRa radios.

use std::sync::atomic::Ordering;

use super::Page;
use crate::admin::Sources;
use crate::radio::LoraStats;

type Gauge = fn(&LoraStats) -> u64;

/// Their part of the page; nothing where there is no LoRa radio.
pub(super) fn lora(page: &mut Page, sources: &Sources) {
    let all = sources.radios.stats();
    let radios: Vec<(&str, &LoraStats)> =
        all.iter().filter_map(|(name, stats)| Some((name.as_str(), stats.lora.as_ref()?))).collect();
    if radios.is_empty() {
        return;
    }
    let gauges: [(&str, &str, &str, Gauge); 5] = [
        ("stile_lora_gateways_online", "gauge", "LoRa gateways that can be sent to.", |s| {
            s.gateways_online.load(Ordering::Relaxed)
        }),
        (
            "stile_lora_receive_buffer_bytes",
            "gauge",
            "What the kernel keeps of datagrams that were not read yet.",
            |s| s.receive_buffer.load(Ordering::Relaxed),
        ),
        ("stile_lora_duty_cycle_kept", "gauge", "Whether downlinks beyond the duty cycle are refused.", |s| {
            u64::from(s.duty_cycle.load(Ordering::Relaxed))
        }),
        ("stile_lora_datagrams_lost_total", "counter", "Datagrams that came faster than they were read.", |s| {
            s.datagrams_lost.load(Ordering::Relaxed)
        }),
        ("stile_lora_answers_unsent_total", "counter", "Answers to LoRa gateways that were not sent.", |s| {
            s.answers_unsent.load(Ordering::Relaxed)
        }),
    ];
    for (name, kind, help, read) in gauges {
        page.metric(name, kind, help);
        for (radio, stats) in &radios {
            page.value(name, &[("radio", radio)], read(stats));
        }
    }
    counts(page, &radios, "stile_lora_datagrams_total", "Datagrams of LoRa gateways.", "kind", |s| {
        s.datagrams().collect()
    });
    counts(page, &radios, "stile_lora_station_messages_total", "Messages of Basics Stations.", "kind", |s| {
        s.messages().collect()
    });
    counts(page, &radios, "stile_lora_concentratord_events_total", "Events of Concentratord.", "kind", |s| {
        s.events().collect()
    });
    counts(
        page,
        &radios,
        "stile_lora_refused_total",
        "What of LoRa gateways was dropped or turned away.",
        "reason",
        |s| s.refusals().collect(),
    );
    let name = "stile_lora_channel_suspicious";
    page.metric(name, "gauge", "Channels with far more wrong checksums than usual, while that lasts.");
    for (radio, stats) in &radios {
        for (eui, channels) in stats.suspicious() {
            for channel in channels {
                let labels = [("radio", *radio), ("gateway", &eui.to_string()), ("frequency", &channel.to_string())];
                page.value(name, &labels, 1);
            }
        }
    }
    counts(page, &radios, "stile_lora_downlink_items_total", "Items of downlinks, by their end.", "status", |s| {
        s.items().collect()
    });
}

fn counts(
    page: &mut Page,
    radios: &[(&str, &LoraStats)],
    name: &str,
    help: &str,
    label: &str,
    read: fn(&LoraStats) -> Vec<(&'static str, u64)>,
) {
    page.metric(name, "counter", help);
    for (radio, stats) in radios {
        for (word, count) in read(stats) {
            page.value(name, &[("radio", radio), (label, word)], count);
        }
    }
}

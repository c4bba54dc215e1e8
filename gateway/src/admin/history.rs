//! What goes into the history: the figures of `/metrics` that are worth a chart, and what the machine says of itself.
//!
//! The names of the series, which pages ask for:
//!
//! | Name | What |
//! |---|---|
//! | `messages/received`, `messages/delivered`, `messages/filtered`, `messages/added` | a second |
//! | `messages/held`, `messages/in-flight` | now |
//! | `dropped/<reason>` | a second |
//! | `stage/<plugin>/messages`, `stage/<plugin>/waiting` | a second; now |
//! | `plugin/<name>/calls`, `plugin/<name>/cpu` | a second; mean CPU time of a call in microseconds |
//! | `radio/<name>/received`, `.../rejected`, `.../sent` | frames a second |
//! | `radio/<name>/rssi`, `.../snr` | mean of a step in dBm and dB |
//! | `radio/<name>/sf/<factor>`, `radio/<name>/channel/<Hz>` | frames a second |
//! | `uplink/<name>/messages`, `.../bytes`, `.../oldest` | what waits now, the oldest in seconds |
//! | `uplink/<name>/queued`, `.../delivered` | a second |
//! | `clients`, `clients/received`, `clients/sent` | now; publishes a second |
//! | `host/process`, `host/memory`, `host/disk` | bytes: held by the gateway, to be had, free |
//! | `host/temperature`, `host/load` | degrees Celsius; over one minute |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Sources;
use crate::history::{Reading, SAVE_PERIOD, STEP};
use crate::host::Facts;
use crate::radio::RadioStats;
use crate::supervisor::UnitError;

/// Samples until told to stop, and writes the history hourly and at the end.
///
/// # Errors
/// When a thread that reads or writes panicked.
pub async fn keep(sources: Arc<Sources>, stop: CancellationToken) -> Result<(), UnitError> {
    let mut tick = tokio::time::interval(STEP);
    // What is missed is a gap; catching up would be two samples in one step.
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut saved = Instant::now();
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let host = sources.host.clone();
        let facts = tokio::task::spawn_blocking(move || host.facts()).await?;
        sources.history.sample(sources.pipeline.clock().now(), readings(&sources, &facts));
        if saved.elapsed() >= SAVE_PERIOD {
            save(&sources).await?;
            saved = Instant::now();
        }
    }
    save(&sources).await
}

async fn save(sources: &Arc<Sources>) -> Result<(), UnitError> {
    let owned = Arc::clone(sources);
    let written = tokio::task::spawn_blocking(move || owned.history.save(owned.pipeline.clock().now())).await?;
    if let Err(error) = written {
        log::warn!(error:% = error; "the history could not be written; it stays in memory");
    }
    Ok(())
}

/// What is left out where there is too much stands at the end.
fn readings(sources: &Sources, facts: &Facts) -> Vec<(String, Reading)> {
    let mut all = Vec::new();
    messages(&mut all, sources);
    host(&mut all, facts);
    uplinks(&mut all, sources);
    let radios = sources.radios.stats();
    for (name, stats) in &radios {
        frames(&mut all, name, stats);
    }
    stages(&mut all, sources);
    for (name, stats) in &radios {
        air(&mut all, name, stats);
    }
    all
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn count(all: &mut Vec<(String, Reading)>, name: &str, count: u64) {
    all.push((name.to_owned(), Reading::Count(count)));
}

fn level(all: &mut Vec<(String, Reading)>, name: &str, level: f64) {
    all.push((name.to_owned(), Reading::Level(level)));
}

fn messages(all: &mut Vec<(String, Reading)>, sources: &Sources) {
    let ledger = sources.pipeline.ledger().snapshot();
    count(all, "messages/received", ledger.received_total());
    count(all, "messages/added", ledger.added);
    count(all, "messages/delivered", ledger.delivered);
    count(all, "messages/filtered", ledger.filtered);
    level(all, "messages/held", ledger.held as f64);
    level(all, "messages/in-flight", ledger.in_flight as f64);
    for (reason, dropped) in ledger.dropped.iter().filter(|(_, dropped)| **dropped > 0) {
        count(all, &format!("dropped/{reason}"), *dropped);
    }
    let broker = sources.broker.stats();
    level(all, "clients", read(&broker.connections) as f64);
    count(all, "clients/received", read(&broker.publishes_received));
    count(all, "clients/sent", read(&broker.publishes_sent));
}

fn host(all: &mut Vec<(String, Reading)>, facts: &Facts) {
    let known = [
        ("host/process", facts.process_bytes.map(|bytes| bytes as f64)),
        ("host/memory", facts.memory.map(|space| space.available as f64)),
        ("host/disk", facts.disk.map(|space| space.available as f64)),
        ("host/temperature", facts.temperature),
        ("host/load", facts.load.map(|[minute, ..]| minute)),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            level(all, name, value);
        }
    }
}

fn uplinks(all: &mut Vec<(String, Reading)>, sources: &Sources) {
    for uplink in sources.uplinks.shown() {
        let name = &uplink.settings.name;
        count(all, &format!("uplink/{name}/delivered"), read(&uplink.stats.delivered));
        let Some(spool) = uplink.spool else { continue };
        count(all, &format!("uplink/{name}/queued"), spool.appended);
        level(all, &format!("uplink/{name}/messages"), spool.messages as f64);
        level(all, &format!("uplink/{name}/bytes"), spool.bytes as f64);
        let oldest = spool.oldest_age.map_or(0.0, |age| age.as_secs_f64());
        level(all, &format!("uplink/{name}/oldest"), oldest);
    }
}

fn frames(all: &mut Vec<(String, Reading)>, name: &str, stats: &RadioStats) {
    count(all, &format!("radio/{name}/received"), read(&stats.frames_received));
    count(all, &format!("radio/{name}/rejected"), read(&stats.frames_rejected));
    count(all, &format!("radio/{name}/sent"), read(&stats.frames_sent));
}

fn stages(all: &mut Vec<(String, Reading)>, sources: &Sources) {
    for stage in sources.pipeline.stages() {
        count(all, &format!("stage/{}/messages", stage.name), stage.taken);
        level(all, &format!("stage/{}/waiting", stage.name), stage.waiting as f64);
    }
    for shown in sources.plugins.shown() {
        let Some(report) = shown.status.map(|status| status.report()) else { continue };
        count(all, &format!("plugin/{}/calls", shown.name), report.calls);
        let mean = Reading::Mean { sum: report.cpu.as_secs_f64() * 1e6, count: report.calls };
        all.push((format!("plugin/{}/cpu", shown.name), mean));
    }
}

fn air(all: &mut Vec<(String, Reading)>, name: &str, stats: &RadioStats) {
    let heard = stats.signals.counts();
    if heard.rssi_count > 0 {
        let mean = Reading::Mean { sum: heard.rssi_sum, count: heard.rssi_count };
        all.push((format!("radio/{name}/rssi"), mean));
    }
    if heard.snr_count > 0 {
        all.push((format!("radio/{name}/snr"), Reading::Mean { sum: heard.snr_sum, count: heard.snr_count }));
    }
    for (factor, frames) in &heard.factors {
        count(all, &format!("radio/{name}/sf/{factor}"), *frames);
    }
    for (frequency, frames) in &heard.channels {
        count(all, &format!("radio/{name}/channel/{frequency}"), *frames);
    }
}

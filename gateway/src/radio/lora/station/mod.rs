//! The server of LoRa Basics Station's LNS protocol: Stations connect by WebSocket, and are told their channels.
//!
//! Owns the listener's life: opened again for ever, as a port is. Map: `door.rs` says who may come in, `connection.rs` is
//! one connection and knows nothing of what is said on it, `visitors.rs` counts them. `server.rs` knows all gateways:
//! `hearing.rs` is its way up, `sending.rs` its way down, `reporting.rs` what it says of them. Pure: `message.rs` reads
//! what Stations say, `frame.rs` puts frames together again, `uplink.rs` makes messages of them, `router_config.rs` says
//! the channels, `downlink.rs` makes `dnmsg`, `downlinks.rs` knows what is under way to one gateway, `id.rs` and `gps.rs`
//! read identifiers and times.

mod connection;
mod door;
mod downlink;
mod downlinks;
mod frame;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzed;
mod gps;
mod hearing;
mod id;
mod message;
mod reporting;
mod router_config;
mod sending;
mod server;
mod uplink;
mod visitors;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use self::message::Kind;
use self::server::Server;
use crate::config::{BasicsStation, LoraRadio};
use crate::pipeline::Pipeline;
use crate::radio::RadioStats;
use crate::supervisor::UnitError;

/// Between two tries to open the port.
const REOPEN: Duration = Duration::from_millis(500);

/// Opens the port and serves until told to stop. A port that can't be had is tried again for ever. Where it listens is `told`.
///
/// # Errors
/// When the channels in the settings are none of the region.
pub(super) async fn run(
    radio: &Arc<LoraRadio>,
    station: &BasicsStation,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
    told: Option<watch::Sender<Option<SocketAddr>>>,
) -> Result<(), UnitError> {
    let mut server = Server::new(radio, station, pipeline, Arc::clone(&stats))?;
    server.attach();
    stats.attached.notify_one();
    server.begin().await;
    let mut trouble = String::new();
    while !stop.is_cancelled() {
        match TcpListener::bind(station.listen).await {
            Ok(listener) => {
                let address = listener.local_addr().unwrap_or(station.listen);
                opened(radio, station, address, &stats);
                if let Some(told) = &told {
                    told.send_replace(Some(address));
                }
                server.serve(listener, &stop).await;
                stats.online.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                not_opened(radio, &format!("TCP {}: {error}", station.listen), &mut trouble, &stats);
                server.wait(REOPEN, &stop).await;
            }
        }
    }
    server.end().await;
    Ok(())
}

fn opened(radio: &LoraRadio, station: &BasicsStation, address: SocketAddr, stats: &RadioStats) {
    RadioStats::add(&stats.opened, 1);
    stats.online.store(true, Ordering::Relaxed);
    if let Some(lora) = &stats.lora {
        lora.duty_cycle.store(radio.duty_cycle, Ordering::Relaxed);
    }
    let (duty_cycle, tls) = (if radio.duty_cycle { "kept" } else { "off" }, station.tls.is_some());
    log::info!(address:% = address, radio = radio.name.as_str(), tls = tls, duty_cycle = duty_cycle;
        "listening for Basics Stations");
}

fn not_opened(radio: &LoraRadio, failed: &str, trouble: &mut String, stats: &RadioStats) {
    if failed != *trouble {
        stats.seen.failed(failed);
        log::warn!(radio = radio.name.as_str(), reason:% = failed; "port not open; tried again until it is");
        failed.clone_into(trouble);
    }
}

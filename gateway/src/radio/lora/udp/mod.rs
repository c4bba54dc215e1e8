//! The server of Semtech's UDP packet forwarder, protocol version 2.
//!
//! Owns the socket's life: opened again for ever, as a port is. Map: `server.rs` serves, `gateways.rs` knows who may speak
//! and where each is reached, `socket.rs` opens, `packet.rs` are the datagrams, `push.rs` what comes in them: `rxpk.rs`
//! frames, `stat.rs` statistics; `uplink.rs` makes messages of these, `json.rs` reads fields. The way down: `sending.rs` is
//! the server's part, `downlinks.rs` what is under way to one gateway, `txpk.rs` how a frame and its acknowledgement are
//! written.

mod downlinks;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzed;
mod gateways;
mod json;
mod packet;
mod push;
mod rxpk;
mod sending;
mod server;
mod socket;
mod stat;
mod txpk;
mod uplink;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use self::packet::Kind;
use self::server::Server;
use crate::config::{LoraRadio, SemtechUdp};
use crate::pipeline::Pipeline;
use crate::radio::RadioStats;
use crate::supervisor::UnitError;

/// Between two tries to open the socket.
const REOPEN: Duration = Duration::from_millis(500);

/// Opens the socket, serves until it fails, and opens it again, until told to stop. Where it listens is `told`.
///
/// # Errors
/// When the topics' prefix can't begin a topic, which the settings' check lets nobody write.
pub(super) async fn run(
    radio: &Arc<LoraRadio>,
    udp: &SemtechUdp,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
    told: Option<watch::Sender<Option<SocketAddr>>>,
) -> Result<(), UnitError> {
    let mut server = Server::new(radio, udp, pipeline, Arc::clone(&stats))?;
    server.attach();
    stats.attached.notify_one();
    server.begin().await;
    let mut trouble = String::new();
    while !stop.is_cancelled() {
        let failed = match socket::open(udp.listen) {
            Ok((socket, room)) => {
                trouble.clear();
                let address = socket.local_addr().unwrap_or(udp.listen);
                opened(radio, address, room, &stats);
                if let Some(told) = &told {
                    told.send_replace(Some(address));
                }
                let served = server.serve(&socket, &stop).await;
                stats.online.store(false, Ordering::Relaxed);
                let Err(error) = served else { break };
                error
            }
            Err(error) => error,
        };
        let failed = format!("UDP {}: {failed}", udp.listen);
        server.lost(&failed).await;
        if failed != trouble {
            stats.seen.failed(failed.as_str());
            log::warn!(radio = radio.name.as_str(), reason:% = failed; "port not open; tried again until it is");
            trouble = failed;
        }
        server.wait(REOPEN, &stop).await;
    }
    server.end().await;
    Ok(())
}

fn opened(radio: &LoraRadio, address: SocketAddr, room: usize, stats: &RadioStats) {
    RadioStats::add(&stats.opened, 1);
    stats.online.store(true, Ordering::Relaxed);
    if let Some(lora) = &stats.lora {
        lora.receive_buffer.store(room as u64, Ordering::Relaxed);
        lora.duty_cycle.store(radio.duty_cycle, Ordering::Relaxed);
    }
    let duty_cycle = if radio.duty_cycle { "kept" } else { "off" };
    log::info!(address:% = address, radio = radio.name.as_str(), receive_buffer = room, duty_cycle = duty_cycle;
        "listening for LoRa gateways");
}

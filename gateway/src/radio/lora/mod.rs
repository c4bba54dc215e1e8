//! LoRa: gateways and modems in, ChirpStack's gateway topics out, and back.
//!
//! Map: `udp/` speaks with packet forwarders, `station/` with Basics Stations, `concentratord/` with
//! Concentratord, `modem/` with modems on serial ports. `gw/` are
//! the messages, `events.rs` publishes them, `filter.rs` says what does not become one, `commands.rs` takes those of
//! servers, `phy.rs` looks into a frame, `tally.rs`, `stats.rs` and `signals.rs` count, `jamming.rs` watches for channels that somebody
//! may jam, `base64.rs` reads bytes as others write them, `refusal.rs` says why something goes no further and `clerk.rs`
//! counts it, `done.rs` is what became of a downlink. What is known of the air: `region` has the
//! channel plans, `airtime` says how long a frame is on the air, `schedule/` decides what is sent when, `heard.rs` reads
//! frames out of messages and `tap` writes them down for Wireshark. For whoever looks on, `behind.rs` knows the gateways of
//! each radio, and `order.rs` makes downlinks by hand.

pub mod airtime;
mod base64;
mod behind;
mod clerk;
mod commands;
mod concentratord;
mod done;
mod events;
mod filter;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
pub mod gw;
pub mod heard;
mod jamming;
pub(super) mod modem;
pub(super) mod order;
mod phy;
mod refusal;
pub mod region;
pub mod schedule;
mod signals;
mod station;
mod stats;
mod tally;
pub mod tap;
mod udp;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::behind::{Behind, Use};
pub use self::refusal::Refusal;
pub use self::signals::{InRange, SignalCounts, Signals};
pub use self::stats::LoraStats;
use super::{RadioStats, simulated};
use crate::config::{
    BasicsStation, LoraDevice, LoraGateway, LoraKind, LoraRadio, SemtechUdp, SimulatedGateway, StationGateway,
};
use crate::pipeline::Pipeline;
use crate::supervisor::UnitError;

/// What a made-up gateway may send in a second.
const SIMULATED_RATE_LIMIT: u32 = 2000;

/// What of a LoRaWAN frame is not encrypted, by name.
pub(super) fn unencrypted(phy: &[u8]) -> BTreeMap<String, String> {
    phy::metadata(phy::look(phy).as_ref())
}

/// Runs a radio until it is told to stop.
///
/// # Errors
/// What it can't ever run with.
pub(super) async fn run(
    radio: &Arc<LoraRadio>,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    match &radio.kind {
        LoraKind::SemtechUdp(udp) => udp::run(radio, udp, pipeline, stats, stop, None).await,
        LoraKind::BasicsStation(station) => station::run(radio, station, pipeline, stats, stop, None).await,
        LoraKind::Concentratord(settings) => concentratord::run(radio, settings, pipeline, stats, stop).await,
        LoraKind::Simulated(simulated) => run_simulated(radio, simulated, pipeline, stats, stop).await,
    }
}

/// A made-up gateway and a server for it alone, on a free port of loopback.
async fn run_simulated(
    radio: &Arc<LoraRadio>,
    simulated: &SimulatedGateway,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let (opened, mut address) = watch::channel(None);
    // The server first: its last words are said while the gateway is still there.
    let (server_stop, device_stop) = (stop.child_token(), CancellationToken::new());
    let device = async {
        let ended = match address.wait_for(Option::is_some).await.ok().and_then(|address| *address) {
            Some(address) => simulated::lora::run(simulated, radio.region, address, &device_stop).await,
            None => Ok(()),
        };
        server_stop.cancel();
        ended
    };
    let server = async {
        let (eui, listen) = (simulated::lora::eui(simulated.seed), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let (stop, opened) = (server_stop.clone(), Some(opened));
        let ended = match simulated.device {
            LoraDevice::LoraGateway(_) => {
                let gateways = vec![LoraGateway { eui, address: None }];
                let udp = SemtechUdp { listen, gateways, rate_limit: SIMULATED_RATE_LIMIT };
                udp::run(radio, &udp, pipeline, stats, stop, opened).await
            }
            LoraDevice::LoraStation => {
                let gateways = vec![StationGateway { eui, token: None }];
                let station = BasicsStation { listen, tls: None, gateways, channels: Vec::new() };
                station::run(radio, &station, pipeline, stats, stop, opened).await
            }
        };
        device_stop.cancel();
        ended
    };
    let (device, server) = tokio::join!(device, server);
    device?;
    server
}

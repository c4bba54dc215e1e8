//! LoRa: gateways' packet forwarders in, ChirpStack's gateway topics out, and back.
//!
//! Map: `udp/` speaks with packet forwarders, `gw/` are the messages, `events.rs` publishes them, `filter.rs` says what does
//! not become one, `commands.rs` takes those of servers, `phy.rs` looks into a frame, `tally.rs` and `stats.rs` count, `base64.rs` reads bytes as others write
//! them, `refusal.rs` says why something goes no further, `buckets.rs` limits rates. What is known of the air: `region`
//! has the channel plans, `airtime` says how long a frame is on the air, `schedule/` decides what is sent when, `heard.rs`
//! reads frames out of messages and `tap` writes them down for Wireshark. `modem/` speaks to modems on serial ports.

pub mod airtime;
mod base64;
mod buckets;
mod commands;
mod events;
mod filter;
pub mod gw;
pub mod heard;
pub(super) mod modem;
mod phy;
mod refusal;
pub mod region;
pub mod schedule;
mod stats;
mod tally;
pub mod tap;
mod udp;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use self::refusal::Refusal;
pub use self::stats::LoraStats;
use super::RadioStats;
use crate::config::{LoraKind, LoraRadio};
use crate::pipeline::Pipeline;
use crate::supervisor::UnitError;

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
        LoraKind::SemtechUdp(udp) => udp::run(radio, udp, pipeline, stats, stop).await,
    }
}

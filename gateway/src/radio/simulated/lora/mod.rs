//! Made-up LoRa gateways and the devices around them: parking bays, rooms and a water meter that speak LoRaWAN 1.0.4.
//!
//! A gateway speaks to the real server, by UDP or by WebSocket, so everything behind the antenna is what it will be with
//! hardware. The frames are made by a library that the radio does not use, with keys that anybody can work out: see
//! [`device::Device::new`].
//!
//! The map: `sensor.rs` is what devices measure and how they write it, `device.rs` how they speak, `air.rs` what a gateway
//! hears of them and when it sends; `forwarder.rs` is a packet forwarder, with a network as `rough.rs` makes it, and
//! `station.rs` a Basics Station.

mod air;
mod device;
mod forwarder;
mod rough;
mod sensor;
mod station;

use std::io;
use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;

use crate::config::{Eui, LoraDevice, Region, SimulatedGateway};

/// The gateway's identifier, by its seed. The second bit of the first byte says that nobody gave it out.
pub(in crate::radio) fn eui(seed: u64) -> Eui {
    Eui(0x0200_0000_0000_0000 | seed & 0x00ff_ffff_ffff_ffff)
}

/// Runs the gateway until told to stop.
///
/// # Errors
/// When its socket fails.
pub(in crate::radio) async fn run(
    settings: &SimulatedGateway,
    region: Region,
    server: SocketAddr,
    stop: &CancellationToken,
) -> io::Result<()> {
    match settings.device {
        LoraDevice::LoraGateway(rough) => forwarder::run(settings, rough, region, server, stop).await,
        LoraDevice::LoraStation => {
            station::run(settings, region, server, stop).await;
            Ok(())
        }
    }
}

//! Made-up devices on a real pseudo-terminal, so that demo and tests need no hardware.
//!
//! Owns what each device says and answers, and the pace at which it speaks.
//! Never frames, decodes or publishes: the real serial driver opens the terminal's path and does all that.
//! Checksums are computed here by code of this folder's own, so that a slip in the framings cannot hide itself.
//!
//! The map: one file a device; `household` and `calendar` are what they measure; `pace` is when a byte is due;
//! `pty` is the terminal; `pump` moves the bytes. `lora/` are LoRa gateways, which speak by UDP or WebSocket and on no
//! terminal.

mod calendar;
mod checksum;
mod dsmr_p1;
mod household;
mod line;
pub(super) mod lora;
mod nmea;
mod pace;
mod pty;
mod pump;
mod sdm120;

use std::time::Duration;

use crate::config::SimulatedDevice;

pub use self::pty::Pty;
pub use self::pump::run;

/// A made-up device: pure, without clock, port or runtime.
pub trait Device: Send {
    /// What it says on its own at time `now` since it started. Called each period; `now` never goes back.
    fn tick(&mut self, now: Duration) -> Vec<u8>;

    /// What it answers to bytes that it is sent. They come cut up anyhow.
    fn receive(&mut self, bytes: &[u8]) -> Vec<u8>;
}

/// The device of this kind. Same seed and same calls, same bytes.
pub fn device(kind: SimulatedDevice, seed: u64) -> Box<dyn Device> {
    match kind {
        SimulatedDevice::DsmrP1 => Box::new(dsmr_p1::Meter::new(seed)),
        SimulatedDevice::Nmea => Box::new(nmea::Receiver::new(seed)),
        SimulatedDevice::Sdm120 => Box::new(sdm120::Sdm120::new(seed)),
        SimulatedDevice::Line => Box::new(line::Sensor::new(seed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device says in ten periods of ten seconds, and answers to one Modbus request and one line.
    fn transcript(kind: SimulatedDevice, seed: u64) -> Vec<u8> {
        let mut device = device(kind, seed);
        let mut said: Vec<u8> = (0..10).flat_map(|period| device.tick(Duration::from_secs(10 * period))).collect();
        said.extend(device.receive(&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB]));
        said.extend(device.receive(b"hello\n"));
        said
    }

    const ALL: [SimulatedDevice; 4] =
        [SimulatedDevice::DsmrP1, SimulatedDevice::Nmea, SimulatedDevice::Sdm120, SimulatedDevice::Line];

    #[test]
    fn the_same_seed_says_the_same_bytes() {
        for kind in ALL {
            assert_eq!(transcript(kind, 7), transcript(kind, 7), "{kind:?}");
        }
    }

    #[test]
    fn another_seed_says_other_bytes() {
        for kind in ALL {
            assert_ne!(transcript(kind, 7), transcript(kind, 8), "{kind:?}");
        }
    }
}

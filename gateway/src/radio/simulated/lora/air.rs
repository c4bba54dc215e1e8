//! What a made-up gateway hears of the devices around it, and what it is to send to them and when.

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tokio::time::Instant;

use super::device::Device;
use super::sensor::Sensor;
use crate::config::{Region, SimulatedGateway};
use crate::radio::lora::airtime::{Lora, Modulation};
use crate::radio::lora::region::{Channel, Plan};

/// Parking bays: the devices from 0 to 9.
const BAYS: u32 = 10;

/// Rooms: the devices from 10 to 12. The last one is the water meter.
const ROOMS: u32 = 3;

/// What is weaker is not heard, in dBm.
const NOISE: i64 = -120;

/// Join requests are numbered from the minute in which the gateway began, so that a server that keeps the numbers takes those
/// of a later run as well: for six weeks, until they come round.
const NONCE_STEP: u64 = 60;

/// Frames that wait for their time. Policy: what comes on top is not sent.
const WAITING_MAX: usize = 64;

/// A frame, and how it is heard.
pub(super) struct Heard {
    /// The frame.
    pub(super) phy: Vec<u8>,
    /// In Hz.
    pub(super) frequency: u32,
    /// The concentrator's channel.
    pub(super) channel: usize,
    /// The number of its data rate in the region.
    pub(super) rate: u8,
    /// The same.
    pub(super) lora: Lora,
    /// In dBm.
    pub(super) rssi: i64,
    /// In dB.
    pub(super) snr: f64,
}

/// See the module's head.
pub(super) struct Air {
    devices: Vec<Device>,
    turn: usize,
    plan: Plan,
    channels: Vec<Channel>,
    pub(super) random: Rng,
    /// Frames that are to be sent, with their times.
    waiting: Vec<(Instant, Vec<u8>)>,
}

impl Air {
    pub(super) fn new(settings: &SimulatedGateway, region: Region) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        #[allow(clippy::cast_possible_truncation, reason = "it comes round")]
        let nonce = (now / NONCE_STEP) as u16;
        let sensor = |number| match number {
            ..BAYS => Sensor::bay(),
            number if number < BAYS + ROOMS => Sensor::room(),
            _ => Sensor::water(),
        };
        let device = |number| Device::new(settings.seed, number, sensor(number), nonce);
        let plan = Plan::new(region);
        Self {
            devices: (0..=BAYS + ROOMS).map(device).collect(),
            turn: 0,
            channels: plan.uplink_channels(),
            plan,
            random: Rng::with_seed(settings.seed),
            waiting: Vec::new(),
        }
    }

    /// Between two frames, where each device speaks once a `period`.
    pub(super) fn pause(&self, period: Duration) -> Duration {
        period / u32::try_from(self.devices.len()).unwrap_or(1)
    }

    /// The next device speaks; one after the other.
    pub(super) fn hear(&mut self) -> Option<Heard> {
        let (turn, count) = (self.turn, self.devices.len());
        self.turn = (turn + 1) % count;
        let phy = self.devices.get_mut(turn)?.uplink();
        let index = self.random.usize(..self.channels.len().max(1));
        let channel = *self.channels.get(index)?;
        let (rate, lora) = self.rate(channel, turn)?;
        // The further the device, the weaker.
        let strength = NOISE + 5 * i64::try_from(count - turn).unwrap_or(0);
        let rssi = strength + self.random.i64(-3..=3);
        let snr = (self.random.f64() * 120.0).round() / 10.0 - 2.0;
        Some(Heard { phy, frequency: channel.frequency, channel: index, rate, lora, rssi, snr })
    }

    /// The data rate of a device on a channel: near ones are fast.
    fn rate(&self, channel: Channel, turn: usize) -> Option<(u8, Lora)> {
        let fitting = self.plan.data_rates().into_iter().filter_map(|rate| match rate.modulation {
            Modulation::Lora(lora) if (channel.min_dr..=channel.max_dr).contains(&rate.number) => {
                Some((rate.number, lora))
            }
            _ => None,
        });
        let mut fitting: Vec<_> = fitting.collect();
        fitting.reverse();
        let index = turn * fitting.len() / self.devices.len().max(1);
        fitting.get(index).copied()
    }

    /// A frame is to be sent at this time. Says whether there is room for it.
    pub(super) fn send(&mut self, phy: Vec<u8>, at: Instant) -> bool {
        let room = self.waiting.len() < WAITING_MAX;
        if room {
            self.waiting.push((at, phy));
        }
        room
    }

    /// When the next one is to be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.iter().map(|(at, _)| *at).min()
    }

    /// Sends what is due: the devices hear it. Says how many bytes each has, and whether one of them took it for its own.
    pub(super) fn sent(&mut self, now: Instant) -> Vec<(usize, bool)> {
        let due = self.waiting.extract_if(.., |(at, _)| *at <= now);
        let hear = |(_, phy): (Instant, Vec<u8>)| {
            (phy.len(), self.devices.iter_mut().any(|device| device.hear(&phy).is_some()))
        };
        due.map(hear).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LoraDevice;

    fn air(region: Region) -> Air {
        let settings = SimulatedGateway { device: LoraDevice::LoraStation, seed: 7, period: Duration::from_secs(10) };
        Air::new(&settings, region)
    }

    #[test]
    fn each_device_is_heard_in_turn_on_channels_and_data_rates_of_the_region() {
        for region in [Region::Eu868, Region::Us915, Region::As923] {
            let (mut air, plan) = (air(region), Plan::new(region));
            let heard: Vec<_> = (0..28).map(|_| air.hear().unwrap()).collect();
            assert!(heard.iter().all(|heard| plan.band().contains(&heard.frequency)));
            let addresses: std::collections::BTreeSet<_> = heard[..14].iter().map(|heard| &heard.phy[1..5]).collect();
            assert_eq!(addresses.len(), 14, "{region:?}");
            assert!(heard[14..].iter().all(|heard| heard.phy.len() == 23), "they ask to join");
            assert!(heard[0].lora.spreading_factor < heard[13].lora.spreading_factor || region == Region::Us915);
        }
    }

    #[test]
    fn frames_are_sent_at_their_time_and_those_that_wait_are_bounded() {
        let (mut air, now) = (air(Region::Eu868), Instant::now());
        let later = now + Duration::from_secs(1);
        assert!(air.send(vec![1], later) && air.send(vec![2, 3], now));
        assert_eq!((air.due(), air.sent(now), air.due()), (Some(now), vec![(2, false)], Some(later)));
        let taken = (0..2 * WAITING_MAX).filter(|_| air.send(vec![4], later)).count();
        assert_eq!((taken, air.sent(later).len()), (WAITING_MAX - 1, WAITING_MAX));
    }
}

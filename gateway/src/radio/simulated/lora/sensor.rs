//! What made-up devices measure, written as real ones write it. Pure: they are told the time by being asked.

use fastrand::Rng;

/// Status after a change, and again now and then.
const STATUS_PORT: u8 = 1;
const HEARTBEAT_PORT: u8 = 2;

/// What Elsys's sensors send on.
const ELSYS_PORT: u8 = 5;

/// What Milesight's do.
const MILESIGHT_PORT: u8 = 85;

/// A sensor, with its state.
#[derive(Debug, Clone)]
pub(super) enum Sensor {
    /// A parking bay, as Bosch's TPS110.
    Bay {
        /// Whether a car stands on it.
        occupied: bool,
    },
    /// A room of somebody who lives alone, as Elsys's ERS.
    Room {
        /// In tenths of a degree Celsius.
        temperature: i16,
        /// In % of relative humidity.
        humidity: u8,
    },
    /// A pulse counter at a water meter, as Milesight's EM300-DI.
    Water {
        /// Since it began.
        pulses: u32,
    },
}

impl Sensor {
    pub(super) fn bay() -> Self {
        Self::Bay { occupied: false }
    }

    pub(super) fn room() -> Self {
        Self::Room { temperature: 205, humidity: 45 }
    }

    pub(super) fn water() -> Self {
        Self::Water { pulses: 48_000 }
    }

    /// The next reading: its port, and its bytes, of which each data rate takes as many.
    pub(super) fn read(&mut self, random: &mut Rng) -> (u8, Vec<u8>) {
        match self {
            Self::Bay { occupied } => {
                // A car comes or leaves on average each third time.
                let changed = random.u8(..3) == 0;
                *occupied ^= changed;
                (if changed { STATUS_PORT } else { HEARTBEAT_PORT }, vec![u8::from(*occupied)])
            }
            Self::Room { temperature, humidity } => {
                *temperature = (*temperature + random.i16(-2..=2)).clamp(160, 240);
                *humidity = humidity.saturating_add_signed(random.i8(-1..=1)).clamp(30, 65);
                // Nobody moves each third time.
                let motion = random.u8(..9).saturating_sub(2);
                (ELSYS_PORT, elsys(*temperature, *humidity, random.u16(20..400), motion))
            }
            Self::Water { pulses } => {
                *pulses = pulses.wrapping_add(random.u32(..3));
                (MILESIGHT_PORT, milesight(*pulses))
            }
        }
    }
}

/// Type and value, the most significant byte first (TheThingsNetwork/lorawan-devices, vendor/elsys).
fn elsys(temperature: i16, humidity: u8, lux: u16, motion: u8) -> Vec<u8> {
    let ([warm, er], [bright, er2]) = (temperature.to_be_bytes(), lux.to_be_bytes());
    vec![0x01, warm, er, 0x02, humidity, 0x04, bright, er2, 0x05, motion]
}

/// Channel, type and value, the least significant byte first (the same, vendor/milesight-iot, em300-di).
fn milesight(pulses: u32) -> Vec<u8> {
    [&[0x01, 0x75, 98][..], &[0x05, 0xc8], &pulses.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_written_as_in_the_vendors_examples() {
        assert_eq!(elsys(226, 41, 39, 6), [0x01, 0x00, 0xe2, 0x02, 0x29, 0x04, 0x00, 0x27, 0x05, 0x06]);
        assert_eq!(milesight(256), [0x01, 0x75, 98, 0x05, 0xc8, 0x00, 0x01, 0x00, 0x00]);
    }

    #[test]
    fn a_bay_is_free_and_occupied_and_a_counter_only_counts_up() {
        let mut random = Rng::with_seed(1);
        let (mut bay, mut water, mut room) = (Sensor::bay(), Sensor::water(), Sensor::room());
        let said: std::collections::BTreeSet<_> = (0..50).map(|_| bay.read(&mut random)).collect();
        assert_eq!(said.into_iter().collect::<Vec<_>>(), [(1, vec![0]), (1, vec![1]), (2, vec![0]), (2, vec![1])]);
        let mut count = || u32::from_le_bytes(water.read(&mut random).1[5..].try_into().unwrap());
        let counts: Vec<_> = (0..50).map(|_| count()).collect();
        assert!(counts.is_sorted() && counts[0] < counts[49]);
        for _ in 0..1000 {
            let (port, bytes) = room.read(&mut random);
            assert!(port == 5 && bytes.len() <= 11, "the slowest data rate of US915 takes eleven");
        }
    }
}

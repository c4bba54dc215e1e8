//! The channel plans of LoRaWAN's regions, and what may be sent there.
//!
//! Channels, data rates, powers and windows are those of `lrwn`, which names RP002-1.0.4; its types stay in here. It knows
//! no bands and no duty cycles, so these are here as data.

use std::ops::RangeInclusive;
use std::time::Duration;

use lrwn::region::{CommonName, DataRateModulation};

use super::airtime::{Lora, Modulation};
use crate::config::Region;

/// The numbers that a data rate can have: four bits.
const DATA_RATES: u8 = 16;

/// A part of a band with its own duty cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubBand {
    /// Its lower end in Hz.
    pub low: u32,
    /// Its upper end in Hz.
    pub high: u32,
    /// The part of an hour for which a transmitter may send, in thousandths.
    pub permille: u32,
}

impl SubBand {
    /// The time that may be sent in an hour.
    pub fn allowance(&self) -> Duration {
        Duration::from_millis(u64::from(self.permille) * 3600)
    }
}

const fn sub_band(low: u32, high: u32, permille: u32) -> SubBand {
    SubBand { low, high, permille }
}

/// ETSI EN 300 220-2, annex B, and ERC Recommendation 70-03, annex 1: duty cycles of non-specific short-range devices.
static EU868_SUB_BANDS: [SubBand; 5] = [
    sub_band(863_000_000, 865_000_000, 1),
    sub_band(865_000_000, 868_600_000, 10),
    sub_band(868_700_000, 869_200_000, 1),
    sub_band(869_400_000, 869_650_000, 100),
    sub_band(869_700_000, 870_000_000, 10),
];

/// A channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Its centre in Hz.
    pub frequency: u32,
    /// The lowest data rate on it.
    pub min_dr: u8,
    /// The highest.
    pub max_dr: u8,
}

/// A data rate that a gateway can tell or send. LR-FHSS is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRate {
    /// Its number in the region.
    pub number: u8,
    /// What it is.
    pub modulation: Modulation,
}

/// When and where a device listens for an answer (RP002-1.0.4, the sections "receive windows").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// From the uplink's end to RX1.
    pub rx1_delay: Duration,
    /// To RX2.
    pub rx2_delay: Duration,
    /// To RX1 after a join request.
    pub join_rx1_delay: Duration,
    /// To RX2 after a join request.
    pub join_rx2_delay: Duration,
    /// RX2's frequency in Hz.
    pub rx2_frequency: u32,
    /// RX2's data rate.
    pub rx2_dr: u8,
}

/// The longest that a frame may last where the country limits it (RP002-1.0.4, `TxParamSetupReq` of AS923 and AU915).
const DWELL_TIME: Duration = Duration::from_millis(400);

/// All that is known of a region.
pub struct Plan {
    region: Region,
    dwell_time: bool,
    known: Box<dyn lrwn::region::Region + Send + Sync>,
}

impl Plan {
    /// The plan of a region, without repeaters and without limits on dwell time (RP002-1.0.4, section 3.3: off unless a
    /// network says otherwise).
    pub fn new(region: Region) -> Self {
        Self { region, dwell_time: false, known: lrwn::region::get(common_name(region), false, false) }
    }

    /// The same in a country that limits how long a downlink may last, where the region has such countries.
    pub fn with_dwell_time(self, limited: bool) -> Self {
        Self { dwell_time: limited && self.region.may_limit_dwell_time(), ..self }
    }

    /// The longest that a downlink may last; `None` where nothing limits it.
    pub fn dwell_time(&self) -> Option<Duration> {
        self.dwell_time.then_some(DWELL_TIME)
    }

    /// Which region it is.
    pub fn region(&self) -> Region {
        self.region
    }

    /// The uplink channels that each device knows from the start.
    pub fn uplink_channels(&self) -> Vec<Channel> {
        let indices = self.known.get_default_uplink_channel_indices().into_iter();
        indices.filter_map(|index| self.known.get_uplink_channel(index).ok()).map(|known| channel(&known)).collect()
    }

    /// The downlink channels.
    pub fn downlink_channels(&self) -> Vec<Channel> {
        (0..).map_while(|index| self.known.get_downlink_channel(index).ok()).map(|known| channel(&known)).collect()
    }

    /// The data rates, by number.
    pub fn data_rates(&self) -> Vec<DataRate> {
        let known = (0..DATA_RATES).filter_map(|number| Some((number, self.known.get_data_rate(number).ok()?)));
        known.filter_map(|(number, rate)| Some(DataRate { number, modulation: modulation(&rate)? })).collect()
    }

    /// The number of a data rate as devices send it, or as they are sent to: in some regions the two differ.
    pub fn data_rate(&self, uplink: bool, wanted: &Modulation) -> Option<u8> {
        let same = |rate: &DataRate| rate.modulation == *wanted;
        let known = self.data_rates().into_iter().find(same)?;
        let known = self.known.get_data_rate(known.number).ok()?;
        self.known.get_data_rate_index(uplink, &known).ok()
    }

    /// The receive windows.
    pub fn windows(&self) -> Windows {
        let defaults = self.known.get_defaults();
        Windows {
            rx1_delay: defaults.rx1_delay,
            rx2_delay: defaults.rx2_delay,
            join_rx1_delay: defaults.join_accept_delay1,
            join_rx2_delay: defaults.join_accept_delay2,
            rx2_frequency: defaults.rx2_frequency,
            rx2_dr: defaults.rx2_dr,
        }
    }

    /// The highest power at a frequency: EIRP in dBm.
    pub fn max_eirp(&self, frequency: u32) -> i32 {
        i32::try_from(self.known.get_downlink_tx_power_eirp(frequency)).unwrap_or(i32::MAX)
    }

    /// The band, in Hz (RP002-1.0.4, the sections of the regions).
    pub fn band(&self) -> RangeInclusive<u32> {
        match self.region {
            Region::Eu868 => 863_000_000..=870_000_000,
            Region::Us915 => 902_000_000..=928_000_000,
            Region::Au915 => 915_000_000..=928_000_000,
            Region::As923 | Region::As923Group2 | Region::As923Group3 => 915_000_000..=928_000_000,
            Region::As923Group4 => 917_000_000..=920_000_000,
            Region::In865 => 865_000_000..=867_000_000,
            Region::Kr920 => 920_900_000..=923_300_000,
        }
    }

    /// The parts of the band that have a duty cycle; none where the region has no such rule.
    pub fn sub_bands(&self) -> &'static [SubBand] {
        match self.region {
            Region::Eu868 => &EU868_SUB_BANDS,
            _ => &[],
        }
    }

    /// The sub-band that holds a whole channel, its index in [`Plan::sub_bands`].
    pub fn sub_band_of(&self, frequency: u32, width: u32) -> Option<usize> {
        let (low, high) = edges(frequency, width);
        self.sub_bands().iter().position(|band| band.low <= low && high <= band.high)
    }

    /// Whether a channel lies wholly where it may: in the band, and where there are sub-bands in one of them.
    pub fn holds(&self, frequency: u32, width: u32) -> bool {
        let (low, high) = edges(frequency, width);
        let in_band = self.band().contains(&low) && self.band().contains(&high);
        in_band && (self.sub_bands().is_empty() || self.sub_band_of(frequency, width).is_some())
    }
}

fn edges(frequency: u32, width: u32) -> (u32, u32) {
    let half = width / 2;
    (frequency.saturating_sub(half), frequency.saturating_add(half))
}

fn common_name(region: Region) -> CommonName {
    match region {
        Region::Eu868 => CommonName::EU868,
        Region::Us915 => CommonName::US915,
        Region::Au915 => CommonName::AU915,
        Region::As923 => CommonName::AS923,
        Region::As923Group2 => CommonName::AS923_2,
        Region::As923Group3 => CommonName::AS923_3,
        Region::As923Group4 => CommonName::AS923_4,
        Region::In865 => CommonName::IN865,
        Region::Kr920 => CommonName::KR920,
    }
}

fn channel(known: &lrwn::region::Channel) -> Channel {
    Channel { frequency: known.frequency, min_dr: known.min_dr, max_dr: known.max_dr }
}

fn modulation(rate: &DataRateModulation) -> Option<Modulation> {
    match rate {
        DataRateModulation::Lora(lora) => Some(Modulation::Lora(Lora::lorawan(lora.spreading_factor, lora.bandwidth))),
        DataRateModulation::Fsk(fsk) => Some(Modulation::Fsk { bitrate: fsk.bitrate }),
        DataRateModulation::LrFhss(_) => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::radio::lora) const ALL: [Region; 9] = [
        Region::Eu868,
        Region::Us915,
        Region::Au915,
        Region::As923,
        Region::As923Group2,
        Region::As923Group3,
        Region::As923Group4,
        Region::In865,
        Region::Kr920,
    ];

    #[test]
    fn each_region_holds_its_own_channels_and_windows() {
        for region in ALL {
            let plan = Plan::new(region);
            let channels = [plan.uplink_channels(), plan.downlink_channels()].concat();
            for channel in channels {
                assert!(plan.holds(channel.frequency, 125_000), "{region:?}: {channel:?}");
            }
            let windows = plan.windows();
            assert!(plan.holds(windows.rx2_frequency, 125_000), "{region:?}: {windows:?}");
            assert!(plan.data_rates().iter().any(|rate| rate.number == windows.rx2_dr), "{region:?}: {windows:?}");
            assert_eq!((windows.rx1_delay.as_secs(), windows.join_rx1_delay.as_secs()), (1, 5), "{region:?}");
        }
    }

    #[test]
    fn the_plans_are_those_of_the_regional_parameters() {
        let plan = Plan::new(Region::Eu868);
        let frequencies: Vec<u32> = plan.uplink_channels().iter().map(|channel| channel.frequency).collect();
        assert_eq!(frequencies, [868_100_000, 868_300_000, 868_500_000]);
        assert_eq!(plan.data_rates().len(), 8, "DR0 to DR7; the others are LR-FHSS");
        assert_eq!(plan.data_rates()[7].modulation, Modulation::Fsk { bitrate: 50_000 });
        assert_eq!((plan.windows().rx2_frequency, plan.windows().rx2_dr), (869_525_000, 0));
        assert_eq!((plan.max_eirp(868_100_000), plan.max_eirp(869_525_000)), (16, 29));
        let plan = Plan::new(Region::Us915);
        assert_eq!((plan.uplink_channels().len(), plan.downlink_channels().len()), (72, 8));
        assert_eq!(Plan::new(Region::As923Group2).uplink_channels()[0].frequency, 921_400_000);
    }

    #[test]
    fn a_channel_must_lie_whole_in_one_sub_band() {
        let plan = Plan::new(Region::Eu868);
        let band = |frequency, width| plan.sub_band_of(frequency, width).map(|index| plan.sub_bands()[index].permille);
        assert_eq!(band(868_100_000, 125_000), Some(10));
        assert_eq!(band(868_100_000, 250_000), Some(10));
        assert_eq!(band(869_525_000, 125_000), Some(100));
        assert_eq!(band(869_525_000, 500_000), None);
        assert_eq!(band(865_000_000, 125_000), None, "on the border of two");
        assert_eq!(band(0, 125_000), None);
        assert_eq!(band(u32::MAX, u32::MAX), None);
        assert!(!plan.holds(870_000_000, 125_000));
        assert!(Plan::new(Region::Kr920).holds(922_100_000, 125_000), "there are no sub-bands there");
    }
}

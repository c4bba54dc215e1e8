//! `router_config`: what a Station is told of its channels and limits (doc.sm.tc/station/tcproto.html and gw_v1.5.html;
//! basicstation, `src/s2e.c`, `src/sx130xconf.c`).
//!
//! Pure: made of the region's plan. What Station keeps to itself is not sent: it ignores members that it does not know,
//! and `bcning`, without which it sends no beacons.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::config::{CHANNELS_MAX, LoraFilter, NetId, Prefix, RADIOS, Region, share_out};
use crate::radio::lora::airtime::Modulation;
use crate::radio::lora::region::{Channel, Plan};

/// How far a channel of 500 kHz may lie from its radio's centre, in Hz. The radio hears 1.1 MHz of it.
const WIDE_OFFSET: u32 = 300_000;

/// The ranges of `JoinEui` that Station takes (`MAX_JOINEUI_RANGES`).
const JOIN_EUIS_MAX: usize = 10;

/// Data rates in the table.
const DATA_RATES: u8 = 16;

/// The channels that a gateway is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channels {
    /// One for each radio, with its channels, all in Hz.
    radios: Vec<(u32, Vec<u32>)>,
    /// One of 500 kHz, where the region has it: its radio, its distance from that one's centre, its spreading factor.
    wide: Option<(usize, i64, u8)>,
}

impl Channels {
    /// Those in the settings, or the region's first.
    ///
    /// # Errors
    /// When they are not in the region's band or too far apart.
    pub(super) fn new(plan: &Plan, wanted: &[u32]) -> Result<Self, String> {
        let narrow = |channel: &Channel| bandwidth(plan, channel.min_dr).is_some_and(|(width, _)| width == 125_000);
        let usual = || plan.uplink_channels().into_iter().filter(narrow).map(|channel| channel.frequency).take(8);
        let frequencies = if wanted.is_empty() { usual().collect() } else { wanted.to_vec() };
        if let Some(beyond) = frequencies.iter().find(|frequency| !plan.holds(**frequency, 125_000)) {
            return Err(format!("`channels` has {beyond}, which is in no band of {:?}", plan.region()));
        }
        let shared = share_out(&frequencies).ok_or("`channels` lie too far apart for two radios")?;
        let centre = |channels: &Vec<u32>| {
            let (low, high) = (channels.first().copied().unwrap_or(0), channels.last().copied().unwrap_or(0));
            low + (high - low) / 2
        };
        let radios: Vec<_> = shared.into_iter().map(|channels| (centre(&channels), channels)).collect();
        let wide = wide(plan, &radios);
        Ok(Self { radios, wide })
    }

    /// `sx1301_conf`, of one concentrator.
    fn conf(&self) -> Value {
        let mut conf = Map::new();
        for index in 0..RADIOS {
            let radio = self.radios.get(index).map(|(centre, _)| *centre);
            conf.insert(format!("radio_{index}"), json!({ "enable": radio.is_some(), "freq": radio.unwrap_or(0) }));
        }
        let each = self.radios.iter().enumerate().flat_map(|(index, (centre, channels))| {
            channels.iter().map(move |channel| (index, i64::from(*channel) - i64::from(*centre)))
        });
        let each: Vec<_> = each.collect();
        for index in 0..CHANNELS_MAX {
            let channel = match each.get(index) {
                Some((radio, offset)) => json!({ "enable": true, "radio": radio, "if": offset }),
                None => json!({ "enable": false }),
            };
            conf.insert(format!("chan_multiSF_{index}"), channel);
        }
        let wide = match self.wide {
            Some((radio, offset, factor)) => {
                json!({ "enable": true, "radio": radio, "if": offset, "bandwidth": 500_000, "spread_factor": factor })
            }
            None => json!({ "enable": false }),
        };
        conf.insert("chan_Lora_std".to_owned(), wide);
        conf.insert("chan_FSK".to_owned(), json!({ "enable": false }));
        Value::Object(conf)
    }
}

/// The region's first channel of 500 kHz that one of the radios hears.
fn wide(plan: &Plan, radios: &[(u32, Vec<u32>)]) -> Option<(usize, i64, u8)> {
    plan.uplink_channels().into_iter().find_map(|channel| {
        let (_, factor) = bandwidth(plan, channel.min_dr).filter(|(width, _)| *width == 500_000)?;
        let near = radios.iter().position(|(centre, _)| channel.frequency.abs_diff(*centre) <= WIDE_OFFSET)?;
        let (centre, _) = radios.get(near)?;
        Some((near, i64::from(channel.frequency) - i64::from(*centre), factor))
    })
}

/// Bandwidth in Hz and spreading factor of a data rate.
fn bandwidth(plan: &Plan, number: u8) -> Option<(u32, u8)> {
    match plan.data_rates().into_iter().find(|rate| rate.number == number)?.modulation {
        Modulation::Lora(lora) => Some((lora.bandwidth, lora.spreading_factor)),
        Modulation::Fsk { .. } => None,
    }
}

/// What is told of one radio's settings.
pub(super) struct Told<'a> {
    /// The region.
    pub(super) plan: &'a Plan,
    /// Its channels.
    pub(super) channels: &'a Channels,
    /// What passes.
    pub(super) filter: &'a LoraFilter,
    /// Whether duty cycles are kept.
    pub(super) duty_cycle: bool,
}

#[derive(Serialize)]
struct RouterConfig {
    msgtype: &'static str,
    #[serde(rename = "NetID")]
    net_id: Option<Vec<u32>>,
    #[serde(rename = "JoinEui")]
    join_eui: Option<Vec<(u64, u64)>>,
    region: &'static str,
    hwspec: &'static str,
    freq_range: (u32, u32),
    #[serde(rename = "DRs")]
    data_rates: Vec<(i8, u32, u8)>,
    sx1301_conf: [Value; 1],
    nocca: bool,
    nodc: bool,
    nodwell: bool,
    max_eirp: f64,
    protocol: u8,
    #[serde(rename = "MuxTime", skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
}

/// The message. `time` is that since 1970, where it is known.
pub(super) fn message(told: &Told<'_>, time: Option<Duration>) -> String {
    let plan = told.plan;
    let region = region_name(plan.region());
    let config = RouterConfig {
        msgtype: "router_config",
        net_id: net_ids(told.filter),
        join_eui: join_euis(told.filter),
        region,
        hwspec: "sx1301/1",
        freq_range: (*plan.band().start(), *plan.band().end()),
        data_rates: (0..DATA_RATES).map(|number| data_rate(plan, number)).collect(),
        sx1301_conf: [told.channels.conf()],
        nocca: false,
        nodc: !told.duty_cycle,
        nodwell: false,
        max_eirp: max_eirp(told),
        protocol: 1,
        time: time.map(|time| time.as_secs_f64()),
    };
    // Nothing in it can't be written.
    serde_json::to_string(&config).unwrap_or_default()
}

/// As Station knows it. It has rules of its own for some, and takes the others by their limits here.
fn region_name(region: Region) -> &'static str {
    match region {
        Region::Eu868 => "EU863",
        Region::Us915 => "US902",
        Region::Au915 => "AU915",
        Region::As923 => "AS923-1",
        Region::As923Group2 => "AS923-2",
        Region::As923Group3 => "AS923-3",
        Region::As923Group4 => "AS923-4",
        Region::In865 => "IN865",
        Region::Kr920 => "KR920",
    }
}

/// Spreading factor (0 for FSK, -1 for none), bandwidth in kHz, and 1 where it is for downlinks alone.
fn data_rate(plan: &Plan, number: u8) -> (i8, u32, u8) {
    match plan.data_rates().into_iter().find(|rate| rate.number == number) {
        None => (-1, 0, 0),
        Some(rate) => {
            let down_only = u8::from(plan.data_rate(true, &rate.modulation) != Some(number));
            match rate.modulation {
                Modulation::Lora(lora) => {
                    (i8::try_from(lora.spreading_factor).unwrap_or(-1), lora.bandwidth / 1000, down_only)
                }
                Modulation::Fsk { .. } => (0, 0, down_only),
            }
        }
    }
}

/// The lowest of what is allowed on the channels: Station sends with this power where it has no rule of its own.
fn max_eirp(told: &Told<'_>) -> f64 {
    let channels = told.channels.radios.iter().flat_map(|(_, channels)| channels);
    channels.map(|channel| told.plan.max_eirp(*channel)).min().unwrap_or(0).into()
}

/// Station compares seven bits of a device's address, which for networks of type 0 are all that counts, and for others
/// say nothing: those are left to the filter here, as are addresses that pass beside the networks.
fn net_ids(filter: &LoraFilter) -> Option<Vec<u32>> {
    let of_type_0 = |NetId(id): &NetId| id >> 21 == 0;
    let usable = !filter.net_ids.is_empty() && filter.dev_addrs.is_empty() && filter.net_ids.iter().all(of_type_0);
    usable.then(|| filter.net_ids.iter().map(|NetId(id)| *id).collect())
}

/// In Station a range that begins at 0 ends the list, so such a list is left to the filter here.
fn join_euis(filter: &LoraFilter) -> Option<Vec<(u64, u64)>> {
    let ranges: Vec<_> = filter.join_euis.iter().map(Prefix::range).collect();
    let usable = (1..=JOIN_EUIS_MAX).contains(&ranges.len()) && ranges.iter().all(|(first, _)| *first > 0);
    usable.then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::lora::region::tests::ALL;

    fn told(region: Region, wanted: &[u32], filter: &LoraFilter) -> Value {
        let plan = Plan::new(region);
        let channels = Channels::new(&plan, wanted).unwrap();
        let text = message(&Told { plan: &plan, channels: &channels, filter, duty_cycle: true }, None);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn europe_is_told_as_stations_own_tests_tell_it() {
        let eight =
            [868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000];
        let config = told(Region::Eu868, &eight, &LoraFilter::default());
        for (key, value) in [
            ("msgtype", json!("router_config")),
            ("region", json!("EU863")),
            ("hwspec", json!("sx1301/1")),
            ("freq_range", json!([863_000_000, 870_000_000])),
            ("max_eirp", json!(16.0)),
            ("protocol", json!(1)),
            ("NetID", Value::Null),
            ("JoinEui", Value::Null),
            ("nodc", json!(false)),
        ] {
            assert_eq!(config[key], value, "{key}");
        }
        let rates =
            [[12, 125, 0], [11, 125, 0], [10, 125, 0], [9, 125, 0], [8, 125, 0], [7, 125, 0], [7, 250, 0], [0, 0, 0]];
        let rates: Vec<_> = rates.into_iter().chain([[-1, 0, 0]; 8]).collect();
        assert_eq!(config["DRs"], json!(rates));
        let conf = &config["sx1301_conf"][0];
        assert_eq!(conf["radio_0"], json!({ "enable": true, "freq": 867_500_000 }));
        assert_eq!(conf["radio_1"], json!({ "enable": true, "freq": 868_300_000 }));
        assert_eq!(conf["chan_multiSF_0"], json!({ "enable": true, "radio": 0, "if": -400_000 }));
        assert_eq!(conf["chan_multiSF_7"], json!({ "enable": true, "radio": 1, "if": 200_000 }));
        assert_eq!(conf["chan_Lora_std"], json!({ "enable": false }));
        assert!(config.get("bcning").is_none() && config.get("MuxTime").is_none());
    }

    #[test]
    fn america_has_the_wide_channel_and_data_rates_for_downlinks_alone() {
        let config = told(Region::Us915, &[], &LoraFilter::default());
        let conf = &config["sx1301_conf"][0];
        assert_eq!((&config["region"], &conf["radio_0"]["freq"]), (&json!("US902"), &json!(902_700_000)));
        let wide = json!({ "enable": true, "radio": 0, "if": 300_000, "bandwidth": 500_000, "spread_factor": 8 });
        assert_eq!(conf["chan_Lora_std"], wide);
        assert_eq!(
            (&config["DRs"][4], &config["DRs"][8], &config["DRs"][12]),
            (&json!([8, 500, 0]), &json!([12, 500, 1]), &json!([8, 500, 1]))
        );
        assert_eq!(config["DRs"][5], json!([-1, 0, 0]));
        let second: Vec<u32> = (0..8).map(|index| 903_900_000 + index * 200_000).collect();
        assert_eq!(
            told(Region::Us915, &second, &LoraFilter::default())["sx1301_conf"][0]["chan_Lora_std"]["if"],
            300_000
        );
    }

    #[test]
    fn each_regions_usual_channels_fit_one_concentrator() {
        for region in ALL {
            let conf = &told(region, &[], &LoraFilter::default())["sx1301_conf"][0];
            let plan = Plan::new(region);
            let expected: Vec<_> =
                plan.uplink_channels().into_iter().map(|channel| channel.frequency).take(8).collect();
            let mut heard = Vec::new();
            for index in 0..8 {
                let channel = &conf[format!("chan_multiSF_{index}")];
                if channel["enable"] == true {
                    let (radio, offset) =
                        (&conf[format!("radio_{}", channel["radio"])], channel["if"].as_i64().unwrap());
                    assert!(offset.abs() <= 400_000 && radio["enable"] == true, "{region:?}: {conf}");
                    heard.push(u32::try_from(radio["freq"].as_i64().unwrap() + offset).unwrap());
                }
            }
            assert_eq!(heard, expected, "{region:?}");
        }
    }

    #[test]
    fn channels_outside_of_the_band_or_too_far_apart_are_refused() {
        let plan = Plan::new(Region::Eu868);
        assert!(Channels::new(&plan, &[902_300_000]).unwrap_err().contains("902300000"));
        assert!(Channels::new(&plan, &[863_100_000, 865_100_000, 868_100_000]).unwrap_err().contains("two radios"));
    }

    #[test]
    fn the_filter_is_told_only_where_station_would_understand_the_same() {
        let net_ids = |ids: &[u32]| ids.iter().copied().map(NetId).collect::<Vec<_>>();
        let join = |texts: &[&str]| texts.iter().map(|text| Prefix::parse(text).unwrap()).collect::<Vec<_>>();
        let told = |filter: &LoraFilter| {
            let config = told(Region::Eu868, &[], filter);
            (config["NetID"].clone(), config["JoinEui"].clone())
        };
        let usual = LoraFilter {
            net_ids: net_ids(&[0x13]),
            join_euis: join(&["70b3d57ed0000000/36"]),
            ..LoraFilter::default()
        };
        let range = json!([[0x70b3_d57e_d000_0000_u64, 0x70b3_d57e_dfff_ffff_u64]]);
        assert_eq!(told(&usual), (json!([0x13]), range));
        let large = LoraFilter {
            net_ids: net_ids(&[0x13, 0x0060_0001]),
            join_euis: join(&["0000000000000000/8"]),
            ..LoraFilter::default()
        };
        assert_eq!(told(&large), (Value::Null, Value::Null));
    }
}

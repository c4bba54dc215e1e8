//! Reads `[[radio]]` of a LoRa modem.

use std::time::Duration;

use super::radio::serial;
use crate::config::modem::{CodingRate, LoraModem, ModemChannel, ModemModel};
use crate::config::radio::{Envelope, Line};
use crate::config::region::Region;
use crate::config::section::{Section, Unique};

/// The keys that only this reads, for a radio whose kind is not known.
pub(super) const KEYS: [&str; 8] =
    ["model", "frequency", "spreading-factor", "bandwidth", "coding-rate", "preamble", "power", "network"];

/// Reads the rest of a radio.
pub(super) fn read(mut section: Section<'_>, name: Option<String>, devices: &mut Unique) -> Option<LoraModem> {
    let s = &mut section;
    let model: Option<ModemModel> = s.choice("model");
    s.require("model", "write `model = \"rak3172\"`, `\"lora-e5\"` or `\"rn2483\"`");
    let serial = serial(s, &model.map_or_else(Line::default, ModemModel::line), devices);
    let region: Option<Region> = s.choice("region");
    s.require("region", "write `region = \"eu868\"`, or us915, au915, as923, in865, kr920");
    let channel = channel(s);
    let duty_cycle = duty_cycle(s);
    let dwell_time = dwell_time(s, region);
    let envelope = s.choice("envelope").unwrap_or(Envelope::Json);
    let down_queue = s.integer("down-queue", 1..=1024).unwrap_or(64);
    let times = Duration::from_millis(10)..=Duration::from_secs(60);
    let write_timeout = s.duration("write-timeout", times).unwrap_or(Duration::from_secs(2));
    section.finish();
    Some(LoraModem {
        name: name?,
        model: model?,
        serial: serial?,
        region: region?,
        channel: channel?,
        duty_cycle,
        dwell_time,
        envelope,
        down_queue,
        write_timeout,
    })
}

fn channel(section: &mut Section<'_>) -> Option<ModemChannel> {
    let frequency = section.integer("frequency", 100_000_000..=1_000_000_000);
    section.require("frequency", "write `frequency = 868100000`, in Hz: the one channel that the modem hears");
    let spreading_factor = section.integer("spreading-factor", 7..=12);
    section.require("spreading-factor", "write `spreading-factor = 7`, to 12: the one that the modem hears");
    let bandwidth = bandwidth(section);
    let coding_rate = section.parsed("coding-rate", "one of \"4/5\", \"4/6\", \"4/7\", \"4/8\"", CodingRate::parse);
    let preamble = section.integer("preamble", 6..=65_535).unwrap_or(8);
    let power = section.integer("power", 2..=22).unwrap_or(14);
    let network = section.choice("network").unwrap_or_default();
    Some(ModemChannel {
        frequency: frequency?,
        spreading_factor: spreading_factor?,
        bandwidth: bandwidth?,
        coding_rate: coding_rate.unwrap_or(CodingRate::USUAL),
        preamble,
        power,
        network,
    })
}

fn bandwidth(section: &mut Section<'_>) -> Option<u32> {
    if !section.has("bandwidth") {
        return Some(125_000);
    }
    let bandwidth: u32 = section.integer("bandwidth", 125_000..=500_000)?;
    if ![125_000, 250_000, 500_000].contains(&bandwidth) {
        section.refuse("bandwidth", format!("is {bandwidth}"), "write 125000, 250000 or 500000, in Hz");
        return None;
    }
    Some(bandwidth)
}

/// Whether the country limits how long a frame may last; refused where no country of the region does.
pub(super) fn dwell_time(section: &mut Section<'_>, region: Option<Region>) -> bool {
    let limited = section.boolean("dwell-time").unwrap_or_default();
    if limited && region.is_some_and(|region| !region.may_limit_dwell_time()) {
        let is = "is true, and no country of this region limits how long a downlink may last";
        section.refuse("dwell-time", is, "remove it; it is for au915 and as923");
    }
    limited
}

/// Whether duty cycles are kept; warns of it where they are not.
pub(super) fn duty_cycle(section: &mut Section<'_>) -> bool {
    let kept = section.boolean("duty-cycle").unwrap_or(true);
    if !kept {
        let what = "`duty-cycle = false`: downlinks are sent whatever the law of the place says";
        let remedy = "use it where nothing is radiated, as in a shielded laboratory";
        section.notes.warning(section.spot("duty-cycle"), what, remedy);
    }
    kept
}

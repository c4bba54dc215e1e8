//! Reads `[[radio]]` of LoRa gateways.

use std::net::SocketAddr;
use std::time::Duration;

use super::ports::Ports;
use super::radio::{PERIOD_MAX, seed};
use super::{concentratord, station};
use crate::config::lora::{
    Eui, LoraDevice, LoraFilter, LoraFormat, LoraGateway, LoraKind, LoraRadio, NetId, Network, Prefix, Roughness,
    SemtechUdp, SimulatedGateway, USUAL_LISTEN, USUAL_RATE_LIMIT,
};
use crate::config::problem::plain;
use crate::config::region::Region;
use crate::config::section::{Section, Unique};
use crate::config::tree::{Kind, Value};
use crate::message::Topic;

/// More gateways of one radio than this are refused.
pub(super) const GATEWAYS_MAX: usize = 256;

/// More prefixes in one list of a filter than this are refused.
const PREFIXES_MAX: usize = 256;

/// The longest beginning of topics, in bytes.
const TOPIC_PREFIX_MAX_BYTES: usize = 256;

/// Between two frames of one made-up device, usually. Real ones would use up their duty cycle at less than a minute.
const DEVICES_PERIOD: Duration = Duration::from_secs(10);

/// The shortest: there are fourteen devices.
const DEVICES_PERIOD_MIN: Duration = Duration::from_millis(100);

/// The latest that a made-up datagram may be.
const JITTER_MAX: Duration = Duration::from_secs(10);

/// The keys that only this reads, for a radio whose kind is not known.
pub(super) const KEYS: [&str; 19] = [
    "listen",
    "gateways",
    "event-url",
    "command-url",
    "eui",
    "configure",
    "rate-limit",
    "tls",
    "channels",
    "region",
    "topic-prefix",
    "format",
    "duty-cycle",
    "dwell-time",
    "deduplicate",
    "filter",
    "jitter",
    "loss",
    "reorder",
];

/// What a radio's gateways are.
pub(super) enum Source<'p> {
    /// Packet forwarders; with the UDP ports of all radios.
    Udp(&'p mut Ports),
    /// Basics Stations; with the TCP ports of all listeners.
    Station(&'p mut Ports),
    /// Concentratord; with the sockets of all radios.
    Concentratord(&'p mut Unique),
    /// A made-up packet forwarder.
    SimulatedForwarder,
    /// A made-up Basics Station.
    SimulatedStation,
}

/// Reads the rest of a radio.
pub(super) fn read(mut section: Section<'_>, name: Option<String>, source: Source<'_>) -> Option<LoraRadio> {
    let s = &mut section;
    let kind = match source {
        Source::Udp(udp) => Some(LoraKind::SemtechUdp(semtech_udp(s, udp))),
        Source::Station(tcp) => station::read(s, tcp).map(LoraKind::BasicsStation),
        Source::Concentratord(sockets) => concentratord::read(s, sockets).map(LoraKind::Concentratord),
        Source::SimulatedForwarder => {
            let device = LoraDevice::LoraGateway(roughness(s));
            Some(LoraKind::Simulated(simulated(s, device)))
        }
        Source::SimulatedStation => Some(LoraKind::Simulated(simulated(s, LoraDevice::LoraStation))),
    };
    let region: Option<Region> = s.choice("region");
    s.require("region", "write `region = \"eu868\"`, or us915, au915, as923, in865, kr920");
    let topic_prefix = topic_prefix(s);
    let format = s.choice("format").unwrap_or(LoraFormat::Json);
    let duty_cycle = super::modem::duty_cycle(s);
    let dwell_time = super::modem::dwell_time(s, region);
    let deduplicate = s.duration("deduplicate", Duration::from_millis(10)..=Duration::from_secs(10));
    let down_queue = s.integer("down-queue", 1..=1024).unwrap_or(64);
    let filter = filter(s.section("filter", "filter of [[radio]]"));
    section.finish();
    let (region, kind) = (region?, kind?);
    let topic_prefix = topic_prefix.unwrap_or_else(|| region.usual_topic_prefix().to_owned());
    Some(LoraRadio {
        name: name?,
        kind,
        region,
        topic_prefix,
        format,
        duty_cycle,
        dwell_time,
        deduplicate,
        down_queue,
        filter,
    })
}

fn simulated(section: &mut Section<'_>, device: LoraDevice) -> SimulatedGateway {
    let period = section.duration("period", DEVICES_PERIOD_MIN..=PERIOD_MAX).unwrap_or(DEVICES_PERIOD);
    SimulatedGateway { device, seed: seed(section), period }
}

fn roughness(section: &mut Section<'_>) -> Roughness {
    Roughness {
        jitter: section.duration("jitter", Duration::ZERO..=JITTER_MAX).unwrap_or_default(),
        loss: section.integer("loss", 0..=100).unwrap_or_default(),
        reorder: section.integer("reorder", 0..=100).unwrap_or_default(),
    }
}

fn topic_prefix(section: &mut Section<'_>) -> Option<String> {
    section.parsed("topic-prefix", "the beginning of a topic, such as \"eu868\"", |text| {
        let fits = text.len() <= TOPIC_PREFIX_MAX_BYTES && !text.starts_with('$') && Topic::new(text).is_ok();
        fits.then(|| text.to_owned())
    })
}

fn semtech_udp(section: &mut Section<'_>, udp: &mut Ports) -> SemtechUdp {
    let wanted = "an IP address with a port, such as \"127.0.0.1:1700\" or \"0.0.0.0:1700\"";
    let listen: SocketAddr = section.parsed("listen", wanted, |text| text.parse().ok()).unwrap_or(USUAL_LISTEN);
    udp.add("[[radio]]", listen, Some(section.spot("listen")));
    let outside = !listen.ip().to_canonical().is_loopback();
    let mut euis = Unique::new("gateway");
    let sections = section.sections("gateways", "gateways of [[radio]]", GATEWAYS_MAX);
    let none = sections.is_empty();
    let gateways = sections.into_iter().filter_map(|gateway| one_gateway(gateway, outside, &mut euis)).collect();
    if outside && none {
        let what =
            format!("the listener on {listen} can be reached from outside, and no gateway is named that may speak");
        let remedy = "write `gateways = [{ eui = \"...\", address = \"...\" }]`, or listen on 127.0.0.1 only";
        section.notes.error(section.spot("listen"), what, remedy);
    }
    let rate_limit = section.integer("rate-limit", 1..=100_000).unwrap_or(USUAL_RATE_LIMIT);
    SemtechUdp { listen, gateways, rate_limit }
}

/// A gateway's `eui`, which must be there; `remedy` says where it is found.
pub(super) fn eui(section: &mut Section<'_>, remedy: &str) -> Option<Eui> {
    let eui = section.parsed("eui", "sixteen hex digits, such as \"0016c001ff10a235\"", Eui::parse);
    section.require("eui", remedy);
    eui
}

fn one_gateway(mut section: Section<'_>, outside: bool, euis: &mut Unique) -> Option<LoraGateway> {
    let s = &mut section;
    let eui = eui(s, "write `eui = \"...\"`; the packet forwarder's settings call it `gateway_ID`");
    let address = s.parsed("address", "an IP address or a network, such as \"192.168.1.0/24\"", Network::parse);
    if let Some(eui) = eui {
        euis.claim(&eui.to_string(), s.spot("eui"), s.notes);
        if outside && !s.has("address") {
            let what = format!("gateway `{eui}` has no address: whoever reaches the port can speak for it");
            s.notes.warning(s.spot("eui"), what, "add `address = \"...\"` with the address or network that it has");
        }
    }
    section.finish();
    Some(LoraGateway { eui: eui?, address })
}

fn filter(mut section: Section<'_>) -> LoraFilter {
    let s = &mut section;
    let read = LoraFilter {
        crc: s.choice("crc").unwrap_or_default(),
        lorawan_only: s.boolean("lorawan-only").unwrap_or_default(),
        net_ids: list(s, "net-ids", "six hex digits, such as \"000013\"", NetId::parse),
        dev_addrs: list(s, "dev-addrs", "eight hex digits and a number of bits, such as \"26000000/7\"", Prefix::parse),
        join_euis: list(s, "join-euis", "sixteen hex digits and a number of bits", Prefix::parse),
        per_device: s.integer("per-device", 1..=6000),
    };
    section.finish();
    read
}

/// The list of texts at `key`, each of which `parse` makes something of.
fn list<T>(section: &mut Section<'_>, key: &'static str, wanted: &str, parse: fn(&str) -> Option<T>) -> Vec<T> {
    let title = section.title();
    let items = section.list(key, PREFIXES_MAX).unwrap_or_default();
    let read = items.into_iter().filter_map(|item| {
        let item = item.resolve(&[Kind::Text]);
        let (value, shown) = match &item.value {
            Value::Text(text) => (parse(text), format!("`{}`", plain(text))),
            _ => (None, item.kind().to_string()),
        };
        if value.is_none() {
            let what = format!("`{key}` in {title} has {shown}, which is not {wanted}");
            section.notes.error(&item.spot, what, format!("write {wanted}"));
        }
        value
    });
    read.collect()
}

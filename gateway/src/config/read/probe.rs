//! Reads `[[probe]]` and `[reflector]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::ports::Ports;
use super::{name, path};
use crate::config::lora::Network;
use crate::config::path::NetworkPath;
use crate::config::probe::{
    Budget, Dns, MqttProbe, Probe, ProbeKind, Reflector, Stamp, Target, Throughput, Train, UdpThroughput,
};
use crate::config::problem::plain;
use crate::config::section::{Section, Unique};
use crate::config::text::off_or_address;
use crate::config::tree::{Kind, Value};

/// How long a train may take: somebody may wait for it.
const RUN_MAX: Duration = Duration::from_secs(20);
/// Where a STAMP reflector is (RFC 8762, section 4.1), a name server and an iperf3 server.
const PORTS: [u16; 3] = [862, 53, 5201];
/// Bytes of a STAMP packet without padding, and the most that leaves in one piece over IPv6.
const SIZES: RangeInclusive<i128> = 44..=1452;
/// What throughput may be asked for: 1 kB to 10 GB a run.
const CAPS: RangeInclusive<i128> = 1_000..=10_000_000_000;
/// From the end of one run of throughput to the next: the line belongs to others as well.
const REST: Duration = Duration::from_secs(10);
/// The least from one round trip by MQTT to the next: each is a connection to the remote.
const MQTT_LEAST: Duration = Duration::from_secs(5);
/// More networks than this are refused: each packet is held against all of them.
const NETWORKS_MAX: usize = 64;

/// The keys that only some kinds have, for a probe whose kind is not known.
const KEYS: [&str; 12] = [
    "target",
    "packets",
    "spacing",
    "timeout",
    "size",
    "query",
    "record",
    "uplink",
    "path",
    "direction",
    "duration",
    "data-cap",
];

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Stamp,
    Dns,
    Mqtt,
    Tcp,
    Udp,
}

/// Reads one probe. `names` are those of all, `uplinks` those of the uplinks.
pub(super) fn read(mut section: Section<'_>, names: &mut Unique, uplinks: &Unique) -> Option<Probe> {
    let s = &mut section;
    let name = name(s, "name");
    s.require("name", "write `name = \"...\"`; the results' topic has it");
    if let Some(name) = &name {
        names.claim(name, s.spot("name"), s.notes);
    }
    if name.as_deref() == Some("list") {
        s.refuse("name", "is `list`, which `stile probe` takes for something else", "write another name");
    }
    let kind: Option<KindName> = s.choice("kind");
    s.require("kind", "write one of: `stamp`, `dns`, `mqtt`, `tcp`, `udp`");
    let interval = s.duration("interval", Duration::from_millis(200)..=Duration::from_secs(24 * 3600));
    let way = if kind == Some(KindName::Mqtt) { Some(NetworkPath::default()) } else { way(s) };
    let budgets = 1_000..=1_000_000_000_000_000;
    let budget = Budget { day: s.integer("budget-day", budgets.clone()), month: s.integer("budget-month", budgets) };
    let read = match kind {
        Some(KindName::Stamp) => stamp(s, interval).map(ProbeKind::Stamp),
        Some(KindName::Dns) => dns(s, interval).map(ProbeKind::Dns),
        Some(KindName::Mqtt) => mqtt(s, interval, uplinks).map(ProbeKind::Mqtt),
        Some(KindName::Tcp) => throughput(s, interval, budget).map(ProbeKind::Tcp),
        Some(KindName::Udp) => udp(s, interval, budget).map(ProbeKind::Udp),
        None => {
            KEYS.iter().chain(&["rate"]).for_each(|key| s.skip(key));
            None
        }
    };
    let timed = s.has("interval") == interval.is_some();
    section.finish();
    Some(Probe { name: name?, kind: read?, interval, way: way?, budget }).filter(|_| timed)
}

/// Interface and address. `None` where one has a problem.
fn way(section: &mut Section<'_>) -> Option<NetworkPath> {
    let (interface, address) = (path::interface(section), path::address(section));
    let whole = section.has("interface") == interface.is_some() && section.has("address") == address.is_some();
    whole.then_some(NetworkPath { interface, address, ..NetworkPath::default() })
}

fn target(section: &mut Section<'_>, usual_port: u16) -> Option<Target> {
    let wanted = "a host, such as \"192.0.2.1\", \"host.example.org\" or \"[2001:db8::1]:4000\"";
    let target = section.parsed("target", wanted, |text| Target::parse(text, usual_port));
    section.require("target", format!("write {wanted}"));
    target
}

/// A train of packets that has gone by before the next begins.
fn train(section: &mut Section<'_>, packets: u32, interval: Option<Duration>) -> Option<Train> {
    let packets = section.integer("packets", 1..=1000).unwrap_or(packets);
    let spacings = Duration::from_millis(1)..=Duration::from_secs(10);
    let spacing = section.duration("spacing", spacings).unwrap_or(Duration::from_millis(50));
    let timeouts = Duration::from_millis(10)..=Duration::from_secs(10);
    let usual = Duration::from_secs(1);
    // Where the default would be all that is in the way of a short interval, it gives way.
    let left = interval.map(|interval| interval.saturating_sub(spacing * packets.saturating_sub(1)));
    let usual = left.filter(|left| *timeouts.start() <= *left).map_or(usual, |left| left.min(usual));
    let timeout = section.duration("timeout", timeouts).unwrap_or(usual);
    let train = Train { packets, spacing, timeout };
    let most = interval.unwrap_or(RUN_MAX).min(RUN_MAX);
    fits(section, train.longest(), most).then_some(train)
}

/// Whether a run fits in its time; notes where not.
fn fits(section: &Section<'_>, longest: Duration, most: Duration) -> bool {
    let fits = longest <= most;
    if !fits {
        let print = crate::config::duration::print;
        let what = format!("a run of {} takes {}, and has {}", section.title(), print(longest), print(most));
        section.notes.error(
            section.spot("interval"),
            what,
            "write a longer `interval`, or less of what the run is made of",
        );
    }
    fits
}

fn stamp(section: &mut Section<'_>, interval: Option<Duration>) -> Option<Stamp> {
    let target = target(section, PORTS[0]);
    let train = train(section, 10, interval);
    let size = section.integer("size", SIZES).unwrap_or(44);
    Some(Stamp { target: target?, train: train?, size })
}

fn dns(section: &mut Section<'_>, interval: Option<Duration>) -> Option<Dns> {
    let target = target(section, PORTS[1]);
    let wanted = "the name of a host, such as \"example.org\"";
    let query = section.parsed("query", wanted, |text| {
        let text = text.strip_suffix('.').unwrap_or(text);
        is_name(text).then(|| text.to_owned())
    });
    section.require("query", format!("write {wanted}"));
    let record = section.choice("record").unwrap_or_default();
    let train = train(section, 1, interval);
    Some(Dns { target: target?, query: query?, record, train: train? })
}

/// A name as a question can carry it (RFC 1035, section 2.3.4).
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(sound)
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn mqtt(section: &mut Section<'_>, interval: Option<Duration>, uplinks: &Unique) -> Option<MqttProbe> {
    let (uplink, path) = (section.text("uplink"), section.text("path"));
    section.require("uplink", "write `uplink = \"...\"` with the name of an [[uplink]]");
    if let Some(name) = uplink.as_ref().filter(|name| !uplinks.has(name)) {
        let is = format!("is `{}`, and no [[uplink]] has that name", plain(name));
        section.refuse("uplink", is, "write the name of an [[uplink]]");
        return None;
    }
    if interval.is_some_and(|interval| interval < MQTT_LEAST) {
        section.refuse("interval", "is too short: each run is a connection", "write 5s or more");
        return None;
    }
    Some(MqttProbe { uplink: uplink?, path })
}

fn throughput(section: &mut Section<'_>, interval: Option<Duration>, budget: Budget) -> Option<Throughput> {
    let target = target(section, PORTS[2]);
    let direction = section.choice("direction").unwrap_or_default();
    let durations = Duration::from_secs(1)..=Duration::from_secs(15);
    let duration = section.duration("duration", durations).unwrap_or(Duration::from_secs(5));
    let data_cap = section.integer("data-cap", CAPS).unwrap_or(10_000_000);
    if let Some(interval) = interval {
        if !fits(section, duration + REST, interval) {
            return None;
        }
        if budget.month.is_none() {
            let month = u128::from(data_cap) * (31 * 24 * 3_600_000) / interval.as_millis().max(1);
            let what = format!("a [[probe]] may spend {} MB in a month, and has no budget", month / 1_000_000);
            section.notes.warning(section.spot("interval"), what, "write `budget-month = ...` with the most bytes");
        }
    }
    Some(Throughput { target: target?, direction, duration, data_cap })
}

fn udp(section: &mut Section<'_>, interval: Option<Duration>, budget: Budget) -> Option<UdpThroughput> {
    let tcp = throughput(section, interval, budget);
    let rate = section.integer("rate", 1_000..=10_000_000_000).unwrap_or(1_000_000);
    Some(UdpThroughput { tcp: tcp?, rate })
}

/// Reads who answers others. `udp` are the listeners on UDP.
pub(super) fn reflector(mut section: Section<'_>, udp: &mut Ports) -> Reflector {
    let s = &mut section;
    let usual = Reflector::default();
    let wanted = "an IP address with a port, such as \"192.0.2.7:862\", or \"off\"";
    let listen = s.parsed("listen", wanted, off_or_address::parse).flatten();
    if let Some(address) = listen {
        udp.add("[reflector]", address, Some(s.spot("listen")));
    }
    let allow = allow(s);
    if listen.is_some() {
        s.require("allow", "write the networks that are answered: `allow = [\"192.0.2.0/24\"]`");
    }
    let mode = s.choice("mode").unwrap_or_default();
    let rate_limit = s.integer("rate-limit", 1..=100_000).unwrap_or(usual.rate_limit);
    section.finish();
    Reflector { listen, allow, mode, rate_limit }
}

fn allow(section: &mut Section<'_>) -> Vec<Network> {
    let wanted = "a network or an address, such as \"192.0.2.0/24\" or \"2001:db8::7\"";
    let mut networks = Vec::new();
    for item in section.list("allow", NETWORKS_MAX).unwrap_or_default() {
        let item = item.resolve(&[Kind::Text]);
        let read = match &item.value {
            Value::Text(text) => Network::parse(text),
            _ => None,
        };
        match read {
            Some(network) => networks.push(network),
            None => section.notes.error(
                &item.spot,
                "`allow` in [reflector] has something that is no network",
                format!("write {wanted}"),
            ),
        }
    }
    networks
}

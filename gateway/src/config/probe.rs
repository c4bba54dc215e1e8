//! Typed settings of active measurements: `[[probe]]` and `[reflector]` in the configuration.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::duration;
use super::lora::Network;
use super::path::NetworkPath;
use super::text::off_or_address;
use super::url::{place, place_of};

/// One measurement. Its `name` is its place in topics: `probe/<name>/result`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Probe {
    /// 1 to 64 of `a-z A-Z 0-9 - _`, unique among probes.
    pub name: String,
    /// What is measured. Flattened: `kind = "stamp"`, `"dns"`, `"mqtt"`, `"tcp"` or `"udp"`.
    #[serde(flatten)]
    pub kind: ProbeKind,
    /// From the beginning of one run to that of the next. `None`: only when somebody asks for it.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// By which interface or from which address packets leave; it has neither name nor proxy.
    #[serde(flatten)]
    pub way: NetworkPath,
    /// What may be spent.
    #[serde(flatten)]
    pub budget: Budget,
}

/// The most bytes, headers of IP included, that a probe may send and receive. A run is not begun that could go beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    /// In a day of UTC.
    #[serde(rename = "budget-day", skip_serializing_if = "Option::is_none")]
    pub day: Option<u64>,
    /// In a month of UTC.
    #[serde(rename = "budget-month", skip_serializing_if = "Option::is_none")]
    pub month: Option<u64>,
}

/// What is measured, with what only that needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ProbeKind {
    /// Round trips to a reflector (RFC 8762).
    Stamp(Stamp),
    /// Questions to a name server.
    Dns(Dns),
    /// Publications to an uplink's remote, acknowledged.
    Mqtt(MqttProbe),
    /// How much TCP carries, against an iperf3 server.
    Tcp(Throughput),
    /// How much of a stream of datagrams arrives, against an iperf3 server.
    Udp(UdpThroughput),
}

impl ProbeKind {
    /// As the settings name it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stamp(_) => "stamp",
            Self::Dns(_) => "dns",
            Self::Mqtt(_) => "mqtt",
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
        }
    }

    /// Whom it asks: a place, or an uplink's name.
    pub fn target(&self) -> String {
        match self {
            Self::Stamp(stamp) => stamp.target.to_string(),
            Self::Dns(dns) => dns.target.to_string(),
            Self::Mqtt(mqtt) => mqtt.uplink.clone(),
            Self::Tcp(tcp) => tcp.target.to_string(),
            Self::Udp(udp) => udp.tcp.target.to_string(),
        }
    }
}

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Target {
    /// Reads `host`, `host:port` or `[address]:port`.
    pub(super) fn parse(text: &str, usual_port: u16) -> Option<Self> {
        // An address of IPv6 alone needs no brackets.
        let (host, port) = if text.parse::<IpAddr>().is_ok() { (text, None) } else { place_of(text)? };
        Some(Self { host: host.to_owned(), port: port.unwrap_or(usual_port) })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&place(&self.host, self.port))
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Several packets one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Train {
    /// How many; 1 to 1000.
    pub packets: u32,
    /// From one to the next.
    #[serde(with = "duration")]
    pub spacing: Duration,
    /// How long the answer to one may take; a later one counts as lost.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl Train {
    /// How long all of it takes at most.
    pub fn longest(&self) -> Duration {
        self.spacing * self.packets.saturating_sub(1) + self.timeout
    }
}

/// See [`ProbeKind::Stamp`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stamp {
    /// The reflector.
    pub target: Target,
    /// The packets.
    #[serde(flatten)]
    pub train: Train,
    /// Bytes of UDP payload in each; 44 to 1452.
    pub size: usize,
}

/// See [`ProbeKind::Dns`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dns {
    /// The name server.
    pub target: Target,
    /// The name that is asked for, without a dot at its end.
    pub query: String,
    /// What is asked of it.
    pub record: DnsRecord,
    /// The questions.
    #[serde(flatten)]
    pub train: Train,
}

/// What is asked of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsRecord {
    /// Addresses of IPv4.
    #[default]
    A,
    /// Addresses of IPv6.
    Aaaa,
}

impl DnsRecord {
    /// As the settings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::Aaaa => "aaaa",
        }
    }
}

/// See [`ProbeKind::Mqtt`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MqttProbe {
    /// The uplink's name.
    pub uplink: String,
    /// Which of its paths; `None`: each in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// See [`ProbeKind::Tcp`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Throughput {
    /// The iperf3 server.
    pub target: Target,
    /// Which way the bytes go.
    pub direction: Towards,
    /// How long at most; 1 to 15 s.
    #[serde(with = "duration")]
    pub duration: Duration,
    /// How many bytes of payload at most.
    pub data_cap: u64,
}

/// See [`ProbeKind::Udp`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct UdpThroughput {
    /// What it has in common with TCP.
    #[serde(flatten)]
    pub tcp: Throughput,
    /// How fast to send, in bits of payload a second.
    pub rate: u64,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Towards {
    /// From here to the server.
    #[default]
    Up,
    /// From the server to here.
    Down,
}

impl Towards {
    /// As the settings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// `[reflector]`: who answers the STAMP packets of others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reflector {
    /// Where it listens; `None` is written `"off"`.
    #[serde(with = "off_or_address")]
    pub listen: Option<SocketAddr>,
    /// Who is answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Network>,
    /// Whether it counts the packets of each sender (RFC 8762, section 4).
    pub mode: ReflectorMode,
    /// Packets a second that one address is answered.
    pub rate_limit: u32,
}

impl Default for Reflector {
    fn default() -> Self {
        Self { listen: None, allow: Vec::new(), mode: ReflectorMode::default(), rate_limit: 200 }
    }
}

/// How a reflector numbers its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReflectorMode {
    /// Each sender's from 0, so that this can tell on which way packets were lost.
    #[default]
    Stateful,
    /// As the sender did.
    Stateless,
}

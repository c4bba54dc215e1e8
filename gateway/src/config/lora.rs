//! Typed settings of a LoRa radio: `[[radio]]` with `kind = "semtech-udp"`, `"basics-station"` or `"concentratord"`. What only
//! the latter two have is in `station.rs` and `concentratord.rs`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::concentratord::Concentratord;
use super::region::Region;
use super::station::BasicsStation;

/// The port that packet forwarders are set to.
pub(super) const USUAL_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1700);

/// A concentrator of eight channels hears 234 frames a second at most, one of 64 channels 1,870.
pub(super) const USUAL_RATE_LIMIT: u32 = 2000;

/// One radio: LoRa gateways that speak to this process in one way. Their topics are `<topic-prefix>/gateway/<eui>/...`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoraRadio {
    /// 1 to 64 of `a-z A-Z 0-9 - _`, unique among radios.
    pub name: String,
    /// How the gateways speak. Flattened: `kind = "semtech-udp"`.
    #[serde(flatten)]
    pub kind: LoraKind,
    /// Whose channels and limits hold.
    pub region: Region,
    /// What the topics begin with.
    pub topic_prefix: String,
    /// How events are written. Commands are understood in both.
    pub format: LoraFormat,
    /// Whether downlinks that would exceed the duty cycle are refused. False is for a shielded laboratory.
    pub duty_cycle: bool,
    /// Whether the country limits how long a downlink may last: 400 ms.
    pub dwell_time: bool,
    /// Within this time, a frame that another gateway of this radio brought is dropped.
    #[serde(with = "super::duration::option", skip_serializing_if = "Option::is_none")]
    pub deduplicate: Option<Duration>,
    /// Downlinks that may wait to be sent; 1 to 1024. What comes on top is refused.
    pub down_queue: usize,
    /// What is dropped before it becomes a message.
    pub filter: LoraFilter,
}

impl LoraRadio {
    /// A radio in Europe with all other settings at their defaults. `name` must be one that a radio may have.
    pub fn usual(name: &str) -> Self {
        let udp = SemtechUdp { listen: USUAL_LISTEN, gateways: Vec::new(), rate_limit: USUAL_RATE_LIMIT };
        Self {
            name: name.into(),
            kind: LoraKind::SemtechUdp(udp),
            region: Region::Eu868,
            topic_prefix: Region::Eu868.usual_topic_prefix().into(),
            format: LoraFormat::default(),
            duty_cycle: true,
            dwell_time: false,
            deduplicate: None,
            down_queue: 64,
            filter: LoraFilter::default(),
        }
    }
}

/// How gateways speak, with what only that needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum LoraKind {
    /// Semtech's UDP packet forwarder, protocol version 2.
    SemtechUdp(SemtechUdp),
    /// LoRa Basics Station, which connects here as to a network server.
    BasicsStation(BasicsStation),
    /// ChirpStack Concentratord, to which this connects.
    Concentratord(Concentratord),
    /// One that is made up, with devices.
    Simulated(SimulatedGateway),
}

/// A made-up gateway and its devices, which speak to the real server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SimulatedGateway {
    /// What it pretends to be. Flattened: `device = "lora-gateway"`.
    #[serde(flatten)]
    pub device: LoraDevice,
    /// Same seed, same devices and keys.
    pub seed: u64,
    /// Time between two frames of one device.
    #[serde(with = "super::duration")]
    pub period: Duration,
}

/// The LoRa devices that can be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "device")]
pub enum LoraDevice {
    /// A packet forwarder, and the network between it and its server.
    LoraGateway(Roughness),
    /// A Basics Station.
    LoraStation,
}

/// What becomes of datagrams on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Roughness {
    /// By how much one may be late, at most.
    #[serde(with = "super::duration")]
    pub jitter: Duration,
    /// How many of a hundred are lost, both ways.
    pub loss: u8,
    /// How many of a hundred are overtaken by the next.
    pub reorder: u8,
}

/// The server of Semtech's UDP packet forwarder.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SemtechUdp {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may speak. None, which only loopback allows: whoever can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<LoraGateway>,
    /// Datagrams a second that one source may send; 1 to 100000.
    pub rate_limit: u32,
}

/// A gateway that may speak.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoraGateway {
    /// Its identifier.
    pub eui: Eui,
    /// Where it speaks from; without it, from anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Network>,
}

impl Region {
    /// What the topics begin with in ChirpStack's own settings for this region. Where it has one set of settings for
    /// each block of eight channels, that of the first.
    pub fn usual_topic_prefix(self) -> &'static str {
        match self {
            Self::Eu868 => "eu868",
            Self::Us915 => "us915_0",
            Self::Au915 => "au915_0",
            Self::As923 => "as923",
            Self::As923Group2 => "as923_2",
            Self::As923Group3 => "as923_3",
            Self::As923Group4 => "as923_4",
            Self::In865 => "in865",
            Self::Kr920 => "kr920",
        }
    }
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoraFormat {
    /// Protocol buffers in their JSON mapping.
    #[default]
    Json,
    /// Protocol buffers.
    Protobuf,
}

/// What is dropped before it becomes a message. Lists that are empty let everything through.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoraFilter {
    /// Which frames pass by their checksum.
    pub crc: CrcFilter,
    /// Whether what is no LoRaWAN frame is dropped.
    pub lorawan_only: bool,
    /// Networks whose devices pass, by their addresses. Those of `dev-addrs` pass too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub net_ids: Vec<NetId>,
    /// Device addresses that pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dev_addrs: Vec<Prefix<8>>,
    /// Identifiers of join servers whose devices pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub join_euis: Vec<Prefix<16>>,
    /// Frames a minute of one device address; 1 to 6000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_device: Option<u32>,
}

/// Which frames pass by their checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrcFilter {
    /// Those whose checksum is right.
    #[default]
    Valid,
    /// All: also those whose checksum is wrong or that have none.
    Any,
}

/// A 64-bit identifier (EUI-64).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Eui(pub u64);

impl Eui {
    /// Sixteen hex digits; `-` or `:` may stand between bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        hex(&digits, 16).map(Self)
    }
}

impl fmt::Display for Eui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Eui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The identifier of a network, 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetId(pub u32);

impl NetId {
    /// Six hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        hex(text, 6).and_then(|value| u32::try_from(value).ok()).map(Self)
    }
}

impl fmt::Display for NetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

/// The first bits of a number of so many hex digits: `26000000/7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix<const DIGITS: usize> {
    value: u64,
    /// How many bits count.
    bits: u32,
}

impl<const DIGITS: usize> Prefix<DIGITS> {
    const WIDTH: u32 = 4 * DIGITS as u32;

    /// The first `bits` of a value.
    pub fn new(value: u64, bits: u32) -> Option<Self> {
        (bits <= Self::WIDTH).then_some(Self { value, bits })
    }

    /// Hex digits, a slash and the number of bits; without a slash, all of them.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, bits) = match text.split_once('/') {
            Some((digits, bits)) => (digits, bits.parse().ok()?),
            None => (text, Self::WIDTH),
        };
        Self::new(hex(digits, DIGITS)?, bits)
    }

    /// The first and the last number that begin like this.
    pub fn range(&self) -> (u64, u64) {
        let beyond = Self::WIDTH - self.bits;
        let rest = u64::MAX.checked_shl(beyond).map_or(u64::MAX, |kept| !kept) & (u64::MAX >> (64 - Self::WIDTH));
        (self.value & !rest, self.value | rest)
    }

    /// Whether a number begins like this.
    pub fn matches(&self, number: u64) -> bool {
        let beyond = Self::WIDTH - self.bits;
        // A shift by the whole width, for a prefix of no bits at all, is none that a processor has.
        (number ^ self.value).checked_shr(beyond).unwrap_or(0) == 0
    }
}

impl<const DIGITS: usize> fmt::Display for Prefix<DIGITS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}/{}", self.value, self.bits)
    }
}

/// Addresses of hosts: one, or those that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// An IP address, or one with a slash and the number of bits that count.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    /// Whether the host is one of them.
    pub fn contains(&self, host: IpAddr) -> bool {
        let differs = match (self.address, host.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(host)) => {
                (own.to_bits() ^ host.to_bits()).checked_shr(32 - u32::from(self.bits)).unwrap_or(0) != 0
            }
            (IpAddr::V6(own), IpAddr::V6(host)) => {
                (own.to_bits() ^ host.to_bits()).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) != 0
            }
            _ => true,
        };
        !differs
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The number of exactly so many hex digits.
fn hex(digits: &str, count: usize) -> Option<u64> {
    let fits = digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

macro_rules! written_as_text {
    ($($type:ty),*) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })*
    };
}

written_as_text!(Eui, NetId, Prefix<8>, Prefix<16>, Network);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eui_is_sixteen_digits_in_any_of_three_forms() {
        for text in ["0016c001ff10a235", "0016C001FF10A235", "00-16-c0-01-ff-10-a2-35", "00:16:c0:01:ff:10:a2:35"] {
            assert_eq!(Eui::parse(text).map(|eui| eui.to_string()), Some("0016c001ff10a235".into()), "{text}");
        }
        for bad in ["", "0016c001ff10a23", "0016c001ff10a2355", "+016c001ff10a235", "0016c001ff10a23ü"] {
            assert_eq!(Eui::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_prefix_matches_by_its_bits_alone() {
        let matches = |prefix: &str, number: u64| Prefix::<8>::parse(prefix).unwrap().matches(number);
        assert!(matches("26000000/7", 0x2701_0203) && !matches("26000000/7", 0x2801_0203));
        assert!(matches("26011f00", 0x2601_1f00) && !matches("26011f00", 0x2601_1f01));
        assert!(matches("00000000/0", 0xffff_ffff));
        assert!(Prefix::<16>::parse("70b3d57ed0000000/36").unwrap().matches(0x70b3_d57e_d123_4567));
        assert!(Prefix::<16>::parse("0000000000000000/0").unwrap().matches(u64::MAX));
        assert_eq!(Prefix::<16>::parse("70b3d57ed0000000/0").unwrap().range(), (0, u64::MAX));
        assert_eq!(
            Prefix::<16>::parse("70b3d57ed0000001").unwrap().range(),
            (0x70b3_d57e_d000_0001, 0x70b3_d57e_d000_0001)
        );
        assert_eq!(Prefix::<8>::parse("26011f00/0").unwrap().range(), (0, 0xffff_ffff));
        assert_eq!(Prefix::<8>::parse("26011f00/7").unwrap().range(), (0x2600_0000, 0x27ff_ffff));
        for bad in ["", "2601", "26000000/33", "26000000/-1", "26000000/", "26000000/7/8"] {
            assert_eq!(Prefix::<8>::parse(bad), None, "{bad}");
        }
        assert_eq!(Prefix::<8>::parse("26000000/7").unwrap().to_string(), "26000000/7");
    }

    #[test]
    fn a_network_is_an_address_or_those_that_begin_alike() {
        let contains = |network: &str, host: &str| Network::parse(network).unwrap().contains(host.parse().unwrap());
        assert!(contains("10.0.0.1", "10.0.0.1") && !contains("10.0.0.1", "10.0.0.2"));
        assert!(contains("10.0.0.0/8", "10.9.9.9") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("10.0.0.1", "::ffff:10.0.0.1"), "as a listener on [::] sees it");
        assert!(contains("2001:db8::/32", "2001:db8::1") && !contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("::/0", "::1"));
        for bad in ["", "10.0.0", "10.0.0.0/33", "::/129", "host"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}

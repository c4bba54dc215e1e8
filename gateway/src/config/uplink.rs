//! Typed settings of one uplink: `[[uplink]]` in the configuration.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::duration;
use super::hub::Hub;
use super::path::{NetworkPath, Proxy};
use super::profile::{Profile, RemoteLimits, Takes};
use super::secret::Secret;
use super::share::{PseudonymsChange, Share};
use super::text::filters;
use super::url::Url;
use crate::message::{QoS, TopicFilter};
use crate::tls;

/// A remote broker: what goes there, what comes from there, and what is kept meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Uplink {
    /// 1 to 64 of `a-z A-Z 0-9 - _`, unique among uplinks. What waits for the remote belongs to this name.
    pub name: String,
    /// What kind of broker the remote is.
    pub profile: Profile,
    /// Where it is.
    pub url: Url,
    /// The version of MQTT to speak.
    pub protocol: Protocol,
    /// By what name the gateway is known there.
    pub client_id: String,
    /// The user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password; only with a user name.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// The file with the authorities that sign the remote's certificate. Without it, and without a pin, the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The file with the certificate to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The file with its key; there when the certificate is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The remote's certificate, or its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<tls::Pin>,
    /// Ways there, the preferred one first; none: the one that the system chooses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<NetworkPath>,
    /// Who makes connections, on paths that do not name another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// How long a path may be silent before the next one is tried; 1 s to 5 min.
    #[serde(with = "duration")]
    pub path_timeout: Duration,
    /// How long a better path has to be well before it is gone back to; 1 s to 24 h.
    #[serde(with = "duration")]
    pub path_return: Duration,
    /// What goes where.
    pub topics: Vec<Rule>,
    /// What of it may leave, and how. None: all of it, as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub share: Vec<Share>,
    /// When the pseudonyms in it change.
    #[serde(skip_serializing_if = "PseudonymsChange::is_never")]
    pub pseudonyms_change: PseudonymsChange,
    /// The longest silence on the connection; 5 s to 18 h.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// Messages on their way without acknowledgement; 1 to 1000.
    pub in_flight: NonZeroU16,
    /// The most messages sent in a second. `None`: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<u32>,
    /// The longest packet that is taken from the remote, in bytes.
    pub max_packet_size: usize,
    /// Whether the remote is told if the gateway is there, as a retained message and as the will. A hub knows it anyway.
    pub announce: bool,
    /// What is kept while the remote is away.
    pub spool: Spool,
    /// Who the gateway is to an Azure IoT hub; there when the remote is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
    /// What the remote takes, where it is otherwise than its profile says.
    #[serde(skip_serializing_if = "RemoteLimits::is_empty")]
    pub limits: RemoteLimits,
    /// What the files hold; there when the URL wants TLS.
    #[serde(skip)]
    pub tls: Option<tls::Client>,
}

/// The version of MQTT to speak with a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Protocol {
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
    /// MQTT 5.
    #[default]
    #[serde(rename = "5")]
    V5,
}

/// A password, and where it is written.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Password {
    /// In the settings.
    Password(Secret),
    /// In a file of its own.
    PasswordFile(InFile),
}

/// A secret in a file; serialized as the file's path.
#[derive(Debug, Clone, PartialEq)]
pub struct InFile {
    /// The file; absolute.
    pub path: PathBuf,
    /// What it held.
    pub secret: Secret,
}

impl Serialize for InFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.path.serialize(serializer)
    }
}

impl Password {
    /// The password itself.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Password(secret) => secret,
            Self::PasswordFile(file) => &file.secret,
        }
    }
}

/// Which topics go which way, and what becomes of their names: those of Mosquitto's bridges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// What comes behind the prefix, on either side.
    #[serde(serialize_with = "text")]
    pub filter: TopicFilter,
    /// Which way.
    pub direction: Direction,
    /// The quality of service towards the remote, and the most that is asked of it.
    #[serde(serialize_with = "number")]
    pub qos: QoS,
    /// What the filter's topics begin with here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub local_prefix: String,
    /// What they begin with there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remote_prefix: String,
}

impl Rule {
    /// The topics that it is about, as they are here; `None` where prefix and filter make no filter.
    pub fn here(&self) -> Option<TopicFilter> {
        TopicFilter::new(&format!("{}{}", self.local_prefix, self.filter)).ok()
    }
}

fn text<S: Serializer>(filter: &TopicFilter, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(filter.as_str())
}

fn number<S: Serializer>(qos: &QoS, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*qos as u8)
}

/// Which way messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the remote.
    #[default]
    Out,
    /// From the remote.
    In,
    /// Either way.
    Both,
}

impl Direction {
    /// Whether messages go to the remote.
    pub fn is_out(self) -> bool {
        self != Self::In
    }

    /// Whether messages come from the remote.
    pub fn is_in(self) -> bool {
        self != Self::Out
    }
}

/// `[uplink.spool]`: what is kept on disk until the remote has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spool {
    /// Messages that are written together at most; 1 to 10000.
    pub batch: usize,
    /// How long the first of them waits for others at most; 1 ms to 10 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// When messages are written.
    pub durability: Durability,
    /// The most bytes on disk; 1 MiB to 1 TiB.
    pub max_bytes: u64,
    /// Older messages are let go. `None`: none is too old.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// What is done when there is no room.
    pub when_full: WhenFull,
    /// Topics, as they are here, whose messages leave first and are let go last.
    #[serde(with = "filters", skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<TopicFilter>,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            batch: 100,
            interval: Duration::from_millis(50),
            durability: Durability::default(),
            max_bytes: 256 << 20,
            max_age: None,
            when_full: WhenFull::default(),
            alarms: Vec::new(),
        }
    }
}

/// When what is to go out is written to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Before it is acknowledged.
    #[default]
    Always,
    /// Only while the remote does not acknowledge promptly.
    OnOutage,
}

/// What is done when a spool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// Clients that publish wait.
    Block,
    /// The oldest messages are let go.
    #[default]
    DropOldest,
    /// The newcomers are let go.
    DropNewest,
}

impl Uplink {
    /// What the remote takes, before it says more in CONNACK.
    pub fn takes(&self) -> Takes {
        self.limits.over(self.profile)
    }

    /// One with the defaults of all that is not named here, as for tests.
    pub fn new(name: &str, url: Url, topics: Vec<Rule>) -> Self {
        Self {
            name: name.into(),
            profile: Profile::default(),
            url,
            protocol: Protocol::default(),
            client_id: name.into(),
            user: None,
            password: None,
            ca: None,
            certificate: None,
            key: None,
            pin: None,
            paths: Vec::new(),
            proxy: None,
            path_timeout: Duration::from_secs(10),
            path_return: Duration::from_secs(60),
            topics,
            share: Vec::new(),
            pseudonyms_change: PseudonymsChange::default(),
            keep_alive: Duration::from_secs(60),
            in_flight: NonZeroU16::MIN.saturating_add(63),
            max_rate: None,
            max_packet_size: 1 << 20,
            announce: true,
            spool: Spool::default(),
            hub: None,
            limits: RemoteLimits::default(),
            tls: None,
        }
    }
}

//! The settings: typed, loaded from TOML and the environment, checked as a whole, compared for a reload.
//!
//! - [`Settings`] is what the other rooms see; a value of that type fits together.
//! - [`load`] finds everything that is wrong in one run: files → `tree` → `environment` → `read` → [`Settings`].
//! - [`diff`] says which units a reload must rebuild.
//!
//! Never starts, opens or listens on anything, and never reads the process's environment: it is handed in.

mod broker;
mod cellular;
mod concentratord;
mod diff;
mod environment;
mod files;
mod hat;
mod hub;
mod listeners;
mod load;
mod lora;
mod measurements;
mod modem;
mod notes;
mod path;
mod plugin;
mod probe;
mod problem;
mod profile;
mod provision;
mod radio;
mod read;
mod region;
mod secret;
mod section;
mod settings;
mod share;
mod station;
mod suggest;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod trust;
mod uplink;
mod url;
mod user;
mod users;
mod usual;
mod written;

pub use broker::Broker;
pub use cellular::{AtPort, Cellular, CellularFormat, Managed, ModemDialect, Via};
pub use concentratord::{Concentratord, IpcUrl};
pub use diff::{Change, at_next_start, diff};
pub use files::{read_text, users_path};
pub use hat::{Hat, UART_LINES, hats};
pub use hub::{Hub, Receive, SharedAccessKey};
pub use listeners::{ClientCertificates, Door, Tls, WebSocket};
pub use load::{
    Loaded, Texts, files_of, load, load_before_users, load_before_users_instead, load_instead, load_provisioned,
};
pub use lora::{
    CrcFilter, Eui, LoraDevice, LoraFilter, LoraFormat, LoraGateway, LoraKind, LoraRadio, NetId, Network, Prefix,
    Roughness, SemtechUdp, SimulatedGateway,
};
pub use measurements::Measurements;
pub use modem::{CodingRate, LoraModem, ModemChannel, ModemModel, SyncWord};
pub use path::{NetworkPath, Proxy, ProxyKind, ProxyUrl};
pub use plugin::{Grant, Limits, OnFailure, Plugin};
pub use probe::{
    Budget, Dns, DnsRecord, MqttProbe, Probe, ProbeKind, Reflector, ReflectorMode, Stamp, Target, Throughput, Towards,
    Train, UdpThroughput,
};
pub use problem::{Place, Problem, Problems, Severity};
pub use profile::{Profile, RemoteLimits, Takes};
pub use provision::{
    Addresses, CODE_LEAST, Ethernet, Modem, PIN_SECRET, Provision, SetupCode, Ssh, Wifi, WifiPassword, is_country,
    is_host_name, is_ssid, is_time_zone, ssh_key,
};
pub use radio::{
    Ask, Crc, Endian, Envelope, FlowControl, Framing, Line, LineEnding, ModbusRead, ModbusType, Parity, Poll, Port,
    Radio, RadioKind, Serial, SerialRadio, Simulated, SimulatedDevice, UsbMatch,
};
pub use read::provision::{parse_provision, parse_ssh_keys};
pub use region::Region;
pub use secret::{MASK, Secret};
pub use settings::{Admin, Clock, Gateway, Log, LogFormat, LogLevel, Position, Settings};
pub use share::{Coarse, Field, PseudonymsChange, Share, Step};
pub use station::{BasicsStation, CHANNELS_MAX, RADIOS, StationGateway, StationTls, share_out};
// `radio` names them as `super::duration` and so on.
pub use text::bytes_of_hex;
use text::{duration, hex_bytes, hex16};
pub use trust::{Require, Trust};
pub use uplink::{Direction, Durability, InFile, Password, Protocol, Rule, Spool, Uplink, WhenFull};
pub use url::{Url, place};
pub use user::{Allowed, Credential, FileUser, Group, User};
pub use users::{is_user_name, parse_users, right};
pub use written::Written;

/// A commented file with every section and its defaults. It passes the check as it is.
pub fn example() -> &'static str {
    include_str!("example.toml")
}

/// The settings as one file that loads back to them, except that passwords are masked.
///
/// Settings that were not loaded may hold what TOML cannot say (a path that is not UTF-8, a seed beyond `i64::MAX`);
/// then it is a comment that says so.
pub fn effective(settings: &Settings) -> String {
    toml::to_string(settings).unwrap_or_else(|error| format!("# these settings cannot be written as TOML: {error}\n"))
}

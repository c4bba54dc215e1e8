//! Typed settings of the gateway itself, its log and its admin page. Broker and radios have files of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::broker::Broker;
use super::listeners::{loopback, own_certificate};
use super::measurements::Measurements;
use super::plugin::Plugin;
use super::probe::{Probe, Reflector};
use super::radio::Radio;
use super::secret::MASK;
use super::text::off_or_address;
use super::trust::Trust;
use super::uplink::Uplink;
use crate::password::Hash;
use crate::tls;

/// All settings, checked: what is here fits together.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// `[gateway]`.
    pub gateway: Gateway,
    /// `[log]`.
    pub log: Log,
    /// `[broker]`.
    pub broker: Broker,
    /// `[admin]`.
    pub admin: Admin,
    /// `[measurements]`.
    pub measurements: Measurements,
    /// `[clock]`.
    pub clock: Clock,
    /// `[position]`.
    pub position: Position,
    /// `[[radio]]`, in the order of the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub radio: Vec<Radio>,
    /// `[plugins]`.
    pub plugins: Trust,
    /// `[[plugin]]`, in the order of messages' way: that of `order` in `[plugins]`, then that of the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugin: Vec<Plugin>,
    /// `[[uplink]]`, in the order of the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uplink: Vec<Uplink>,
    /// `[[probe]]`, in the order of the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probe: Vec<Probe>,
    /// `[reflector]`.
    pub reflector: Reflector,
}

impl Settings {
    /// Whatever in here could be the absolute path of a file: those of devices too, and topics that begin with a slash.
    pub fn paths(&self) -> Vec<PathBuf> {
        fn collect(value: &Value, found: &mut Vec<PathBuf>) {
            match value {
                Value::String(text) if text.starts_with('/') => found.push(text.into()),
                Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
                Value::Object(object) => object.values().for_each(|value| collect(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        // As they are shown, since no file that is added to the settings can be forgotten here then.
        collect(&serde_json::to_value(self).unwrap_or_default(), &mut found);
        found
    }
}

/// `[gateway]`: this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gateway {
    /// 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub id: String,
    /// Where everything that outlives a restart is kept; absolute.
    pub data_dir: PathBuf,
}

impl Default for Gateway {
    fn default() -> Self {
        Self { id: "stile".into(), data_dir: "/var/lib/stile".into() }
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Log {
    /// What is less important than this is not logged.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// Importance of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something may be about to fail.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// `journal` when `JOURNAL_STREAM` is set, `text` otherwise.
    #[default]
    Auto,
    /// One readable line each.
    Text,
    /// One JSON object each.
    Json,
    /// The systemd journal's own protocol.
    Journal,
}

/// `[clock]`: who is asked how far the machine's clock is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Clock {
    /// Where chronyd answers on this machine; `None` is written `"off"`. Nobody need be there: then the kernel is asked.
    #[serde(with = "off_or_address")]
    pub chrony: Option<SocketAddr>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { chrony: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 323))) }
    }
}

/// `[position]`: how it is known where the gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Position {
    /// The radio with `framing = "nmea"` whose sentences say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// `[admin]`: the page and its API, metrics and health.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Admin {
    /// Where it listens; `None` is written `"off"`.
    #[serde(with = "off_or_address")]
    pub listen: Option<SocketAddr>,
    /// The file with the certificate to show there, and those that vouch for it behind it. Without it, the gateway's own in
    /// the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The file with its key; there when the certificate is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The hash of the set-up code that was given out before the first start; the one of the log is good beside it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "masked")]
    pub setup_code_hash: Option<Hash>,
    /// What the files hold. None where it is plain HTTP, and when the gateway has still to make its own.
    #[serde(skip)]
    pub server: Option<tls::Server>,
}

fn masked<S: Serializer>(_: &Option<Hash>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(MASK)
}

impl Admin {
    /// Whether TLS is spoken there: everywhere but on loopback, and there too where a certificate is named.
    pub fn secure(&self) -> bool {
        self.certificate.is_some() || self.listen.is_some_and(|address| !loopback(address))
    }

    /// Reads the certificate that the gateway has made for itself since these settings were read.
    ///
    /// # Errors
    /// In words that name the file.
    pub fn read_own(&mut self, data_dir: &Path) -> Result<(), String> {
        let (chain, key) = own_certificate(data_dir)?;
        self.server = Some(tls::Server::new(chain, key, None)?);
        Ok(())
    }
}

impl Default for Admin {
    fn default() -> Self {
        let listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
        Self { listen, certificate: None, key: None, setup_code_hash: None, server: None }
    }
}

//! Ways to a remote: network paths, and proxies on them.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::uplink::Password;
use super::url::{place, place_of};

/// `proxy = { … }`: who makes the connection on the gateway's behalf.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proxy {
    /// Where it is, and what it speaks.
    pub url: ProxyUrl,
    /// The user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password; only with a user name.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP's CONNECT (RFC 9110, section 9.3.6).
    Http,
    /// SOCKS version 5 (RFC 1928).
    Socks5,
}

/// Where a proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    /// What it speaks.
    pub kind: ProxyKind,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl ProxyUrl {
    /// Reads `http://host:port` or `socks5://host:port`. There is no usual port.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let kind = match scheme {
            "http" => ProxyKind::Http,
            "socks5" => ProxyKind::Socks5,
            _ => return None,
        };
        let (host, port) = place_of(rest.strip_suffix('/').unwrap_or(rest))?;
        Some(Self { kind, host: host.to_owned(), port: port? })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}", place(&self.host, self.port))
    }
}

impl Serialize for ProxyUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One of an uplink's `paths`. With nothing in it, the way that the system chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkPath {
    /// What it is called, if the settings say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Connections leave by this interface alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Connections leave from this address of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Who makes the connection; `None`: the uplink's `proxy`, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

impl NetworkPath {
    /// What it is called: as the settings say, else like its interface, its address or its proxy's host, else `default`.
    pub fn label(&self) -> String {
        let named = self.name.clone().or_else(|| self.interface.clone());
        let placed = named.or_else(|| Some(self.address?.to_string()));
        placed.or_else(|| Some(self.proxy.as_ref()?.url.host.clone())).unwrap_or_else(|| "default".to_owned())
    }
}

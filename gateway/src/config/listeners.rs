//! Typed settings of the broker's doors: plain TCP, `[broker.tls]`, `[broker.websocket]`. Which of them others can reach.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::broker::Broker;
use super::files;
use crate::tls;

/// What a client speaks below MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// MQTT at once.
    Plain,
    /// TLS first.
    Tls,
    /// HTTP first.
    WebSocket,
    /// TLS, then HTTP.
    SecureWebSocket,
}

impl Door {
    /// The setting that names its addresses.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Plain => "broker.listen",
            Self::Tls => "broker.tls.listen",
            Self::WebSocket => "broker.websocket.listen",
            Self::SecureWebSocket => "broker.tls.websocket-listen",
        }
    }

    /// What is spoken there, for logs.
    pub fn speaks(self) -> &'static str {
        match self {
            Self::Plain => "MQTT",
            Self::Tls => "MQTT over TLS",
            Self::WebSocket => "MQTT over WebSocket",
            Self::SecureWebSocket => "MQTT over WebSocket over TLS",
        }
    }

    /// What lies below MQTT there, for pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "tcp",
            Self::Tls => "tls",
            Self::WebSocket => "websocket",
            Self::SecureWebSocket => "websocket-tls",
        }
    }

    /// Whether TLS is part of it.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::SecureWebSocket)
    }
}

/// `[broker.tls]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tls {
    /// Where clients connect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<SocketAddr>,
    /// Where clients of WebSocket connect. Of the two lists, at least one has an address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub websocket_listen: Vec<SocketAddr>,
    /// The file with the gateway's certificate, and those that vouch for it behind it. Without it, the gateway's own in the
    /// data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The file with its key; there when the certificate is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The file with the authorities that sign clients' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether a client must have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<ClientCertificates>,
    /// Whether the common name in it is the user's name.
    pub client_certificate_user: bool,
    /// What the files hold. None when the gateway has still to make its own.
    #[serde(skip)]
    pub server: Option<tls::Server>,
}

/// `[broker.websocket]`: ports for WebSocket beside the admin port, which always has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WebSocket {
    /// Where clients connect.
    pub listen: Vec<SocketAddr>,
}

/// Whether clients must have a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificates {
    /// Only clients with a certificate.
    Required,
    /// Others too; they need a name and a password.
    Optional,
}

impl Tls {
    /// Reads the certificate that the gateway has made for itself since these settings were read.
    ///
    /// # Errors
    /// In words that name the file.
    pub fn read_own(&mut self, data_dir: &Path) -> Result<(), String> {
        let (chain, key) = own_certificate(data_dir)?;
        let authorities = self.client_ca.as_deref().map(|path| tls::Authorities::read(&read_pem(path)?)).transpose()?;
        let clients = authorities.map(|authorities| (authorities, self.certificates_required()));
        self.server = Some(tls::Server::new(chain, key, clients)?);
        Ok(())
    }

    /// Whether whoever connects has shown a certificate.
    pub fn certificates_required(&self) -> bool {
        self.client_certificates == Some(ClientCertificates::Required)
    }
}

/// The certificate that the gateway has made for itself, and its key.
pub(super) fn own_certificate(data_dir: &Path) -> Result<(tls::Chain, tls::Key), String> {
    let own = |name: &str| read_pem(&data_dir.join(tls::FOLDER).join(name));
    Ok((tls::Chain::read(&own(tls::CERTIFICATE)?)?, tls::Key::read(&own(tls::KEY)?)?))
}

fn read_pem(path: &Path) -> Result<Vec<u8>, String> {
    files::read_pem(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl Broker {
    /// Everywhere that clients connect.
    pub fn listeners(&self) -> Vec<(Door, SocketAddr)> {
        let plain = self.listen.iter().map(|address| (Door::Plain, *address));
        let tls = self.tls.iter().flat_map(|tls| &tls.listen).map(|address| (Door::Tls, *address));
        let websocket = self.websocket.iter().flat_map(|w| &w.listen).map(|address| (Door::WebSocket, *address));
        let secure = self.tls.iter().flat_map(|tls| &tls.websocket_listen);
        let secure = secure.map(|address| (Door::SecureWebSocket, *address));
        plain.chain(tls).chain(websocket).chain(secure).collect()
    }

    /// Whether a client from `address` needs no name only because the broker's own listeners are out of its reach.
    /// It can come by another door, the admin port, which may listen elsewhere.
    pub fn anonymous_by_mistake(&self, address: IpAddr, more_users: bool) -> bool {
        !address.to_canonical().is_loopback() && self.anonymous(more_users) && !self.allow_anonymous
    }

    /// The first listener that somebody else than this machine can reach without a certificate.
    pub fn exposed(&self) -> Option<(Door, SocketAddr)> {
        let certified = self.tls.as_ref().is_some_and(Tls::certificates_required);
        let safe = |door: Door, address| loopback(address) || (door.is_secure() && certified);
        self.listeners().into_iter().find(|(door, address)| !safe(*door, *address))
    }
}

/// Whether only this machine can reach `address`.
pub(super) fn loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

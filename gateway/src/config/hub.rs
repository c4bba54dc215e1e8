//! Typed settings of an Azure IoT hub: `[uplink.hub]`, with `profile = "azure-iot-hub"`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::duration;
use super::secret::Secret;
use super::uplink::InFile;

/// Who the gateway is to a hub, and what it takes from there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hub {
    /// The hub's full name, as it stands in names and tokens, wherever the URL leads.
    pub host_name: String,
    /// The device's key; `None`: the gateway shows a certificate.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub shared_access_key: Option<SharedAccessKey>,
    /// How long a token is good; 5 s to 30 days.
    #[serde(with = "duration")]
    pub token_life: Duration,
    /// What comes from there.
    pub receive: Vec<Receive>,
    /// How long somebody here may take to answer a direct method; 1 s to 5 min.
    #[serde(with = "duration")]
    pub method_timeout: Duration,
}

/// A device's key, or its connection string, and where that is written.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedAccessKey {
    /// In the settings.
    SharedAccessKey(Secret),
    /// In a file of its own.
    SharedAccessKeyFile(InFile),
}

/// What comes from a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Receive {
    /// Cloud-to-device messages.
    Messages,
    /// Calls of direct methods.
    Methods,
    /// The device's twin, and what becomes of it.
    Twin,
}

impl Receive {
    /// All of it.
    pub const ALL: [Self; 3] = [Self::Messages, Self::Methods, Self::Twin];
}

impl Hub {
    /// One with the defaults of all that is not named here, without a key.
    pub fn new(host_name: &str) -> Self {
        Self {
            host_name: host_name.to_owned(),
            shared_access_key: None,
            token_life: Duration::from_secs(3600),
            receive: Receive::ALL.to_vec(),
            method_timeout: Duration::from_secs(30),
        }
    }

    /// The device's key, decoded.
    pub fn key(&self) -> Option<Vec<u8>> {
        let secret = match self.shared_access_key.as_ref()? {
            SharedAccessKey::SharedAccessKey(secret) => secret,
            SharedAccessKey::SharedAccessKeyFile(file) => &file.secret,
        };
        Credential::parse(secret.expose()).ok().map(|credential| credential.key)
    }
}

/// What a key or a connection string says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) host: Option<String>,
    pub(super) device: Option<String>,
    pub(super) key: Vec<u8>,
}

impl Credential {
    /// Reads a device's key, in base64, or its connection string: `HostName=...;DeviceId=...;SharedAccessKey=...`.
    ///
    /// # Errors
    /// In words that go behind "which "; the text is not repeated.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut host, mut device, mut key) = (None, None, None);
        if text.contains(';') {
            for (name, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
                match name {
                    "HostName" => host = Some(value.to_owned()),
                    "DeviceId" => device = Some(value.to_owned()),
                    "SharedAccessKey" => key = Some(value),
                    "SharedAccessKeyName" => return Err("is the connection string of a policy, not of a device"),
                    "ModuleId" => return Err("is the connection string of a module, not of a device"),
                    _ => {}
                }
            }
            if host.is_none() || device.is_none() {
                return Err("is a connection string without `HostName` or `DeviceId`");
            }
        } else {
            key = Some(text);
        }
        let key = STANDARD.decode(key.ok_or("is a connection string without `SharedAccessKey`")?);
        let key = key.ok().filter(|key| !key.is_empty()).ok_or("is no key in base64 and no connection string")?;
        Ok(Self { host, device, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_connection_string_are_told_apart() {
        let key = Credential::parse("c2VjcmV0").ok().unwrap();
        assert_eq!((key.host, key.device, key.key), (None, None, b"secret".to_vec()));
        let text = "HostName=roof.azure-devices.net;DeviceId=gw-1;SharedAccessKey=c2VjcmV0MQ==";
        let key = Credential::parse(text).ok().unwrap();
        assert_eq!((key.host.as_deref(), key.device.as_deref()), (Some("roof.azure-devices.net"), Some("gw-1")));
        assert_eq!(key.key, b"secret1");
        for (text, is) in [
            ("HostName=h;SharedAccessKeyName=service;SharedAccessKey=c2VjcmV0", "of a policy"),
            ("HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=c2VjcmV0", "of a module"),
            ("HostName=h;DeviceId=d;x509=true", "without `SharedAccessKey`"),
            ("DeviceId=d;SharedAccessKey=c2VjcmV0", "without `HostName`"),
            ("no key", "no key in base64"),
            ("", "no key in base64"),
        ] {
            assert!(Credential::parse(text).is_err_and(|why| why.contains(is)), "{text}");
        }
    }
}

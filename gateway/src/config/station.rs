//! Typed settings of a server for LoRa Basics Station: `[[radio]]` with `kind = "basics-station"`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::lora::Eui;
use super::secret::Secret;
use crate::tls;

/// The channels of 125 kHz that a concentrator has.
pub const CHANNELS_MAX: usize = 8;

/// The radios that a concentrator has.
pub const RADIOS: usize = 2;

/// How far apart two channels of one radio may be, in Hz: each lies within 400 kHz of its centre (basicstation,
/// `sx130xconf.c`).
pub(super) const RADIO_SPAN: u32 = 800_000;

/// The server of LoRa Basics Station's LNS protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BasicsStation {
    /// Where it listens.
    pub listen: SocketAddr,
    /// TLS; without it, whoever is on the way can read and change everything, tokens too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<StationTls>,
    /// Who may connect. None, which only loopback allows: whoever can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<StationGateway>,
    /// The channels of 125 kHz that gateways are told to listen on, in Hz. Empty: the region's first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<u32>,
}

/// A gateway that may connect.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StationGateway {
    /// Its identifier.
    pub eui: Eui,
    /// What its `Authorization` must be. Without it, its certificate alone counts, where certificates are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// `[radio.tls]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StationTls {
    /// The file with the server's certificate, and those that vouch for it behind it.
    pub certificate: PathBuf,
    /// The file with its key.
    pub key: PathBuf,
    /// The file with the authorities that sign gateways' certificates. With it, each gateway must have one, whose common
    /// name is its EUI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// What the files hold.
    #[serde(skip)]
    pub server: tls::Server,
}

/// Shares channels out to radios, in the order of their frequencies. `None` where they lie too far apart.
pub fn share_out(channels: &[u32]) -> Option<Vec<Vec<u32>>> {
    let mut sorted = channels.to_vec();
    sorted.sort_unstable();
    let mut radios: Vec<Vec<u32>> = Vec::new();
    for channel in sorted {
        match radios.last_mut() {
            Some(radio) if radio.first().is_some_and(|first| channel - first <= RADIO_SPAN) => radio.push(channel),
            _ => radios.push(vec![channel]),
        }
    }
    (radios.len() <= RADIOS).then_some(radios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_shared_out_to_two_radios_or_refused() {
        let us = [902_300_000, 902_500_000, 903_100_000, 903_300_000, 903_700_000];
        assert_eq!(share_out(&us), Some(vec![us[..3].to_vec(), us[3..].to_vec()]));
        assert_eq!(share_out(&[868_500_000, 868_100_000]), Some(vec![vec![868_100_000, 868_500_000]]));
        assert_eq!(share_out(&[]), Some(vec![]));
        assert_eq!(share_out(&[863_100_000, 865_100_000, 868_100_000]), None);
        assert_eq!(share_out(&[0, u32::MAX]), Some(vec![vec![0], vec![u32::MAX]]));
    }
}

//! Which channels a gateway is to have.

use serde::{Deserialize, Serialize};

use super::Duration;

/// `gw.GatewayConfiguration`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayConfiguration {
    /// Which version of the settings it is; told back in the statistics.
    #[prost(string, tag = "2")]
    pub version: String,
    /// What it listens on.
    #[prost(message, repeated, tag = "3")]
    pub channels: Vec<ChannelConfiguration>,
    /// Between two statistics.
    #[prost(message, optional, tag = "4")]
    #[serde(alias = "stats_interval", skip_serializing_if = "Option::is_none")]
    pub stats_interval: Option<Duration>,
    /// Who: its EUI in hex.
    #[prost(string, tag = "5")]
    #[serde(alias = "gateway_id")]
    pub gateway_id: String,
}

/// `gw.ChannelConfiguration`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChannelConfiguration {
    /// In Hz.
    #[prost(uint32, tag = "1")]
    pub frequency: u32,
    /// LoRa, or the next.
    #[prost(message, optional, tag = "3")]
    #[serde(alias = "lora_modulation_config", skip_serializing_if = "Option::is_none")]
    pub lora_modulation_config: Option<LoraModulationConfig>,
    /// FSK.
    #[prost(message, optional, tag = "4")]
    #[serde(alias = "fsk_modulation_config", skip_serializing_if = "Option::is_none")]
    pub fsk_modulation_config: Option<FskModulationConfig>,
    /// Which concentrator of the gateway.
    #[prost(uint32, tag = "5")]
    pub board: u32,
    /// Which of its demodulators.
    #[prost(uint32, tag = "6")]
    pub demodulator: u32,
}

/// `gw.LoraModulationConfig`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoraModulationConfig {
    /// All that are heard.
    #[prost(uint32, repeated, tag = "2")]
    #[serde(alias = "spreading_factors")]
    pub spreading_factors: Vec<u32>,
    /// In Hz.
    #[prost(uint32, tag = "3")]
    pub bandwidth: u32,
}

/// `gw.FskModulationConfig`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FskModulationConfig {
    /// In bits a second.
    #[prost(uint32, tag = "2")]
    pub bitrate: u32,
    /// In Hz.
    #[prost(uint32, tag = "3")]
    pub bandwidth: u32,
}

//! How a gateway is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::common::is_zero;
use super::{Duration, Location, Modulation, Timestamp, enums};

/// `gw.GatewayStats`: counts since the last one.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStats {
    /// Who: its EUI in hex.
    #[prost(string, tag = "17")]
    pub gateway_id: String,
    /// When, by the gateway's clock.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Where it is.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The version of the settings that were last sent to it.
    #[prost(string, tag = "4")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config_version: String,
    /// Frames that it heard.
    #[prost(uint32, tag = "5")]
    pub rx_packets_received: u32,
    /// Those of them whose checksum was right.
    #[prost(uint32, tag = "6")]
    pub rx_packets_received_ok: u32,
    /// Frames that it was to send.
    #[prost(uint32, tag = "7")]
    pub tx_packets_received: u32,
    /// Those that it sent.
    #[prost(uint32, tag = "8")]
    pub tx_packets_emitted: u32,
    /// What else is known.
    #[prost(btree_map = "string, string", tag = "10")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Frames sent, by frequency in Hz.
    #[prost(btree_map = "uint32, uint32", tag = "12")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tx_packets_per_frequency: BTreeMap<u32, u32>,
    /// Frames heard, by frequency in Hz.
    #[prost(btree_map = "uint32, uint32", tag = "13")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rx_packets_per_frequency: BTreeMap<u32, u32>,
    /// Frames sent, by modulation.
    #[prost(message, repeated, tag = "14")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tx_packets_per_modulation: Vec<PerModulationCount>,
    /// Frames heard, by modulation.
    #[prost(message, repeated, tag = "15")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rx_packets_per_modulation: Vec<PerModulationCount>,
    /// Downlinks, by what became of them.
    #[prost(btree_map = "string, uint32", tag = "16")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tx_packets_per_status: BTreeMap<String, u32>,
    /// Air time used.
    #[prost(message, optional, tag = "18")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duty_cycle_stats: Option<DutyCycleStats>,
}

/// `gw.DutyCycleStats`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DutyCycleStats {
    /// Whose rule it is.
    #[prost(enumeration = "super::Regulation", tag = "1")]
    #[serde(with = "enums::regulation")]
    pub regulation: i32,
    /// The time that is looked back.
    #[prost(message, optional, tag = "2")]
    pub window: Option<Duration>,
    /// The parts of the band.
    #[prost(message, repeated, tag = "3")]
    pub bands: Vec<DutyCycleBand>,
}

/// `gw.DutyCycleBand`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DutyCycleBand {
    /// For people.
    #[prost(string, tag = "1")]
    pub name: String,
    /// In Hz.
    #[prost(uint32, tag = "2")]
    pub frequency_min: u32,
    /// In Hz.
    #[prost(uint32, tag = "3")]
    pub frequency_max: u32,
    /// Air time that is allowed within the window.
    #[prost(message, optional, tag = "4")]
    pub load_max: Option<Duration>,
    /// Air time that was used within it.
    #[prost(message, optional, tag = "5")]
    pub load_tracked: Option<Duration>,
}

/// `gw.PerModulationCount`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PerModulationCount {
    /// How.
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulation: Option<Modulation>,
    /// How many.
    #[prost(uint32, tag = "2")]
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u32,
}

/// `gw.ConnState`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnState {
    /// Who: its EUI in hex.
    #[prost(string, tag = "3")]
    pub gateway_id: String,
    /// Whether it is there.
    #[prost(enumeration = "super::ConnectionState", tag = "2")]
    #[serde(with = "enums::connection_state")]
    pub state: i32,
}

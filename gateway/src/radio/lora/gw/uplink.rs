//! What a gateway heard.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Duration, Location, Modulation, Timestamp, enums, json};

/// `gw.UplinkFrame`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UplinkFrame {
    /// The frame as it was on the air, from the MAC header to the MIC.
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(with = "json::bytes")]
    pub phy_payload: Bytes,
    /// How it was sent.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_info: Option<UplinkTxInfo>,
    /// How it was heard.
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_info: Option<UplinkRxInfo>,
}

/// `gw.UplinkTxInfo`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UplinkTxInfo {
    /// In Hz.
    #[prost(uint32, tag = "1")]
    pub frequency: u32,
    /// How.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulation: Option<Modulation>,
}

/// `gw.UplinkRxInfo`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UplinkRxInfo {
    /// Who heard it: its EUI in hex.
    #[prost(string, tag = "1")]
    pub gateway_id: String,
    /// Tells uplinks apart in logs; random.
    #[prost(uint32, tag = "2")]
    pub uplink_id: u32,
    /// When, by the gateway's GPS.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gw_time: Option<Timestamp>,
    /// When it reached this process.
    #[prost(message, optional, tag = "17")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_time: Option<Timestamp>,
    /// When, since GPS time began on 6 January 1980.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_since_gps_epoch: Option<Duration>,
    /// The same to nanoseconds.
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_time_since_gps_epoch: Option<Duration>,
    /// In dBm.
    #[prost(int32, tag = "6")]
    pub rssi: i32,
    /// In dB.
    #[prost(float, tag = "7")]
    pub snr: f32,
    /// The concentrator's channel.
    #[prost(uint32, tag = "8")]
    pub channel: u32,
    /// Its radio.
    #[prost(uint32, tag = "9")]
    pub rf_chain: u32,
    /// Which concentrator of the gateway.
    #[prost(uint32, tag = "10")]
    pub board: u32,
    /// Which antenna.
    #[prost(uint32, tag = "11")]
    pub antenna: u32,
    /// Where the gateway is.
    #[prost(message, optional, tag = "12")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What an answer must bring back: here the concentrator's counter, four bytes, the most significant first.
    #[prost(bytes = "bytes", tag = "13")]
    #[serde(with = "json::bytes")]
    pub context: Bytes,
    /// For people who look: what of the frame is not encrypted.
    #[prost(btree_map = "string, string", tag = "15")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Its checksum.
    #[prost(enumeration = "super::CrcStatus", tag = "16")]
    #[serde(with = "enums::crc_status")]
    pub crc_status: i32,
}

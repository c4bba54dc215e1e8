//! What a server wants sent, and what became of it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Duration, Modulation, enums, json};

/// `gw.DownlinkFrame`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DownlinkFrame {
    /// What the acknowledgement will be known by.
    #[prost(uint32, tag = "3")]
    #[serde(alias = "downlink_id")]
    pub downlink_id: u32,
    /// Tried in their order; at most one is sent.
    #[prost(message, repeated, tag = "5")]
    pub items: Vec<DownlinkFrameItem>,
    /// Who is to send it: its EUI in hex.
    #[prost(string, tag = "7")]
    #[serde(alias = "gateway_id")]
    pub gateway_id: String,
}

/// `gw.DownlinkFrameItem`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DownlinkFrameItem {
    /// The frame.
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(with = "json::bytes", alias = "phy_payload")]
    pub phy_payload: Bytes,
    /// How and when.
    #[prost(message, optional, tag = "3")]
    #[serde(alias = "tx_info", skip_serializing_if = "Option::is_none")]
    pub tx_info: Option<DownlinkTxInfo>,
}

/// `gw.DownlinkTxInfo`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DownlinkTxInfo {
    /// In Hz.
    #[prost(uint32, tag = "1")]
    pub frequency: u32,
    /// EIRP in dBm.
    #[prost(int32, tag = "2")]
    pub power: i32,
    /// How.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulation: Option<Modulation>,
    /// Which concentrator of the gateway.
    #[prost(uint32, tag = "4")]
    pub board: u32,
    /// Which antenna.
    #[prost(uint32, tag = "5")]
    pub antenna: u32,
    /// When.
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// That of the uplink which it answers.
    #[prost(bytes = "bytes", tag = "7")]
    #[serde(with = "json::bytes")]
    pub context: Bytes,
}

/// `gw.Timing`: one of the three.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timing {
    /// Now.
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immediately: Option<ImmediatelyTiming>,
    /// So long after the uplink.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<DelayTiming>,
    /// At a GPS time.
    #[prost(message, optional, tag = "3")]
    #[serde(alias = "gps_epoch", skip_serializing_if = "Option::is_none")]
    pub gps_epoch: Option<GpsEpochTiming>,
}

/// `gw.ImmediatelyTimingInfo`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct ImmediatelyTiming {}

/// `gw.DelayTimingInfo`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DelayTiming {
    /// From the uplink's end.
    #[prost(message, optional, tag = "1")]
    pub delay: Option<Duration>,
}

/// `gw.GPSEpochTimingInfo`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GpsEpochTiming {
    /// Since GPS time began on 6 January 1980.
    #[prost(message, optional, tag = "1")]
    #[serde(alias = "time_since_gps_epoch")]
    pub time_since_gps_epoch: Option<Duration>,
}

/// `gw.DownlinkTxAck`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DownlinkTxAck {
    /// Who: its EUI in hex.
    #[prost(string, tag = "6")]
    pub gateway_id: String,
    /// That of the downlink.
    #[prost(uint32, tag = "2")]
    pub downlink_id: u32,
    /// As many as the downlink has.
    #[prost(message, repeated, tag = "5")]
    pub items: Vec<DownlinkTxAckItem>,
}

/// `gw.DownlinkTxAckItem`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DownlinkTxAckItem {
    /// What became of it.
    #[prost(enumeration = "super::TxAckStatus", tag = "1")]
    #[serde(with = "enums::tx_ack_status")]
    pub status: i32,
}

/// `gw.RawPacketForwarderCommand`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RawPacketForwarderCommand {
    /// What is to be sent to the packet forwarder.
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(with = "json::bytes")]
    pub payload: Bytes,
}

//! ChirpStack's messages between a gateway and its server: the part of its `gw.proto` (package `gw`, ChirpStack 4) that is
//! spoken here, with its field numbers, and its JSON mapping.
//!
//! Owns how these messages are written and read. Never decides what is in them.
//! Written down here and not generated: `chirpstack_api` needs `protoc` to be built, and 20 crates. Fields marked as
//! deprecated there are neither written nor read. A `oneof` stands here as optional fields, which on the wire is the
//! same; so it is in JSON.
//!
//! Map: `uplink.rs`, `downlink.rs`, `configuration.rs`, `stats.rs` are the messages, `concentratord.rs` what carries them to
//! and from Concentratord, `common.rs` what they share, `enums.rs` the closed sets,
//! `json.rs` the JSON of single values.

mod common;
mod concentratord;
mod configuration;
mod downlink;
mod enums;
mod json;
mod stats;
#[cfg(test)]
mod tests;
mod uplink;

use bytes::Bytes;
pub(super) use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use common::{
    Duration, FskModulationInfo, Location, LoraModulationInfo, LrFhssModulationInfo, Modulation, Timestamp,
};
pub use concentratord::{Command, Event, GetGatewayIdRequest, GetGatewayIdResponse};
pub use configuration::{ChannelConfiguration, FskModulationConfig, GatewayConfiguration, LoraModulationConfig};
pub use downlink::{
    DelayTiming, DownlinkFrame, DownlinkFrameItem, DownlinkTxAck, DownlinkTxAckItem, DownlinkTxInfo, GpsEpochTiming,
    ImmediatelyTiming, RawPacketForwarderCommand, Timing,
};
pub use enums::{CodeRate, ConnectionState, CrcStatus, LocationSource, Regulation, TxAckStatus};
pub use stats::{ConnState, DutyCycleBand, DutyCycleStats, GatewayStats, PerModulationCount};
pub use uplink::{UplinkFrame, UplinkRxInfo, UplinkTxInfo};

use crate::config::LoraFormat;

/// A message as it is published.
pub(super) fn encode<M: Message + Serialize>(message: &M, format: LoraFormat) -> Bytes {
    match format {
        LoraFormat::Protobuf => message.encode_to_vec().into(),
        // Maps with keys that are no text are what it can't write, and there are none.
        LoraFormat::Json => serde_json::to_vec(message).unwrap_or_default().into(),
    }
}

/// A message that somebody published: JSON where it begins like an object, else protocol buffers. None of the messages
/// has field 15 with wire type 3, which is what the byte `{` would begin.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn decode<M: Message + DeserializeOwned + Default>(payload: &[u8]) -> Result<M, String> {
    if payload.first() == Some(&b'{') {
        return serde_json::from_slice(payload).map_err(|error| error.to_string());
    }
    M::decode(payload).map_err(|error| error.to_string())
}

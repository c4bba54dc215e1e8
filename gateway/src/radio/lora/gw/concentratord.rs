//! What carries the other messages to and from Concentratord (4.5 and later). On the wire alone: nobody has these in JSON.

use super::{DownlinkFrame, GatewayConfiguration, GatewayStats, UplinkFrame};

/// `gw.Event`: one of the two; what a Gateway Mesh tells is not read.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Event {
    /// A frame was heard.
    #[prost(message, optional, tag = "1")]
    pub uplink_frame: Option<UplinkFrame>,
    /// How the gateway is.
    #[prost(message, optional, tag = "2")]
    pub gateway_stats: Option<GatewayStats>,
}

/// `gw.Command`: one of the three; those for a position and for a Gateway Mesh are not written.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    /// Send this.
    #[prost(message, optional, tag = "1")]
    pub send_downlink_frame: Option<DownlinkFrame>,
    /// Have these channels.
    #[prost(message, optional, tag = "2")]
    pub set_gateway_configuration: Option<GatewayConfiguration>,
    /// Say who you are.
    #[prost(message, optional, tag = "3")]
    pub get_gateway_id: Option<GetGatewayIdRequest>,
}

/// `gw.GetGatewayIdRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct GetGatewayIdRequest {}

/// `gw.GetGatewayIdResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct GetGatewayIdResponse {
    /// Its EUI in hex.
    #[prost(string, tag = "1")]
    pub gateway_id: String,
}

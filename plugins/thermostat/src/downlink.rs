//! Writes commands as network servers take them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use stile_filter::uplink::Format;
use stile_filter::{Draft, Qos};

use crate::settings::{Downlink, Thermostat};

/// A command for one thermostat, with the quality of service of what asked for it.
pub(crate) fn draft(downlink: &Downlink, name: &str, thermostat: &Thermostat, command: &[u8], qos: Qos) -> Draft {
    let port = downlink.port.unwrap_or_else(|| thermostat.model.port());
    let data = STANDARD.encode(command);
    let json = |payload: serde_json::Value| (payload.to_string().into_bytes(), "application/json");
    let (payload, content_type) = match downlink.format {
        // ChirpStack: api/proto/integration/integration.proto, DownlinkCommand.
        Format::Chirpstack => json(json!({
            "devEui": thermostat.device, "confirmed": downlink.confirmed, "fPort": port, "data": data,
        })),
        // The Things Stack: MQTT server, publishing downlink traffic.
        Format::TheThingsStack => json(json!({
            "downlinks": [{ "f_port": port, "frm_payload": data, "confirmed": downlink.confirmed }],
        })),
        Format::Bytes => (command.to_vec(), "application/octet-stream"),
        Format::Hex => {
            (command.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes(), "text/plain")
        }
        Format::Base64 => (data.into_bytes(), "text/plain"),
    };
    let content_type = Some(content_type.to_owned());
    Draft { qos, content_type, ..Draft::new(downlink.topic(name, &thermostat.device), payload) }
}

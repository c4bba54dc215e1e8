//! Downlinks by hand: made of fields or of ChirpStack's JSON, and what their acknowledgement says.

use bytes::Bytes;

use super::events::GatewayTopics;
use super::gw::{
    self, CodeRate, DownlinkFrame, DownlinkFrameItem, DownlinkTxAck, DownlinkTxInfo, ImmediatelyTiming,
    LoraModulationInfo, Modulation, Timing, TxAckStatus,
};
use crate::config::{Eui, LoraFormat};
use crate::message::{Topic, TopicError};
use crate::radio::{LoraFields, Outcome};

/// A downlink for a gateway.
pub(in crate::radio) struct Downlink {
    /// Who is to send it.
    pub(in crate::radio) eui: Eui,
    /// What its acknowledgement is known by.
    pub(in crate::radio) id: u32,
    /// `gw.DownlinkFrame` as JSON.
    pub(in crate::radio) payload: Bytes,
}

/// Where a gateway takes downlinks, and where it says what became of them.
///
/// # Errors
/// When the prefix can't begin a topic.
pub(in crate::radio) fn topics(prefix: &str, eui: Eui) -> Result<(Topic, Topic), TopicError> {
    GatewayTopics::new(prefix, eui).map(|topics| (topics.down, topics.ack))
}

/// One frame, to be sent at once and to be heard by devices, which listen for frames with their IQ inverted.
///
/// # Errors
/// In words.
pub(in crate::radio) fn of_fields(fields: &LoraFields) -> Result<Downlink, String> {
    let modulation = Modulation::lora(LoraModulationInfo {
        bandwidth: fields.bandwidth,
        spreading_factor: fields.factor,
        code_rate: CodeRate::Cr45 as i32,
        polarization_inversion: true,
        ..LoraModulationInfo::default()
    });
    let tx_info = DownlinkTxInfo {
        frequency: fields.frequency,
        power: fields.power,
        modulation: Some(modulation),
        timing: Some(Timing { immediately: Some(ImmediatelyTiming {}), ..Timing::default() }),
        ..DownlinkTxInfo::default()
    };
    let item = DownlinkFrameItem { phy_payload: fields.phy.clone(), tx_info: Some(tx_info) };
    made(DownlinkFrame { downlink_id: 0, items: vec![item], gateway_id: fields.gateway.clone() })
}

/// What a network server would publish. Where it names no gateway, `gateway` sends it.
///
/// # Errors
/// In words.
pub(in crate::radio) fn of_json(gateway: Option<String>, json: &str) -> Result<Downlink, String> {
    if !json.trim_start().starts_with('{') {
        return Err("the downlink is no JSON object".to_owned());
    }
    let mut frame: DownlinkFrame =
        gw::decode(json.trim_start().as_bytes()).map_err(|error| format!("the downlink: {error}"))?;
    if frame.gateway_id.is_empty() {
        frame.gateway_id = gateway.unwrap_or_default();
    }
    if frame.items.is_empty() {
        return Err("the downlink has no items".to_owned());
    }
    made(frame)
}

fn made(mut frame: DownlinkFrame) -> Result<Downlink, String> {
    let eui = Eui::parse(&frame.gateway_id).ok_or("name the gateway by its EUI: 16 hex digits")?;
    if frame.items.iter().any(|item| item.phy_payload.is_empty()) {
        return Err("there is no frame to send: give its bytes, from the MAC header to the MIC".to_owned());
    }
    // Of 0 nobody could tell whose it is.
    if frame.downlink_id == 0 {
        frame.downlink_id = fastrand::u32(1..);
    }
    Ok(Downlink { eui, id: frame.downlink_id, payload: gw::encode(&frame, LoraFormat::Json) })
}

/// What an acknowledgement says of the downlink with this id.
pub(in crate::radio) fn outcome(id: u32, payload: &[u8]) -> Option<Outcome> {
    let ack: DownlinkTxAck = gw::decode(payload).ok().filter(|ack: &DownlinkTxAck| ack.downlink_id == id)?;
    let word = |status: i32| TxAckStatus::try_from(status).map_or("unknown", TxAckStatus::as_str);
    let words: Vec<_> = ack.items.iter().map(|item| word(item.status)).collect();
    let sent = ack.items.iter().any(|item| item.status == TxAckStatus::Ok as i32);
    let result = if sent { "sent" } else { "refused" };
    Some(Outcome { sent, result, detail: words.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_downlink_in_json_keeps_its_id_and_its_gateway() {
        let json = r#"{"downlinkId":7,"gatewayId":"0016c001ff10a235","items":[{"phyPayload":"YA=="}]}"#;
        let downlink = of_json(Some("0000000000000001".into()), json).unwrap();
        assert_eq!((downlink.id, downlink.eui.to_string().as_str()), (7, "0016c001ff10a235"));
        let unnamed = of_json(Some("0000000000000001".into()), r#" {"items":[{"phyPayload":"YA=="}]}"#).unwrap();
        assert!(unnamed.id > 0 && unnamed.eui == Eui(1));
        for (json, what) in [
            ("CAE=", "no JSON object"),
            ("{", "the downlink: EOF"),
            ("{}", "no items"),
            (r#"{"items":[{}],"gatewayId":"0016c001ff10a235"}"#, "no frame to send"),
            (r#"{"items":[{"phyPayload":"YA=="}]}"#, "name the gateway"),
        ] {
            let error = of_json(None, json).err().unwrap();
            assert!(error.contains(what), "{json}: {error}");
        }
    }

    #[test]
    fn an_acknowledgement_is_known_by_its_id_and_says_what_became_of_each_item() {
        let ack = |statuses: &str| format!(r#"{{"downlinkId":7,"items":[{statuses}]}}"#);
        assert_eq!(outcome(8, ack("").as_bytes()), None);
        let sent = outcome(7, ack(r#"{"status":"TOO_LATE"},{"status":"OK"}"#).as_bytes()).unwrap();
        assert_eq!((sent.sent, sent.detail.as_str()), (true, "TOO_LATE, OK"));
        let refused = outcome(7, ack(r#"{"status":"TX_FREQ"}"#).as_bytes()).unwrap();
        assert_eq!((refused.sent, refused.result, refused.detail.as_str()), (false, "refused", "TX_FREQ"));
        let packed = gw::encode(&DownlinkTxAck { downlink_id: 7, ..DownlinkTxAck::default() }, LoraFormat::Protobuf);
        assert!(!outcome(7, &packed).unwrap().sent);
    }
}

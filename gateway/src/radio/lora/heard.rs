//! What a message says of a frame that was heard: an event of ChirpStack's topics, or what a modem heard.

use std::time::SystemTime;

use serde_json::Value;

use super::airtime::{Lora, Modulation};
use super::gw::{self, CodeRate, CrcStatus, UplinkFrame};
use super::tap::{Checksum, Heard};
use crate::config::CodingRate;
use crate::message::Message;

/// Reads a message of a LoRa radio that came in at `time`; `None` for all but frames that were heard.
pub fn of_message(topic: &str, payload: &[u8], time: SystemTime) -> Option<Heard> {
    if topic.ends_with("/event/up") {
        return of_gateway(&gw::decode(payload).ok()?, time);
    }
    if topic.ends_with("/up") { of_modem(&serde_json::from_slice(payload).ok()?, time) } else { None }
}

fn of_gateway(frame: &UplinkFrame, time: SystemTime) -> Option<Heard> {
    let (sent, heard) = (frame.tx_info.as_ref()?, frame.rx_info.as_ref()?);
    let modulation = sent.modulation?;
    let modulation = match (modulation.lora, modulation.fsk) {
        (Some(lora), _) => Modulation::Lora(Lora {
            coding_rate: denominator(lora.code_rate()),
            ..Lora::lorawan(u8::try_from(lora.spreading_factor).ok()?, lora.bandwidth)
        }),
        (None, Some(fsk)) => Modulation::Fsk { bitrate: fsk.datarate },
        (None, None) => return None,
    };
    let checksum = match heard.crc_status() {
        CrcStatus::NoCrc => Checksum::Missing,
        CrcStatus::BadCrc => Checksum::Wrong,
        CrcStatus::CrcOk => Checksum::Right,
    };
    Some(Heard {
        time,
        gateway: u64::from_str_radix(&heard.gateway_id, 16).unwrap_or_default(),
        tmst: heard.context[..].try_into().map_or(0, u32::from_be_bytes),
        frequency: sent.frequency,
        modulation,
        rssi: Some(heard.rssi),
        snr: heard.snr,
        checksum,
        channel: u8::try_from(heard.channel).unwrap_or(u8::MAX),
        rf_chain: u8::try_from(heard.rf_chain).unwrap_or(u8::MAX),
        payload: frame.phy_payload.clone(),
    })
}

fn denominator(rate: CodeRate) -> u8 {
    match rate {
        CodeRate::Cr45 => 5,
        CodeRate::Cr46 => 6,
        CodeRate::Cr47 => 7,
        CodeRate::Cr48 => 8,
        _ => 0,
    }
}

/// The envelope of `serial/<name>/up`. A modem tells nobody of frames whose checksum is wrong.
fn of_modem(envelope: &Value, time: SystemTime) -> Option<Heard> {
    let meta = &envelope["meta"];
    let number = |key: &str| meta[key].as_u64().and_then(|number| u32::try_from(number).ok());
    let factor = u8::try_from(number("spreading-factor")?).ok()?;
    let coding_rate = meta["coding-rate"].as_str().and_then(CodingRate::parse).map_or(0, CodingRate::denominator);
    let text = |key: &str| envelope[key].as_str();
    Some(Heard {
        time,
        gateway: 0,
        tmst: 0,
        frequency: number("frequency")?,
        modulation: Modulation::Lora(Lora { coding_rate, ..Lora::lorawan(factor, number("bandwidth")?) }),
        rssi: meta["rssi"].as_f64().map(|rssi| rssi.round() as i32),
        snr: meta["snr"].as_f64().unwrap_or_default() as f32,
        checksum: Checksum::Right,
        channel: 0,
        rf_chain: 0,
        payload: Message::read_payload(text("encoding")?, text("payload")?.to_owned())?.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// As ChirpStack writes it, with what is not asked for left out.
    const UP: &str = r#"{"phyPayload":"QAQDAgGAAQABppRkJhU=","txInfo":{"frequency":868100000,"modulation":{"lora":{
        "bandwidth":125000,"spreadingFactor":7,"codeRate":"CR_4_6"}}},"rxInfo":{"gatewayId":"0016c001ff10a235",
        "uplinkId":1,"rssi":-35,"snr":5.25,"channel":2,"rfChain":1,"context":"0VoFww==","crcStatus":"CRC_OK"}}"#;

    #[test]
    fn an_event_says_who_heard_what_and_how() {
        let heard = of_message("eu868/gateway/0016c001ff10a235/event/up", UP.as_bytes(), UNIX_EPOCH).unwrap();
        assert_eq!((heard.gateway, heard.tmst), (0x0016_C001_FF10_A235, 0xD15A_05C3));
        assert_eq!((heard.frequency, heard.rssi, heard.snr), (868_100_000, Some(-35), 5.25));
        assert_eq!((heard.channel, heard.rf_chain, heard.checksum), (2, 1, Checksum::Right));
        assert_eq!(heard.modulation, Modulation::Lora(Lora { coding_rate: 6, ..Lora::lorawan(7, 125_000) }));
        assert_eq!(heard.payload[..5], [0x40, 0x04, 0x03, 0x02, 0x01]);
    }

    #[test]
    fn a_modem_says_it_in_its_envelope() {
        let envelope = r#"{"encoding":"base64","payload":"/w==","meta":{"framing":"line","frequency":868100000,
            "bandwidth":125000,"spreading-factor":12,"coding-rate":"4/8","rssi":-60.5,"snr":-7}}"#;
        let heard = of_message("serial/a/up", envelope.as_bytes(), UNIX_EPOCH).unwrap();
        assert_eq!((heard.rssi, heard.snr, &heard.payload[..]), (Some(-61), -7.0, &[0xFF][..]));
        assert_eq!(heard.modulation, Modulation::Lora(Lora { coding_rate: 8, ..Lora::lorawan(12, 125_000) }));
    }

    #[test]
    fn all_else_is_none() {
        for (topic, payload) in [
            ("eu868/gateway/0016c001ff10a235/event/stats", UP),
            ("eu868/gateway/0016c001ff10a235/event/up", "{"),
            ("eu868/gateway/0016c001ff10a235/event/up", "{}"),
            ("serial/meter/up", r#"{"value":1}"#),
            ("serial/meter/up", "12"),
            ("serial/a/ack", "{}"),
        ] {
            assert_eq!(of_message(topic, payload.as_bytes(), UNIX_EPOCH), None, "{topic} {payload}");
        }
    }
}

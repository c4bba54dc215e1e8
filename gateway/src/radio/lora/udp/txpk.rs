//! `txpk`, a frame that a gateway is to send, and `txpk_ack`, what it says of that (PROTOCOL.md of sx1302_hal, section 6).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::json::{self as fields, Object};
use crate::radio::lora::Refusal;
use crate::radio::lora::gw::{CodeRate, DownlinkFrameItem, Modulation};
use crate::radio::lora::schedule::{TxStatus, Verdict, When};

/// The deviation that belongs to FSK at 50 kbit/s (RP002-1.0.4, section 4.2), for servers that name none.
const FSK_DEVIATION: u32 = 25_000;

/// The JSON of PULL_RESP for an item, to be sent then. `None` where it does not say how it is to be sent.
pub(super) fn write(item: &DownlinkFrameItem, when: When) -> Option<Vec<u8>> {
    let info = item.tx_info.as_ref()?;
    let mut txpk = Map::new();
    match when {
        When::Immediately => txpk.insert("imme".into(), true.into()),
        When::Count(tmst) => txpk.insert("tmst".into(), tmst.into()),
        When::Gps(time) => txpk.insert("tmms".into(), u64::try_from(time.as_millis()).ok()?.into()),
    };
    txpk.insert("freq".into(), (f64::from(info.frequency) / 1e6).into());
    txpk.insert("rfch".into(), 0.into());
    txpk.insert("powe".into(), info.power.into());
    // Not part of the document; gateways with several of them know these names.
    for (key, number) in [("brd", info.board), ("ant", info.antenna)] {
        if number != 0 {
            txpk.insert(key.into(), number.into());
        }
    }
    modulation(&mut txpk, info.modulation.as_ref()?)?;
    txpk.insert("size".into(), item.phy_payload.len().into());
    txpk.insert("data".into(), STANDARD.encode(&item.phy_payload).into());
    Some(json!({ "txpk": txpk }).to_string().into_bytes())
}

fn modulation(txpk: &mut Map<String, Value>, modulation: &Modulation) -> Option<()> {
    match (&modulation.lora, &modulation.fsk) {
        (Some(lora), _) => {
            txpk.insert("modu".into(), "LORA".into());
            txpk.insert("datr".into(), format!("SF{}BW{}", lora.spreading_factor, lora.bandwidth / 1000).into());
            txpk.insert("codr".into(), code_rate(lora.code_rate).into());
            txpk.insert("ipol".into(), lora.polarization_inversion.into());
            if lora.preamble != 0 {
                txpk.insert("prea".into(), lora.preamble.into());
            }
            if lora.no_crc {
                txpk.insert("ncrc".into(), true.into());
            }
        }
        (None, Some(fsk)) => {
            let deviation = if fsk.frequency_deviation == 0 { FSK_DEVIATION } else { fsk.frequency_deviation };
            txpk.insert("modu".into(), "FSK".into());
            txpk.insert("datr".into(), fsk.datarate.into());
            txpk.insert("fdev".into(), deviation.into());
        }
        (None, None) => return None,
    }
    Some(())
}

/// Devices hear 4/5 where a server names none.
fn code_rate(rate: i32) -> &'static str {
    match CodeRate::try_from(rate) {
        Ok(CodeRate::Cr46) => "4/6",
        Ok(CodeRate::Cr47) => "4/7",
        Ok(CodeRate::Cr48) => "4/8",
        _ => "4/5",
    }
}

/// What a gateway says of a downlink: it has taken it, or why not. A warning is that it sends with another power.
///
/// # Errors
/// When it says nothing that can be read.
pub(super) fn read_ack(bytes: &[u8]) -> Result<Result<(), Verdict>, Refusal> {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    if bytes.iter().all(blank) || bytes.trim_ascii() == b"\"\"" {
        return Ok(Ok(()));
    }
    let object = fields::parse(bytes)?;
    let Some(ack) = Object(&object).get("txpk_ack") else { return Ok(Ok(())) };
    match Object::of(ack)?.text("error")? {
        None | Some("" | "NONE") => Ok(Ok(())),
        Some(word) => {
            let status = TxStatus::parse(word).filter(|status| !matches!(status, TxStatus::Ok | TxStatus::Ignored));
            let why =
                format!("the gateway says {}", word.chars().filter(|c| !c.is_control()).take(40).collect::<String>());
            Ok(Err(Verdict { status: status.unwrap_or(TxStatus::InternalError), why }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::radio::lora::gw::{DownlinkTxInfo, FskModulationInfo, LoraModulationInfo};

    fn item(modulation: Modulation) -> DownlinkFrameItem {
        let info = DownlinkTxInfo {
            frequency: 864_123_456,
            power: 14,
            modulation: Some(modulation),
            ..DownlinkTxInfo::default()
        };
        DownlinkFrameItem { phy_payload: Bytes::from_static(b"TEST_PACKET_1234"), tx_info: Some(info) }
    }

    fn written(item: &DownlinkFrameItem, when: When) -> Value {
        let mut body: Value = serde_json::from_slice(&write(item, when).unwrap()).unwrap();
        body["txpk"].take()
    }

    /// As the document's two examples, but for their payload, which has 31 bytes and says 32.
    #[test]
    fn frames_are_written_as_in_the_document() {
        let lora = LoraModulationInfo {
            bandwidth: 125_000,
            spreading_factor: 11,
            code_rate: CodeRate::Cr46 as i32,
            ..LoraModulationInfo::default()
        };
        let expected = json!({ "imme": true, "freq": 864.123456, "rfch": 0, "powe": 14, "modu": "LORA", "datr": "SF11BW125",
            "codr": "4/6", "ipol": false, "size": 16, "data": "VEVTVF9QQUNLRVRfMTIzNA==" });
        assert_eq!(written(&item(Modulation::lora(lora)), When::Immediately), expected);
        let fsk = FskModulationInfo { frequency_deviation: 3000, datarate: 50_000 };
        let expected = json!({ "tmst": 7, "freq": 864.123456, "rfch": 0, "powe": 14, "modu": "FSK", "datr": 50_000,
            "fdev": 3000, "size": 16, "data": "VEVTVF9QQUNLRVRfMTIzNA==" });
        assert_eq!(written(&item(Modulation::fsk(fsk)), When::Count(7)), expected);
        let gps = written(&item(Modulation::lora(lora)), When::Gps(Duration::from_millis(1500)));
        assert_eq!((&gps["tmms"], &gps["imme"]), (&json!(1500), &Value::Null));
        assert!(write(&item(Modulation::default()), When::Immediately).is_none());
    }

    #[test]
    fn acknowledgements_are_read_in_all_their_forms() {
        for fine in [
            "",
            "\"\"",
            "\0",
            " \n",
            "{}",
            r#"{"txpk_ack":{"error":"NONE"}}"#,
            r#"{"txpk_ack":{"error":""}}"#,
            r#"{"txpk_ack":{"warn":"TX_POWER","value":20}}"#,
        ] {
            assert_eq!(read_ack(fine.as_bytes()), Ok(Ok(())), "{fine}");
        }
        let refused = |error: &str| read_ack(format!(r#"{{"txpk_ack":{{"error":"{error}"}}}}"#).as_bytes());
        for (word, status) in [
            ("COLLISION_PACKET", TxStatus::CollisionPacket),
            ("TOO_LATE", TxStatus::TooLate),
            ("GPS_UNLOCKED", TxStatus::GpsUnlocked),
            ("OK", TxStatus::InternalError),
            ("WHATEVER", TxStatus::InternalError),
        ] {
            assert_eq!(refused(word).unwrap().unwrap_err().status, status, "{word}");
        }
        for bad in ["{", "5", r#"{"txpk_ack":5}"#, r#"{"txpk_ack":{"error":5}}"#] {
            assert!(read_ack(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_ack(&bytes);
        }
    }
}

//! The messages held against bytes and JSON that ChirpStack's own code writes.

use std::time::{Duration as Span, SystemTime};

use proptest::prelude::*;

use super::*;

fn uplink() -> UplinkFrame {
    let lora = LoraModulationInfo {
        bandwidth: 125_000,
        spreading_factor: 7,
        code_rate: CodeRate::Cr45 as i32,
        ..LoraModulationInfo::default()
    };
    UplinkFrame {
        phy_payload: Bytes::from_static(&[1, 2, 3]),
        tx_info: Some(UplinkTxInfo { frequency: 868_100_000, modulation: Some(Modulation::lora(lora)) }),
        rx_info: Some(UplinkRxInfo {
            gateway_id: "0102030405060708".into(),
            uplink_id: 123,
            gw_time: Some((SystemTime::UNIX_EPOCH + Span::from_micros(1_364_746_877_528_002)).into()),
            time_since_gps_epoch: Some(Span::from_millis(1500).into()),
            rssi: -35,
            snr: 5.1,
            context: Bytes::from_static(&[0, 0, 4, 0xd2]),
            metadata: [("f_cnt".to_owned(), "7".to_owned())].into(),
            crc_status: CrcStatus::CrcOk as i32,
            ..UplinkRxInfo::default()
        }),
    }
}

#[test]
fn json_is_that_of_protocol_buffers() {
    let expected = serde_json::json!({
        "phyPayload": "AQID",
        "txInfo": {
            "frequency": 868_100_000,
            "modulation": { "lora": { "bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5" } },
        },
        "rxInfo": {
            "gatewayId": "0102030405060708", "uplinkId": 123, "gwTime": "2013-03-31T16:21:17.528002000Z",
            "timeSinceGpsEpoch": "1.500000000s", "rssi": -35, "snr": 5.1, "channel": 0, "rfChain": 0, "board": 0,
            "antenna": 0, "context": "AAAE0g==", "metadata": { "f_cnt": "7" }, "crcStatus": "CRC_OK",
        },
    });
    let written = encode(&uplink(), LoraFormat::Json);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), expected);
    assert_eq!(decode::<UplinkFrame>(&written).unwrap(), uplink());
}

/// Counted out by hand: each field as its number and wire type, then its value.
#[test]
fn the_bytes_are_those_of_gw_proto() {
    let item = DownlinkTxAckItem { status: TxAckStatus::TooLate as i32 };
    let ack = DownlinkTxAck { gateway_id: "ab".into(), downlink_id: 300, items: vec![item] };
    let expected = [
        0x10, 0xac, 0x02, // 2: varint 300
        0x2a, 0x02, 0x08, 0x02, // 5: two bytes, 1: varint 2
        0x32, 0x02, b'a', b'b', // 6: two bytes
    ];
    let mut written = encode(&ack, LoraFormat::Protobuf).to_vec();
    // The order of the fields is the writer's choice.
    written.sort_unstable();
    let mut sorted = expected.to_vec();
    sorted.sort_unstable();
    assert_eq!(written, sorted);
    assert_eq!(decode::<DownlinkTxAck>(&expected).unwrap(), ack);
}

#[test]
fn a_downlink_of_chirpstack_is_understood() {
    let json = br#"{"downlinkId":1234,"downlinkIdLegacy":"AAAAAAAAAAAAAAAAAAAE0g==","items":[{"phyPayload":"YAECAwQ=",
        "txInfoLegacy":null,"txInfo":{"frequency":868100000,"power":16,"modulation":{"lora":{"bandwidth":125000,
        "spreadingFactor":7,"codeRate":"CR_4_5","polarizationInversion":true}},"timing":{"delay":{"delay":"1s"}},
        "context":"AAAE0g=="}},{"phyPayload":"YAECAwQ","txInfo":{"frequency":869525000,"power":29,
        "modulation":{"lora":{"bandwidth":125000,"spreadingFactor":12,"codeRate":1,"polarizationInversion":true}},
        "timing":{"gpsEpoch":{"timeSinceGpsEpoch":"1262304000.25s"}}}},{"txInfo":{"timing":{"immediately":{}}}}],
        "gatewayId":"0102030405060708"}"#;
    let frame: DownlinkFrame = decode(json).unwrap();
    assert_eq!((frame.downlink_id, frame.items.len(), frame.gateway_id.as_str()), (1234, 3, "0102030405060708"));
    let tx = |index: usize| frame.items[index].tx_info.clone().unwrap();
    let lora = tx(0).modulation.unwrap().lora.unwrap();
    assert!(lora.polarization_inversion && lora.code_rate == CodeRate::Cr45 as i32);
    let delay = tx(0).timing.unwrap().delay.unwrap().delay.unwrap();
    assert_eq!((delay.span(), &tx(0).context[..]), (Some(Span::from_secs(1)), &[0, 0, 4, 0xd2][..]));
    assert_eq!(frame.items[0].phy_payload, frame.items[1].phy_payload, "with and without padding");
    let gps = tx(1).timing.unwrap().gps_epoch.unwrap().time_since_gps_epoch.unwrap();
    assert_eq!(gps.span(), Some(Span::from_millis(1_262_304_000_250)));
    assert!(tx(2).timing.unwrap().immediately.is_some());
    assert_eq!(decode::<DownlinkFrame>(&encode(&frame, LoraFormat::Protobuf)).unwrap(), frame);
    assert_eq!(decode::<DownlinkFrame>(&encode(&frame, LoraFormat::Json)).unwrap(), frame);
}

#[test]
fn names_in_the_form_of_the_proto_file_are_understood_too() {
    let json = br#"{"downlink_id":7,"gateway_id":"a","items":[{"phy_payload":"AQ","tx_info":{"timing":{"gps_epoch":
        {"time_since_gps_epoch":"1s"}},"modulation":{"lora":{"spreading_factor":9,"code_rate":"CR_4_8"}}}}]}"#;
    let frame: DownlinkFrame = decode(json).unwrap();
    let lora = frame.items[0].tx_info.as_ref().unwrap().modulation.unwrap().lora.unwrap();
    assert_eq!((frame.downlink_id, lora.spreading_factor, lora.code_rate), (7, 9, CodeRate::Cr48 as i32));
}

#[test]
fn channels_that_chirpstack_wants_are_understood_in_json_and_go_on_as_bytes() {
    let json = br#"{"gatewayIdLegacy":"","version":"abc","channels":[{"frequency":868100000,"modulationLegacy":"LORA","board":0,
        "demodulator":1,"loraModulationConfig":{"bandwidthLegacy":0,"bandwidth":125000,"spreadingFactors":[7,8]}},
        {"frequency":868800000,"fskModulationConfig":{"bandwidth":0,"bitrate":50000}}],"statsInterval":"30s","gatewayId":"a"}"#;
    let settings: GatewayConfiguration = decode(json).unwrap();
    let lora = settings.channels[0].lora_modulation_config.clone().unwrap();
    assert_eq!((settings.version.as_str(), settings.channels[0].demodulator, lora.bandwidth), ("abc", 1, 125_000));
    let expected = [
        &b"\x12\x03abc"[..],
        // Numbers that are packed, as the proto file has it.
        b"\x1a\x12\x08\xa0\xcf\xf8\x9d\x03\x1a\x08\x12\x02\x07\x08\x18\xc8\xd0\x07\x30\x01",
        b"\x1a\x0c\x08\x80\xac\xa3\x9e\x03\x22\x04\x10\xd0\x86\x03",
        b"\x22\x02\x08\x1e\x2a\x01a",
    ]
    .concat();
    assert_eq!(encode(&settings, LoraFormat::Protobuf), expected);
    assert_eq!(decode::<GatewayConfiguration>(&expected).unwrap(), settings);
}

#[test]
fn what_is_no_message_is_refused_in_words() {
    for bad in [
        &b"{"[..],
        b"{\"downlinkId\":\"x\"}",
        b"{\"items\":[{\"phyPayload\":\"?\"}]}",
        b"{\"items\":[{\"txInfo\":{\"timing\":{\"delay\":{\"delay\":\"-1s\"}}}}]}",
        b"{\"items\":[{\"txInfo\":{\"modulation\":{\"lora\":{\"codeRate\":\"CR_9_9\"}}}}]}",
        b"\xff",
        b"hello",
    ] {
        assert!(!decode::<DownlinkFrame>(bad).unwrap_err().is_empty(), "{bad:?}");
    }
}

#[test]
fn the_bit_rate_is_that_of_the_data_rate() {
    let lora = |spreading_factor: u32, bandwidth: u32| {
        let info = LoraModulationInfo { bandwidth, spreading_factor, code_rate: 1, ..LoraModulationInfo::default() };
        Modulation::lora(info)
    };
    assert_eq!(
        (lora(7, 125_000).bit_rate(), lora(12, 125_000).bit_rate(), lora(8, 500_000).bit_rate()),
        (5468, 292, 12500)
    );
    assert_eq!((lora(u32::MAX, u32::MAX).bit_rate(), Modulation::default().bit_rate()), (0, 0));
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<DownlinkFrame>(&payload);
        let _ = decode::<GatewayConfiguration>(&payload);
    }

    #[test]
    fn a_changed_downlink_is_taken_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), json in any::<bool>()) {
        let format = if json { LoraFormat::Json } else { LoraFormat::Protobuf };
        let mut written = encode(&uplink(), format).to_vec();
        let at = at.index(written.len());
        written[at] = byte;
        if let Ok(frame) = decode::<UplinkFrame>(&written) {
            let _ = encode(&frame, LoraFormat::Json);
        }
    }
}

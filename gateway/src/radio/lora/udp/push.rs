//! What PUSH_DATA carries: frames, statistics, or both (PROTOCOL.md of sx1302_hal, section 4).

use serde_json::Value;

use super::json;
use super::rxpk::{self, Rxpk};
use super::stat::{self, Stat};
use crate::radio::lora::Refusal;

/// The most frames in one datagram: a concentrator hands over no more at once (`NB_PKT_MAX` in sx1302_hal).
const FRAMES_MAX: usize = 255;

/// The most signals in one datagram, over all of its frames. Each becomes a message, and the limit on a source counts
/// datagrams: with all antennas in each of its frames, one would be thousands.
const SIGNALS_MAX: usize = FRAMES_MAX;

/// Frames and statistics. What is wrong with one hurts that one alone.
#[derive(Debug, Default)]
pub(super) struct Push {
    /// The frames, each read or refused, in their order.
    pub(super) frames: Vec<Result<Rxpk, Refusal>>,
    /// The statistics.
    pub(super) stat: Option<Result<Stat, Refusal>>,
}

/// Reads it.
///
/// # Errors
/// When nothing in it can be read.
pub(super) fn parse(bytes: &[u8]) -> Result<Push, Refusal> {
    let object = json::parse(bytes)?;
    let frames = match object.get("rxpk") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(frames)) if frames.len() > FRAMES_MAX => return Err(Refusal::Oversized),
        Some(Value::Array(frames)) => frames.iter().map(rxpk::parse).collect(),
        Some(_) => return Err(Refusal::Json),
    };
    if frames.iter().flatten().map(|frame| frame.signals.len()).sum::<usize>() > SIGNALS_MAX {
        return Err(Refusal::Oversized);
    }
    let stat = object.get("stat").filter(|stat| !stat.is_null()).map(stat::parse);
    Ok(Push { frames, stat })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::radio::lora::gw::{CodeRate, CrcStatus, LrFhssModulationInfo};
    use crate::radio::lora::udp::rxpk::Signal;

    /// The protocol document's own example: base64 without padding, and one with a letter of the other alphabet.
    const FRAMES: &str = r#"{"rxpk":[
        {"time":"2013-03-31T16:21:17.528002Z","tmst":3512348611,"chan":2,"rfch":0,"freq":866.349812,"stat":1,
         "modu":"LORA","datr":"SF7BW125","codr":"4/6","rssi":-35,"lsnr":5.1,"size":32,
         "data":"-DS4CGaDCdG+48eJNM3Vai-zDpsR71Pn9CPA9uCON84"},
        {"time":"2013-03-31T16:21:17.530974Z","tmst":3512348514,"chan":9,"rfch":1,"freq":869.1,"stat":1,
         "modu":"FSK","datr":50000,"rssi":-75,"size":16,"data":"VEVTVF9QQUNLRVRfMTIzNA=="},
        {"time":"2013-03-31T16:21:17.532038Z","tmst":3316387610,"chan":0,"rfch":0,"freq":863.00981,"stat":1,
         "modu":"LORA","datr":"SF10BW125","codr":"4/7","rssi":-38,"lsnr":5.5,"size":32,
         "data":"ysgRl452xNLep9S1NTIg2lomKDxUgn3DJ7DE+b00Ass"}]}"#;

    /// The same of `stat`.
    const STAT: &str = r#"{"stat":{"time":"2014-01-12 08:59:28 GMT","lati":46.24000,"long":3.25230,"alti":145,"rxnb":2,
        "rxok":2,"rxfw":2,"ackr":100.0,"dwnb":2,"txnb":2,"temp": 23.2}}"#;

    fn at(micros: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
    }

    #[test]
    fn the_documents_own_frames_are_read() {
        let push = parse(FRAMES.as_bytes()).unwrap();
        let frames: Vec<Rxpk> = push.frames.into_iter().collect::<Result<_, _>>().unwrap();
        let [first, fsk, last] = frames.as_slice() else { panic!("three frames") };
        assert_eq!((first.phy.len(), first.phy[0], first.frequency), (32, 0xf8, 866_349_812));
        assert_eq!((first.tmst, first.rf_chain), (3_512_348_611, 0));
        assert_eq!(first.signals, [Signal { antenna: 0, channel: 2, rssi: -35, snr: 5.1 }]);
        assert_eq!((first.time, first.crc), (at(1_364_746_877_528_002), CrcStatus::CrcOk));
        let lora = first.modulation.lora.unwrap();
        assert_eq!((lora.spreading_factor, lora.bandwidth, lora.code_rate), (7, 125_000, CodeRate::Cr46 as i32));
        assert_eq!((&fsk.phy[..], fsk.frequency, fsk.signals[0].snr), (&b"TEST_PACKET_1234"[..], 869_100_000, 0.0));
        assert_eq!(fsk.modulation.fsk.unwrap().datarate, 50_000);
        assert_eq!((last.frequency, last.modulation.lora.unwrap().spreading_factor), (863_009_810, 10));
        assert!(push.stat.is_none());
    }

    #[test]
    fn the_documents_own_statistics_are_read() {
        let push = parse(STAT.as_bytes()).unwrap();
        let stat = push.stat.unwrap().unwrap();
        assert_eq!(stat.time, at(1_389_517_168_000_000));
        let place = stat.location.unwrap();
        assert_eq!((place.latitude, place.longitude, place.altitude), (46.24, 3.2523, 145.0));
        assert_eq!((stat.received, stat.received_ok, stat.downlinks, stat.emitted), (2, 2, 2, 2));
        assert_eq!((stat.more["temp"].as_str(), stat.more["ackr"].as_str()), ("23.2", "100"));
        assert!(push.frames.is_empty());
    }

    fn good() -> Value {
        json!({ "tmst": 1, "freq": 868.1, "stat": 1, "modu": "LORA", "datr": "SF12BW125", "codr": "4/5", "rssi": -120,
            "lsnr": -20, "size": 3, "data": "AQID" })
    }

    fn with(key: &str, value: Value) -> Result<Rxpk, Refusal> {
        let mut frame = good();
        frame[key] = value;
        rxpk::parse(&frame)
    }

    #[test]
    fn what_gateways_are_known_to_write_otherwise_is_taken() {
        assert_eq!(rxpk::parse(&good()).unwrap().time, None, "no GPS");
        assert_eq!(with("time", json!("yesterday")).unwrap().time, None);
        assert_eq!(with("rssi", json!(-35.0)).unwrap().signals[0].rssi, -35);
        assert_eq!(with("ant", json!(1)).unwrap().signals[0].antenna, 1);
        assert_eq!(with("rsig", json!([])).unwrap().signals[0].rssi, -120);
        assert_eq!(with("ftime", json!(1_000_000_000)).unwrap().fine, None);
        assert_eq!(with("size", Value::Null).unwrap().phy.len(), 3);
        assert_eq!(with("codr", json!("OFF")).unwrap().modulation.lora.unwrap().code_rate, 0);
        assert_eq!(with("stat", json!(-1)).unwrap().crc, CrcStatus::BadCrc);
        assert_eq!(with("stat", Value::Null).unwrap().crc, CrcStatus::NoCrc);
        assert_eq!(
            with("tmms", json!(1_262_304_000_250_u64)).unwrap().gps,
            Some(Duration::from_millis(1_262_304_000_250))
        );
        let mut fsk = good();
        (fsk["modu"], fsk["datr"]) = (json!("FSK"), json!("50000"));
        assert_eq!(rxpk::parse(&fsk).unwrap().modulation.fsk.unwrap().datarate, 50_000);
    }

    #[test]
    fn each_antenna_of_a_gateway_with_several_is_told_of() {
        let rsig = json!([{ "ant": 0, "chan": 7, "rssic": -110, "rssis": -112, "lsnr": -2.5 },
            { "ant": 1, "chan": 23, "rssic": -98, "lsnr": 4 }]);
        let mut frame = good();
        // They have no other strength then.
        frame.as_object_mut().unwrap().remove("rssi");
        frame["rsig"] = rsig;
        let signals = rxpk::parse(&frame).unwrap().signals;
        let expected = [
            Signal { antenna: 0, channel: 7, rssi: -110, snr: -2.5 },
            Signal { antenna: 1, channel: 23, rssi: -98, snr: 4.0 },
        ];
        assert_eq!(signals, expected);
    }

    #[test]
    fn one_datagram_is_no_more_messages_with_many_antennas_than_with_many_frames() {
        let heard = |frames: usize, signals: usize| {
            let mut frame = good();
            frame["rsig"] = json!(vec![json!({ "rssic": -50 }); signals]);
            parse(json!({ "rxpk": vec![frame; frames] }).to_string().as_bytes()).map(|push| push.frames.len())
        };
        assert_eq!((heard(255, 1), heard(127, 2), heard(15, 16)), (Ok(255), Ok(127), Ok(15)));
        assert_eq!((heard(128, 2), heard(16, 16)), (Err(Refusal::Oversized), Err(Refusal::Oversized)));
    }

    #[test]
    fn lr_fhss_is_read() {
        let mut frame = good();
        (frame["modu"], frame["datr"], frame["codr"]) = (json!("LR-FHSS"), json!("M0CW137"), json!("2/6"));
        frame["hpw"] = json!(52);
        let read = rxpk::parse(&frame).unwrap().modulation;
        let expected =
            LrFhssModulationInfo { operating_channel_width: 137_000, code_rate: CodeRate::Cr26 as i32, grid_steps: 52 };
        assert_eq!((read.lr_fhss, read.lora, read.fsk, read.bit_rate()), (Some(expected), None, None, 162));
        for wrong in ["M0CW138", "M0CW", "M1CW137", "SF7BW125"] {
            frame["datr"] = json!(wrong);
            assert_eq!(rxpk::parse(&frame), Err(Refusal::DataRate), "{wrong}");
        }
    }

    #[test]
    fn each_fault_of_a_frame_has_its_own_reason() {
        for (key, value, refusal) in [
            ("tmst", Value::Null, Refusal::Field),
            ("tmst", json!(4_294_967_296_u64), Refusal::Field),
            ("tmst", json!(-1), Refusal::Field),
            ("tmst", json!(1.5), Refusal::Field),
            ("tmst", json!("1"), Refusal::Field),
            ("rssi", json!("loud"), Refusal::Field),
            ("stat", json!(2), Refusal::Field),
            ("lsnr", json!([]), Refusal::Field),
            ("modu", Value::Null, Refusal::Field),
            ("lsnr", json!(1e300), Refusal::Field),
            ("tmms", json!(315_576_000_000_001_u64), Refusal::Field),
            ("modu", json!("LR-FHSS"), Refusal::DataRate),
            ("modu", json!("OOK"), Refusal::DataRate),
            ("rsig", json!({}), Refusal::Field),
            ("rsig", json!([5]), Refusal::Field),
            ("rsig", json!([{ "ant": 0, "lsnr": 5 }]), Refusal::Field),
            ("rsig", json!(vec![json!({ "rssic": -50 }); 17]), Refusal::Oversized),
            ("datr", json!("SF13BW125"), Refusal::DataRate),
            ("datr", json!("SF7BW126"), Refusal::DataRate),
            ("datr", json!("SF+7BW125"), Refusal::DataRate),
            ("datr", json!("7"), Refusal::DataRate),
            ("datr", json!(50_000), Refusal::DataRate),
            ("freq", json!(0), Refusal::Frequency),
            ("freq", json!(1e300), Refusal::Frequency),
            ("freq", json!("868.1"), Refusal::Field),
            ("data", json!("A"), Refusal::Base64),
            ("data", json!("?!"), Refusal::Base64),
            ("data", json!(5), Refusal::Field),
            ("data", Value::Null, Refusal::Field),
            ("data", json!("A".repeat(60_000)), Refusal::FrameTooLong),
            ("size", json!(4), Refusal::SizeMismatch),
            ("size", json!(-3), Refusal::Field),
        ] {
            assert_eq!(with(key, value.clone()), Err(refusal), "{key} = {value}");
        }
        assert_eq!(rxpk::parse(&json!(5)), Err(Refusal::Json));
    }

    #[test]
    fn a_bad_frame_leaves_its_neighbours_and_the_statistics_alone() {
        let bytes = json!({ "rxpk": [good(), 5, { "data": [] }, good()], "stat": { "rxnb": "many" } }).to_string();
        let push = parse(bytes.as_bytes()).unwrap();
        let taken: Vec<bool> = push.frames.iter().map(Result::is_ok).collect();
        assert_eq!(taken, [true, false, false, true]);
        assert_eq!(push.stat, Some(Err(Refusal::Field)));
    }

    #[test]
    fn what_carries_nothing_readable_is_refused_as_a_whole() {
        for (bytes, refusal) in [
            (&b""[..], Refusal::Json),
            (b"{", Refusal::Json),
            (b"[]", Refusal::Json),
            (b"{\"rxpk\":5}", Refusal::Json),
            (b"\xff\xfe", Refusal::Json),
        ] {
            assert_eq!(parse(bytes).unwrap_err(), refusal);
        }
        let many = format!("{{\"rxpk\":[{}0]}}", "0,".repeat(255));
        assert_eq!(parse(many.as_bytes()).unwrap_err(), Refusal::Oversized);
        let deep = format!("{{\"rxpk\":{}", "[".repeat(60_000));
        assert_eq!(parse(deep.as_bytes()).unwrap_err(), Refusal::Json);
        assert!(parse(b"{\"rxpk\":[]}\0\0").unwrap().frames.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn an_example_that_was_changed_is_read_or_refused(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), stat in any::<bool>(),
        ) {
            let mut bytes = if stat { STAT } else { FRAMES }.as_bytes().to_vec();
            let length = bytes.len();
            bytes[at.index(length)] = byte;
            let _ = parse(&bytes);
            bytes.truncate(cut.index(length));
            let _ = parse(&bytes);
        }

        #[test]
        fn a_field_of_any_type_is_read_or_refused(
            key in prop::sample::select(vec!["tmst", "freq", "datr", "size", "data", "tmms", "ftime", "stat", "chan", "lsnr"]),
            number in any::<f64>(), whole in any::<i64>(), text in ".{0,20}",
        ) {
            for value in [json!(number), json!(whole), json!(text), json!([whole]), json!({ "a": text })] {
                let _ = with(key, value);
            }
        }
    }
}

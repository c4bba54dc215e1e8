//! What a Station says on its data connection (doc.sm.tc/station/tcproto.html, "The LNS Protocol").
//!
//! Pure. Numbers stay whole: `xtime` and identifiers have more digits than a float can hold.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};

use super::frame::{Data, Join, Proprietary};
use crate::radio::lora::Refusal;

/// The kinds of messages that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(in crate::radio::lora) enum Kind {
    RouterInfo,
    Version,
    Frame,
    Sent,
    TimeSync,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub(in crate::radio::lora) const ALL: [Self; 5] =
        [Self::RouterInfo, Self::Version, Self::Frame, Self::Sent, Self::TimeSync];

    /// The word for metrics.
    pub(in crate::radio::lora) fn as_str(self) -> &'static str {
        match self {
            Self::RouterInfo => "router-info",
            Self::Version => "version",
            Self::Frame => "frame",
            Self::Sent => "dntxed",
            Self::TimeSync => "timesync",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// Who it is; it wants to be told its channels.
    Version(Version),
    /// A frame that it heard.
    Frame(Frame),
    /// A frame that it sent.
    Sent(Sent),
    /// It wants to know the time. The second is its own, to be given back.
    TimeSync {
        /// By its clock, in microseconds.
        txtime: i64,
    },
}

/// `version`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    /// The version of Station.
    pub(super) station: String,
    /// Of what it runs on.
    pub(super) firmware: Option<String>,
    /// Of its package.
    pub(super) package: Option<String>,
    /// Which hardware.
    pub(super) model: Option<String>,
    /// Of the protocol.
    pub(super) protocol: u32,
}

/// A frame, and how it was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    /// The frame as it was on the air.
    pub(super) phy: Vec<u8>,
    /// How it was heard.
    pub(super) radio: RadioMeta,
}

/// What all messages with a frame have.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct RadioMeta {
    /// The number of the data rate, by the table that was sent.
    #[serde(rename = "DR")]
    pub(super) dr: u8,
    /// In Hz.
    #[serde(rename = "Freq")]
    pub(super) frequency: u32,
    /// The rest.
    pub(super) upinfo: UpInfo,
}

/// `upinfo`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct UpInfo {
    /// Which antenna; opaque, to be given back with an answer.
    #[serde(default)]
    pub(super) rctx: i64,
    /// When, by the concentrator's counter; opaque, to be given back.
    pub(super) xtime: i64,
    /// When, in microseconds since GPS time began; 0 without GPS.
    #[serde(default)]
    pub(super) gpstime: i64,
    /// Nanoseconds since the last pulse of the GPS receiver; negative without one.
    #[serde(default)]
    pub(super) fts: Option<i64>,
    /// In dBm.
    #[serde(deserialize_with = "decibels")]
    pub(super) rssi: f64,
    /// In dB.
    #[serde(deserialize_with = "decibels")]
    pub(super) snr: f64,
    /// When, in seconds since 1970 by Station's clock.
    #[serde(default)]
    pub(super) rxtime: f64,
}

/// `dntxed`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Sent {
    /// Which downlink. Station writes it as `seqno` too, and an old one so alone.
    #[serde(default)]
    diid: Option<i64>,
    #[serde(default)]
    seqno: Option<i64>,
    /// At which data rate it was sent.
    #[serde(rename = "DR", default)]
    pub(super) dr: Option<u8>,
    /// At which frequency, in Hz.
    #[serde(rename = "Freq", default)]
    pub(super) frequency: Option<u32>,
}

impl Said {
    /// Its kind.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Version(_) => Kind::Version,
            Self::Frame(_) => Kind::Frame,
            Self::Sent(_) => Kind::Sent,
            Self::TimeSync { .. } => Kind::TimeSync,
        }
    }
}

impl Sent {
    /// Which downlink.
    pub(super) fn downlink(&self) -> Option<i64> {
        self.diid.or(self.seqno)
    }
}

/// A word of 32 bits that Station writes as a signed number, and others as an unsigned one.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = i64::deserialize(from)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "its 32 bits are what is meant")]
    match i32::try_from(number) {
        Ok(signed) => Ok(signed as u32),
        Err(_) => u32::try_from(number).map_err(|_| de::Error::custom("this is no word of 32 bits")),
    }
}

/// Decibels, of which nobody measures a thousand.
fn decibels<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(from)?;
    if (-1000.0..=1000.0).contains(&number) { Ok(number) } else { Err(de::Error::custom("this is no strength")) }
}

#[derive(Deserialize)]
struct Head {
    msgtype: String,
}

#[derive(Deserialize)]
struct TimeSync {
    txtime: i64,
}

/// Reads one.
///
/// # Errors
/// When it is no message, none that a Station sends to a server, or one with a field that is wrong.
pub(super) fn parse(text: &str) -> Result<Said, Refusal> {
    // Not JSON at all, or an object without a type.
    let head: Head = serde_json::from_str(text).map_err(|_| Refusal::Json)?;
    match head.msgtype.as_str() {
        "version" => fields(text).map(Said::Version),
        "updf" => frame(text, Data::phy),
        // A rejoin request has the same fields, whatever they mean there.
        "jreq" | "rejoin" => frame(text, Join::phy),
        "propdf" => frame(text, Proprietary::phy),
        "dntxed" => fields(text).map(Said::Sent),
        "timesync" => fields(text).map(|TimeSync { txtime }| Said::TimeSync { txtime }),
        _ => Err(Refusal::MessageType),
    }
}

fn fields<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|_| Refusal::Field)
}

fn frame<T: DeserializeOwned>(text: &str, phy: impl FnOnce(&T) -> Result<Vec<u8>, Refusal>) -> Result<Said, Refusal> {
    let radio: RadioMeta = fields(text)?;
    let phy = phy(&fields(text)?)?;
    Ok(Said::Frame(Frame { phy, radio }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::radio::lora::phy;

    /// A message as `src/lora.c` and `src/s2e.c` of basicstation write it.
    fn updf() -> Value {
        json!({ "msgtype": "updf", "MHdr": 0x40, "DevAddr": -10, "FCtrl": 0x82, "FCnt": 400, "FOpts": "0102",
            "FPort": 1, "FRMPayload": "04030201", "MIC": -20, "RefTime": 0.0, "DR": 5, "Freq": 868_100_000,
            "upinfo": { "rctx": 1, "xtime": 40_250_921_680_313_459_i64, "gpstime": 0, "fts": -1, "rssi": -50,
                "snr": 9.25, "rxtime": 1_552_906_698.218_231 } })
    }

    fn with(mut message: Value, key: &str, value: Value) -> Result<Said, Refusal> {
        match message["upinfo"].get_mut(key) {
            Some(field) => *field = value,
            None => message[key] = value,
        }
        parse(&message.to_string())
    }

    fn phy_of(said: Result<Said, Refusal>) -> Vec<u8> {
        let Ok(Said::Frame(frame)) = said else { panic!("{said:?}") };
        frame.phy
    }

    #[test]
    fn a_data_frame_is_rebuilt_byte_for_byte() {
        let start = [0x40, 0xf6, 0xff, 0xff, 0xff, 0x82, 0x90, 0x01, 0x01, 0x02];
        let mic = [0xec, 0xff, 0xff, 0xff];
        assert_eq!(phy_of(parse(&updf().to_string())), [&start[..], &[1, 4, 3, 2, 1], &mic].concat());
        assert_eq!(phy_of(with(updf(), "FRMPayload", json!(""))), [&start[..], &[1], &mic].concat());
        let mut bare = updf();
        (bare["FPort"], bare["FRMPayload"]) = (json!(-1), json!(""));
        assert_eq!(phy_of(parse(&bare.to_string())), [&start[..], &mic].concat());
        assert_eq!(phy_of(with(updf(), "DevAddr", json!(0xffff_fff6_u32)))[1..5], [0xf6, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn a_join_request_is_rebuilt_whichever_way_its_identifiers_are_written() {
        let expected =
            [&[0, 8, 7, 6, 5, 4, 3, 2, 2, 8, 7, 6, 5, 4, 3, 2, 3, 0x14, 0][..], &[0xf6, 0xff, 0xff, 0xff]].concat();
        let meta = |join: Value, device: Value| {
            json!({ "msgtype": "jreq", "MHdr": 0, "JoinEui": join, "DevEui": device, "DevNonce": 20, "MIC": -10,
                "DR": 5, "Freq": 868_100_000, "upinfo": updf()["upinfo"] })
        };
        for (join, device) in [
            (json!("02-02-03-04-05-06-07-08"), json!("03-02-03-04-05-06-07-08")),
            (json!("202:304:506:708"), json!("0302030405060708")),
            (json!(0x0202_0304_0506_0708_u64), json!(0x0302_0304_0506_0708_u64)),
        ] {
            assert_eq!(phy_of(parse(&meta(join, device).to_string())), expected);
        }
        let old = meta(json!("::"), json!("::")).to_string().replace("JoinEui", "JoinEUI").replace("DevEui", "DevEUI");
        assert_eq!(phy_of(parse(&old)).len(), 23);
    }

    #[test]
    fn a_proprietary_frame_is_its_bytes() {
        let message = json!({ "msgtype": "propdf", "FRMPayload": "E0010203", "DR": 0, "Freq": 868_100_000,
            "upinfo": updf()["upinfo"] });
        assert_eq!(phy_of(parse(&message.to_string())), [0xe0, 1, 2, 3]);
    }

    #[test]
    fn whole_numbers_keep_all_their_digits() {
        for xtime in [i64::MAX, i64::MIN, (1 << 53) + 1] {
            let Ok(Said::Frame(frame)) = with(updf(), "xtime", json!(xtime)) else { panic!("{xtime}") };
            assert_eq!(frame.radio.upinfo.xtime, xtime);
        }
        let text = r#"{"msgtype":"timesync","txtime":9007199254740993}"#;
        assert_eq!(parse(text), Ok(Said::TimeSync { txtime: 9_007_199_254_740_993 }));
        for names in ["\"seqno\":9007199254740993,\"diid\":9007199254740993", "\"seqno\":9007199254740993"] {
            let text = format!("{{\"msgtype\":\"dntxed\",{names},\"DR\":0,\"Freq\":869525000}}");
            let Ok(Said::Sent(sent)) = parse(&text) else { panic!("{text}") };
            assert_eq!((sent.downlink(), sent.frequency), (Some(9_007_199_254_740_993), Some(869_525_000)));
        }
    }

    #[test]
    fn each_fault_has_its_own_reason() {
        for (key, value, refusal) in [
            ("msgtype", Value::Null, Refusal::Json),
            ("msgtype", json!(5), Refusal::Json),
            ("msgtype", json!("rmtsh"), Refusal::MessageType),
            ("msgtype", json!("runcmd"), Refusal::MessageType),
            ("msgtype", json!("router_config"), Refusal::MessageType),
            ("MHdr", json!(256), Refusal::Field),
            ("DevAddr", json!(4_294_967_296_i64), Refusal::Field),
            ("DevAddr", json!(-2_147_483_649_i64), Refusal::Field),
            ("DevAddr", json!("26011f00"), Refusal::Field),
            ("FCnt", json!(65_536), Refusal::Field),
            ("FPort", json!(256), Refusal::Field),
            ("FPort", json!(-2), Refusal::Field),
            ("FPort", json!(-1), Refusal::SizeMismatch),
            ("FOpts", json!("01"), Refusal::SizeMismatch),
            ("FOpts", json!("0102030405060708090a0b0c0d0e0f10"), Refusal::SizeMismatch),
            ("FOpts", json!("010"), Refusal::Hex),
            ("FRMPayload", json!("zz"), Refusal::Hex),
            ("FRMPayload", json!("00".repeat(30_000)), Refusal::FrameTooLong),
            ("FRMPayload", json!("00".repeat(241)), Refusal::FrameTooLong),
            ("MIC", Value::Null, Refusal::Field),
            ("rssi", json!(-1e300), Refusal::Field),
            ("snr", json!(1e300), Refusal::Field),
            ("xtime", json!(1.5), Refusal::Field),
            ("xtime", json!(1e18), Refusal::Field),
            ("xtime", json!(u64::MAX), Refusal::Field),
            ("rssi", json!("loud"), Refusal::Field),
            ("DR", json!(-1), Refusal::Field),
            ("Freq", json!(868.1), Refusal::Field),
            ("upinfo", json!([]), Refusal::Field),
        ] {
            assert_eq!(with(updf(), key, value.clone()), Err(refusal), "{key} = {value}");
        }
        for text in ["", "{", "[]", "5", "{}", "{\"msgtype\":\"updf\"", "\u{0}"] {
            assert_eq!(parse(text), Err(Refusal::Json), "{text}");
        }
        assert_eq!(parse(&format!("{{\"a\":{}", "[".repeat(30_000))), Err(Refusal::Json));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,100}") {
            let _ = parse(&text);
        }

        #[test]
        fn an_example_that_was_changed_is_read_or_refused(at: prop::sample::Index, byte in " -~") {
            let mut text = updf().to_string();
            let at = at.index(text.len());
            text.replace_range(at..=at, &byte);
            let _ = parse(&text);
        }

        #[test]
        fn a_field_of_any_type_is_read_or_refused(
            key in prop::sample::select(vec![
                "msgtype", "MHdr", "DevAddr", "FCtrl", "FCnt", "FOpts", "FPort", "FRMPayload", "MIC", "DR", "Freq",
                "upinfo", "rctx", "xtime", "gpstime", "fts", "rssi", "snr", "rxtime",
            ]),
            number: f64, whole: i64, text in ".{0,20}",
        ) {
            for value in [json!(number), json!(whole), json!(text), json!([whole]), json!({ "a": text }), Value::Null] {
                let _ = with(updf(), key, value);
            }
        }

        #[test]
        fn any_data_frame_comes_out_as_station_took_it_apart(
            confirmed: bool, address: u32, control: u8, counter: u16, options in prop::collection::vec(any::<u8>(), 15),
            port: Option<u8>, payload in prop::collection::vec(any::<u8>(), 0..220), mic: u32,
        ) {
            let header = if confirmed { 0x80 } else { 0x40 };
            let options = &options[..usize::from(control & 0xf)];
            let payload = if port.is_some() { &payload[..] } else { &[] };
            let port_byte: Vec<u8> = port.into_iter().collect();
            let expected = [&[header][..], &address.to_le_bytes(), &[control], &counter.to_le_bytes(), options, &port_byte,
                payload, &mic.to_le_bytes()].concat();
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
            let mut message = updf();
            for (key, value) in [
                ("MHdr", json!(header)), ("DevAddr", json!(address as i32)), ("FCtrl", json!(control)),
                ("FCnt", json!(counter)), ("FOpts", json!(hex(options))), ("FRMPayload", json!(hex(payload))),
                ("FPort", json!(port.map_or(-1, i32::from))), ("MIC", json!(mic as i32)),
            ] {
                message[key] = value;
            }
            let phy = phy_of(parse(&message.to_string()));
            prop_assert_eq!(&phy, &expected);
            prop_assert_eq!(phy::look(&phy).and_then(|seen| seen.dev_addr), Some(address));
        }
    }
}

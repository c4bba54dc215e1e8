//! `rxpk`: one frame that a gateway heard (PROTOCOL.md of sx1302_hal, section 4).
//!
//! Pure. What is wrong with one frame is that frame's alone.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use super::json::Object;
use crate::radio::lora::gw::{CodeRate, CrcStatus, FskModulationInfo, LoraModulationInfo, Modulation};
use crate::radio::lora::{Refusal, base64};

/// The longest frame: its length is one byte (LoRaWAN L2 1.0.4, section 3).
pub(super) const PHY_MAX: usize = 255;

/// What a radio of this kind can be tuned to at all, in MHz: an SX1255 from 150, 2.4 GHz at the upper end.
const FREQUENCY_MHZ: std::ops::Range<f64> = 100.0..2500.0;

/// One frame and how it was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rxpk {
    /// The frame.
    pub(super) phy: Bytes,
    /// In Hz.
    pub(super) frequency: u32,
    /// How it was sent.
    pub(super) modulation: Modulation,
    /// The concentrator's counter at its end, in microseconds.
    pub(super) tmst: u32,
    /// When, in UTC, by the gateway's GPS.
    pub(super) time: Option<SystemTime>,
    /// When, since GPS time began, to milliseconds.
    pub(super) gps: Option<Duration>,
    /// Nanoseconds since the last pulse of the GPS receiver.
    pub(super) fine: Option<u32>,
    /// In dBm.
    pub(super) rssi: i32,
    /// In dB; 0 where there is none, as with FSK.
    pub(super) snr: f32,
    /// The concentrator's channel.
    pub(super) channel: u32,
    /// Its radio.
    pub(super) rf_chain: u32,
    /// Which concentrator.
    pub(super) board: u32,
    /// Which antenna.
    pub(super) antenna: u32,
    /// Its checksum.
    pub(super) crc: CrcStatus,
}

/// Reads one frame.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(value: &Value) -> Result<Rxpk, Refusal> {
    let object = Object::of(value)?;
    let number = |key: &str| object.integer::<u32>(key).map(Option::unwrap_or_default);
    let crc = match object.integer::<i8>("stat")? {
        Some(1) => CrcStatus::CrcOk,
        Some(-1) => CrcStatus::BadCrc,
        Some(0) | None => CrcStatus::NoCrc,
        Some(_) => return Err(Refusal::Field),
    };
    #[allow(clippy::cast_possible_truncation, reason = "tenths of decibels")]
    let snr = object.number("lsnr")?.unwrap_or_default() as f32;
    Ok(Rxpk {
        phy: phy(object)?,
        frequency: frequency(object)?,
        modulation: modulation(object)?,
        tmst: object.integer("tmst")?.ok_or(Refusal::Field)?,
        // Gateways without GPS leave it out, and what is no time is as good as none.
        time: object.text("time").ok().flatten().and_then(|text| humantime::parse_rfc3339_weak(text).ok()),
        gps: object.integer::<u64>("tmms")?.map(Duration::from_millis),
        fine: object.integer("ftime")?,
        rssi: object.integer("rssi")?.ok_or(Refusal::Field)?,
        snr,
        channel: number("chan")?,
        rf_chain: number("rfch")?,
        board: number("brd")?,
        antenna: number("ant")?,
        crc,
    })
}

fn phy(object: Object<'_>) -> Result<Bytes, Refusal> {
    let text = object.text("data")?.ok_or(Refusal::Field)?;
    // Before it is read, so that a text of 60 kB costs nothing: four characters are three bytes.
    if text.len() > PHY_MAX.div_ceil(3) * 4 {
        return Err(Refusal::FrameTooLong);
    }
    let phy = base64::decode(text).ok_or(Refusal::Base64)?;
    match object.integer::<usize>("size")? {
        Some(size) if size != phy.len() => Err(Refusal::SizeMismatch),
        _ => Ok(phy.into()),
    }
}

fn frequency(object: Object<'_>) -> Result<u32, Refusal> {
    let megahertz = object.number("freq")?.ok_or(Refusal::Field)?;
    if !FREQUENCY_MHZ.contains(&megahertz) {
        return Err(Refusal::Frequency);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    Ok((megahertz * 1e6).round() as u32)
}

fn modulation(object: Object<'_>) -> Result<Modulation, Refusal> {
    let rate = object.get("datr").ok_or(Refusal::Field)?;
    match object.text("modu")? {
        Some("LORA") => {
            let (spreading_factor, bandwidth) = rate.as_str().and_then(lora_rate).ok_or(Refusal::DataRate)?;
            let code_rate = code_rate(object.text("codr")?) as i32;
            let lora = LoraModulationInfo { bandwidth, spreading_factor, code_rate, ..LoraModulationInfo::default() };
            Ok(Modulation { lora: Some(lora), fsk: None })
        }
        Some("FSK") => {
            let written = rate.as_str().and_then(|text| text.parse().ok());
            let datarate = written.or(object.integer("datr").ok().flatten()).filter(|rate| *rate > 0);
            let datarate = datarate.ok_or(Refusal::DataRate)?;
            Ok(Modulation { lora: None, fsk: Some(FskModulationInfo { frequency_deviation: 0, datarate }) })
        }
        Some(_) => Err(Refusal::DataRate),
        None => Err(Refusal::Field),
    }
}

/// Spreading factor and bandwidth in Hz of `SF7BW125`.
fn lora_rate(text: &str) -> Option<(u32, u32)> {
    let (factor, bandwidth) = text.strip_prefix("SF")?.split_once("BW")?;
    let factor = (5..=12).find(|known: &u32| known.to_string() == factor)?;
    let bandwidth = [125, 250, 500].into_iter().find(|known: &u32| known.to_string() == bandwidth)?;
    Some((factor, bandwidth * 1000))
}

/// Where the header's checksum was wrong, gateways write `OFF`.
fn code_rate(text: Option<&str>) -> CodeRate {
    match text {
        Some("4/5") => CodeRate::Cr45,
        Some("4/6" | "2/3") => CodeRate::Cr46,
        Some("4/7") => CodeRate::Cr47,
        Some("4/8" | "1/2") => CodeRate::Cr48,
        _ => CodeRate::Undefined,
    }
}

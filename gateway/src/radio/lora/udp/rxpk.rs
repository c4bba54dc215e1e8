//! `rxpk`: one frame that a gateway heard (PROTOCOL.md of sx1302_hal, section 4).
//!
//! Pure. What is wrong with one frame is that frame's alone.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use super::json::Object;
use crate::radio::lora::gw::{
    CodeRate, CrcStatus, FskModulationInfo, LoraModulationInfo, LrFhssModulationInfo, Modulation,
};
use crate::radio::lora::{Refusal, base64};

/// The longest frame: its length is one byte (LoRaWAN L2 1.0.4, section 3).
pub(super) const PHY_MAX: usize = 255;

/// What a radio of this kind can be tuned to at all, in MHz: an SX1255 from 150, 2.4 GHz at the upper end.
const FREQUENCY_MHZ: std::ops::Range<f64> = 100.0..2500.0;

/// Antennas in one `rsig`. A concentrator has eight at most; two of them may be one gateway.
pub(super) const SIGNALS_MAX: usize = 16;

/// What decibels may be: beyond that nothing is measured.
const DECIBELS: std::ops::RangeInclusive<f64> = -1000.0..=1000.0;

/// Milliseconds of GPS time: as many as protocol buffers have a way to write.
const GPS_MAX: u64 = 315_576_000_000_000;

/// A second, in nanoseconds.
const SECOND: u32 = 1_000_000_000;

/// How wide the channels are in which LR-FHSS hops, in kHz: those of SX126x and LR11xx.
const HOPPING_KHZ: [u32; 10] = [39, 86, 137, 184, 336, 387, 723, 773, 1523, 1574];

/// How one antenna heard a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Signal {
    /// Which antenna.
    pub(super) antenna: u32,
    /// The concentrator's channel.
    pub(super) channel: u32,
    /// In dBm.
    pub(super) rssi: i32,
    /// In dB; 0 where there is none, as with FSK.
    pub(super) snr: f32,
}

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
    /// Its radio.
    pub(super) rf_chain: u32,
    /// Which concentrator.
    pub(super) board: u32,
    /// By each antenna that heard it, and at least one.
    pub(super) signals: Vec<Signal>,
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
    Ok(Rxpk {
        phy: phy(object)?,
        frequency: frequency(object)?,
        modulation: modulation(object)?,
        tmst: object.integer("tmst")?.ok_or(Refusal::Field)?,
        // Gateways without GPS leave it out, and what is no time is as good as none.
        time: object.text("time").ok().flatten().and_then(|text| humantime::parse_rfc3339_weak(text).ok()),
        gps: gps(object)?,
        // Without a second of its own it says nothing.
        fine: object.integer("ftime")?.filter(|nanos| *nanos < SECOND),
        rf_chain: number("rfch")?,
        board: number("brd")?,
        signals: signals(object)?,
        crc,
    })
}

fn gps(object: Object<'_>) -> Result<Option<Duration>, Refusal> {
    match object.integer("tmms")? {
        Some(millis) if millis > GPS_MAX => Err(Refusal::Field),
        millis => Ok(millis.map(Duration::from_millis)),
    }
}

/// One for each antenna in `rsig`, as gateways with several write it, or the frame's own.
fn signals(object: Object<'_>) -> Result<Vec<Signal>, Refusal> {
    match object.get("rsig") {
        None => Ok(vec![signal(object, "rssi")?]),
        Some(Value::Array(signals)) if signals.is_empty() => Ok(vec![signal(object, "rssi")?]),
        Some(Value::Array(signals)) if signals.len() > SIGNALS_MAX => Err(Refusal::Oversized),
        // `rssic` is the channel's; what is `rssis` there is the signal's alone.
        Some(Value::Array(signals)) => {
            signals.iter().map(|value| signal(Object::of(value).map_err(|_| Refusal::Field)?, "rssic")).collect()
        }
        Some(_) => Err(Refusal::Field),
    }
}

fn signal(object: Object<'_>, rssi: &str) -> Result<Signal, Refusal> {
    let number = |key: &str| object.integer::<u32>(key).map(Option::unwrap_or_default);
    let snr = object.number("lsnr")?.unwrap_or_default();
    if !DECIBELS.contains(&snr) {
        return Err(Refusal::Field);
    }
    Ok(Signal {
        antenna: number("ant")?,
        channel: number("chan")?,
        rssi: object.integer(rssi)?.ok_or(Refusal::Field)?,
        #[allow(clippy::cast_possible_truncation, reason = "tenths of decibels")]
        snr: snr as f32,
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
            Ok(Modulation::lora(lora))
        }
        Some("FSK") => {
            let written = rate.as_str().and_then(|text| text.parse().ok());
            let datarate = written.or(object.integer("datr").ok().flatten()).filter(|rate| *rate > 0);
            let datarate = datarate.ok_or(Refusal::DataRate)?;
            Ok(Modulation::fsk(FskModulationInfo { frequency_deviation: 0, datarate }))
        }
        Some("LR-FHSS") => {
            let operating_channel_width = rate.as_str().and_then(hopping_width).ok_or(Refusal::DataRate)?;
            let code_rate = code_rate(object.text("codr")?) as i32;
            let grid_steps = object.integer("hpw")?.unwrap_or_default();
            Ok(Modulation::lr_fhss(LrFhssModulationInfo { operating_channel_width, code_rate, grid_steps }))
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

/// The width in Hz of `M0CW137`.
fn hopping_width(text: &str) -> Option<u32> {
    let width = text.strip_prefix("M0CW")?;
    HOPPING_KHZ.into_iter().find(|known| known.to_string() == width).map(|known| known * 1000)
}

/// Where the header's checksum was wrong, gateways write `OFF`.
fn code_rate(text: Option<&str>) -> CodeRate {
    match text {
        Some("4/5") => CodeRate::Cr45,
        Some("4/6" | "2/3") => CodeRate::Cr46,
        Some("4/7") => CodeRate::Cr47,
        Some("4/8" | "2/4" | "1/2") => CodeRate::Cr48,
        Some("3/8") => CodeRate::Cr38,
        Some("2/6" | "1/3") => CodeRate::Cr26,
        Some("1/4") => CodeRate::Cr14,
        Some("1/6") => CodeRate::Cr16,
        Some("5/6") => CodeRate::Cr56,
        Some("4/5LI") => CodeRate::CrLi45,
        Some("4/6LI") => CodeRate::CrLi46,
        Some("4/8LI") => CodeRate::CrLi48,
        _ => CodeRate::Undefined,
    }
}

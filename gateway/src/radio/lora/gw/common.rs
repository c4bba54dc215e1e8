//! What several messages share.

use std::time::{self, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{CodeRate, enums, json};

/// `google.protobuf.Timestamp`: since 1970 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Timestamp {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// The rest, in nanoseconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// The same as a time of the system; `None` before 1970 and where there is none.
    pub fn time(&self) -> Option<SystemTime> {
        let since = time::Duration::new(u64::try_from(self.seconds).ok()?, u32::try_from(self.nanos).ok()?);
        // What is later than the year 9999 can't be written.
        (self.seconds < 253_402_300_800).then(|| SystemTime::UNIX_EPOCH.checked_add(since)).flatten()
    }

    /// A time of the system; `None` where it can't be written.
    pub fn written(time: SystemTime) -> Option<Self> {
        Some(Self::from(time)).filter(|timestamp| timestamp.time().is_some())
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let Duration { seconds, nanos } = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().into();
        Self { seconds, nanos }
    }
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// The rest, in nanoseconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Duration {
    /// The same as a span of the standard library; `None` where it is negative or none.
    pub fn span(&self) -> Option<time::Duration> {
        let nanos = u32::try_from(self.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        Some(time::Duration::new(u64::try_from(self.seconds).ok()?, nanos))
    }
}

impl From<time::Duration> for Duration {
    fn from(span: time::Duration) -> Self {
        Self {
            seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            // Below a milliard, by its type.
            nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
        }
    }
}

macro_rules! in_json {
    ($($type:ty: $module:ident),*) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                json::$module::serialize(self, to)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                json::$module::deserialize(from)
            }
        })*
    };
}

in_json!(Timestamp: timestamp, Duration: duration);

/// `gw.Modulation`: one of the three.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Modulation {
    /// LoRa.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraModulationInfo>,
    /// FSK.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fsk: Option<FskModulationInfo>,
    /// LR-FHSS, which only devices send.
    #[prost(message, optional, tag = "5")]
    #[serde(alias = "lr_fhss", skip_serializing_if = "Option::is_none")]
    pub lr_fhss: Option<LrFhssModulationInfo>,
}

impl Modulation {
    /// LoRa.
    pub fn lora(lora: LoraModulationInfo) -> Self {
        Self { lora: Some(lora), ..Self::default() }
    }

    /// FSK.
    pub fn fsk(fsk: FskModulationInfo) -> Self {
        Self { fsk: Some(fsk), ..Self::default() }
    }

    /// LR-FHSS.
    pub fn lr_fhss(lr_fhss: LrFhssModulationInfo) -> Self {
        Self { lr_fhss: Some(lr_fhss), ..Self::default() }
    }

    /// Bits a second that it carries.
    pub fn bit_rate(&self) -> u32 {
        match (self.lora, self.fsk, self.lr_fhss) {
            (Some(lora), _, _) => lora.bit_rate(),
            (None, Some(fsk), _) => fsk.datarate,
            (None, None, Some(lr_fhss)) => lr_fhss.bit_rate(),
            (None, None, None) => 0,
        }
    }
}

/// `gw.LoraModulationInfo`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoraModulationInfo {
    /// In Hz.
    #[prost(uint32, tag = "1")]
    pub bandwidth: u32,
    /// 5 to 12.
    #[prost(uint32, tag = "2")]
    #[serde(alias = "spreading_factor")]
    pub spreading_factor: u32,
    /// Error correction.
    #[prost(enumeration = "super::CodeRate", tag = "5")]
    #[serde(with = "enums::code_rate", alias = "code_rate")]
    pub code_rate: i32,
    /// Set for downlinks, so that devices and gateways don't hear their own kind.
    #[prost(bool, tag = "4")]
    #[serde(alias = "polarization_inversion", skip_serializing_if = "std::ops::Not::not")]
    pub polarization_inversion: bool,
    /// Symbols before the frame, for sending; 0 for the usual.
    #[prost(uint32, tag = "6")]
    #[serde(skip_serializing_if = "is_zero")]
    pub preamble: u32,
    /// Send without a checksum.
    #[prost(bool, tag = "7")]
    #[serde(alias = "no_crc", skip_serializing_if = "std::ops::Not::not")]
    pub no_crc: bool,
}

impl LoraModulationInfo {
    /// Bits a second before error correction is taken off, at 4/5 where that is not known.
    fn bit_rate(&self) -> u32 {
        let bits = u64::from(self.spreading_factor).saturating_mul(u64::from(self.bandwidth)).saturating_mul(4);
        let parity = u64::try_from(self.code_rate).unwrap_or(1).clamp(1, 4);
        let chips = 1_u64.checked_shl(self.spreading_factor).unwrap_or(u64::MAX);
        u32::try_from(bits / (4 + parity) / chips.max(1)).unwrap_or(0)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `gw.FskModulationInfo`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FskModulationInfo {
    /// In Hz.
    #[prost(uint32, tag = "1")]
    #[serde(alias = "frequency_deviation", skip_serializing_if = "is_zero")]
    pub frequency_deviation: u32,
    /// In bits a second.
    #[prost(uint32, tag = "2")]
    pub datarate: u32,
}

/// `gw.LrFhssModulationInfo`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LrFhssModulationInfo {
    /// Of the channel in which it hops, in Hz.
    #[prost(uint32, tag = "1")]
    #[serde(alias = "operating_channel_width")]
    pub operating_channel_width: u32,
    /// Error correction.
    #[prost(enumeration = "super::CodeRate", tag = "4")]
    #[serde(with = "enums::code_rate", alias = "code_rate")]
    pub code_rate: i32,
    /// Steps of the grid on which it hops; 0 where that is not known.
    #[prost(uint32, tag = "3")]
    #[serde(alias = "grid_steps")]
    pub grid_steps: u32,
}

impl LrFhssModulationInfo {
    /// Of 488.28 symbols of one bit a second: what is left after error correction (RP002-1.0.4, data rates 8
    /// and 9 of EU863-870).
    fn bit_rate(&self) -> u32 {
        match CodeRate::try_from(self.code_rate) {
            Ok(CodeRate::Cr26) => 162,
            Ok(CodeRate::Cr46) => 325,
            _ => 0,
        }
    }
}

/// `common.Location`.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Location {
    /// In degrees, north positive.
    #[prost(double, tag = "1")]
    pub latitude: f64,
    /// In degrees, east positive.
    #[prost(double, tag = "2")]
    pub longitude: f64,
    /// In metres.
    #[prost(double, tag = "3")]
    pub altitude: f64,
    /// Who says so.
    #[prost(enumeration = "super::LocationSource", tag = "4")]
    #[serde(with = "enums::location_source")]
    pub source: i32,
}

//! `stat`: how a gateway is (PROTOCOL.md of sx1302_hal, section 4).

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use super::json::Object;
use crate::radio::lora::Refusal;
use crate::radio::lora::gw::{Location, LocationSource};

/// What a gateway says of itself, counted since it last said so.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Stat {
    /// Its clock.
    pub(super) time: Option<SystemTime>,
    /// Where it is.
    pub(super) location: Option<Location>,
    /// Frames heard.
    pub(super) received: u32,
    /// Those of them whose checksum was right.
    pub(super) received_ok: u32,
    /// Downlinks that reached it.
    pub(super) downlinks: u32,
    /// Frames sent.
    pub(super) emitted: u32,
    /// What ChirpStack has no field for: `rxfw`, `ackr`, `temp`.
    pub(super) more: BTreeMap<String, String>,
}

/// Reads it. Fields that are not there count as 0.
///
/// # Errors
/// When it is no object, or a field has another type or is out of range.
pub(super) fn parse(value: &Value) -> Result<Stat, Refusal> {
    let object = Object::of(value)?;
    let count = |key: &str| object.integer::<u32>(key).map(Option::unwrap_or_default);
    let mut more = BTreeMap::new();
    for key in ["rxfw", "ackr", "temp"] {
        if let Some(number) = object.number(key)? {
            more.insert(key.to_owned(), number.to_string());
        }
    }
    let time = object.text("time").ok().flatten();
    // `2014-01-12 08:59:28 GMT`.
    let time = time.map(|text| text.trim_end_matches(" GMT").trim_end_matches(" UTC"));
    Ok(Stat {
        time: time.and_then(|text| humantime::parse_rfc3339_weak(text).ok()),
        location: location(object)?,
        received: count("rxnb")?,
        received_ok: count("rxok")?,
        downlinks: count("dwnb")?,
        emitted: count("txnb")?,
        more,
    })
}

/// A place where nobody is: gateways without GPS say 0, 0.
fn location(object: Object<'_>) -> Result<Option<Location>, Refusal> {
    let (Some(latitude), Some(longitude)) = (object.number("lati")?, object.number("long")?) else { return Ok(None) };
    let altitude = object.number("alti")?.unwrap_or_default();
    if (latitude, longitude) == (0.0, 0.0) {
        return Ok(None);
    }
    if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
        return Err(Refusal::Field);
    }
    Ok(Some(Location { latitude, longitude, altitude, source: LocationSource::Gps as i32 }))
}

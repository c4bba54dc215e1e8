//! What records are of (EN 13757-3, tables 10 to 15): quantity, unit, power of ten. Of the extensions those that
//! change the meaning and are known; a record with another one is left out, since its plain reading would be wrong.

use super::record::Record;
use crate::reading::Kind;

/// What a meter is for, as its header says.
#[derive(Clone, Copy)]
pub(super) struct Medium(pub(super) u8);

impl Medium {
    const ELECTRICITY: u8 = 2;
}

/// A quantity.
pub(super) struct Quantity {
    pub(super) name: &'static str,
    pub(super) unit: Option<&'static str>,
    /// The power of ten to the unit.
    pub(super) exponent: i32,
    /// What is left to the unit: 1, or what makes seconds of hours.
    pub(super) factor: f64,
    pub(super) kind: Kind,
}

const HOUR: f64 = 3600.0;

/// What a record is of; none if that is not known.
pub(super) fn of(record: &Record, medium: Medium) -> Option<Quantity> {
    let mut extensions = record.extensions.iter().copied();
    let mut quantity = match record.vif {
        0x7b => of_table_fb(extensions.next()?)?,
        0x7d => of_table_fd(extensions.next()?)?,
        vif => primary(vif)?,
    };
    let energy = matches!(quantity.unit, Some("Wh" | "J"));
    if energy && medium.0 == Medium::ELECTRICITY {
        quantity.name = "energy-import";
    }
    for extension in extensions {
        match extension {
            // No error; counts only what flows forwards; only what flows back.
            0x00 | 0x3b => {}
            0x3c if quantity.name == "energy-import" => quantity.name = "energy-export",
            0x70..=0x77 => quantity.exponent += i32::from(extension & 7) - 6,
            _ => return None,
        }
    }
    Some(quantity)
}

fn quantity(name: &'static str, unit: &'static str, exponent: i32, kind: Kind) -> Quantity {
    Quantity { name, unit: Some(unit), exponent, factor: 1.0, kind }
}

fn primary(vif: u8) -> Option<Quantity> {
    let (low3, low2) = (i32::from(vif & 7), i32::from(vif & 3));
    let gauge = |name, unit, exponent| quantity(name, unit, exponent, Kind::Gauge);
    let per = |name, unit, exponent, seconds: f64| Quantity { factor: 1.0 / seconds, ..gauge(name, unit, exponent) };
    Some(match vif {
        0x00..=0x07 => quantity("energy", "Wh", low3 - 3, Kind::Counter),
        0x08..=0x0f => quantity("energy", "J", low3, Kind::Counter),
        0x10..=0x17 => quantity("volume", "m3", low3 - 6, Kind::Counter),
        0x18..=0x1f => quantity("mass", "kg", low3 - 3, Kind::Counter),
        0x20..=0x23 => Quantity { factor: seconds(vif), ..gauge("on-time", "s", 0) },
        0x24..=0x27 => Quantity { factor: seconds(vif), ..gauge("operating-time", "s", 0) },
        0x28..=0x2f => gauge("power", "W", low3 - 3),
        0x30..=0x37 => per("power", "W", low3, HOUR),
        0x38..=0x3f => per("flow", "m3/s", low3 - 6, HOUR),
        0x40..=0x47 => per("flow", "m3/s", low3 - 7, 60.0),
        0x48..=0x4f => gauge("flow", "m3/s", low3 - 9),
        0x58..=0x5b => gauge("flow-temperature", "Cel", low2 - 3),
        0x5c..=0x5f => gauge("return-temperature", "Cel", low2 - 3),
        0x60..=0x63 => gauge("temperature-difference", "K", low2 - 3),
        0x64..=0x67 => gauge("temperature", "Cel", low2 - 3),
        0x68..=0x6b => gauge("pressure", "Pa", low2 - 3 + 5),
        0x6e => Quantity { unit: None, ..quantity("heat-cost", "", 0, Kind::Counter) },
        _ => return None,
    })
}

/// Units of the times: seconds, minutes, hours, days.
fn seconds(vif: u8) -> f64 {
    [1.0, 60.0, HOUR, 24.0 * HOUR][usize::from(vif & 3)]
}

fn of_table_fd(extension: u8) -> Option<Quantity> {
    let low4 = i32::from(extension & 0x0f);
    Some(match extension {
        0x17 => Quantity { unit: None, ..quantity("error-flags", "", 0, Kind::Watched) },
        0x40..=0x4f => quantity("voltage", "V", low4 - 9, Kind::Gauge),
        0x50..=0x5f => quantity("current", "A", low4 - 12, Kind::Gauge),
        0x60 => Quantity { unit: None, ..quantity("resets", "", 0, Kind::Watched) },
        _ => return None,
    })
}

fn of_table_fb(extension: u8) -> Option<Quantity> {
    let low = i32::from(extension & 1);
    Some(match extension {
        0x00 | 0x01 => quantity("energy", "Wh", low + 5, Kind::Counter),
        0x08 | 0x09 => quantity("energy", "J", low + 8, Kind::Counter),
        0x10 | 0x11 => quantity("volume", "m3", low + 2, Kind::Counter),
        0x28 | 0x29 => quantity("power", "W", low + 5, Kind::Gauge),
        _ => return None,
    })
}

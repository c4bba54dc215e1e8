//! The formats: each file reads one. What comes from a line can be anything, so all of them are bounded and none
//! panics.

mod dsmr;
mod mbus;
mod modbus;
mod obis;
mod sml;

use stile_filter::{Deserialize, JsonSchema};

use crate::reading::Meter;

/// The longest payload that is looked at, in bytes: a telegram of each format is shorter.
pub(crate) const MOST_BYTES: usize = 16 * 1024;

/// What a payload is written in.
#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(crate = "stile_filter::serde", rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) enum Format {
    /// Found out from each payload.
    #[default]
    Auto,
    /// A telegram of a P1 port, DSMR or a relative.
    Dsmr,
    /// The gateway's own Modbus readings in JSON, or answers as they came, of an Eastron SDM meter.
    Modbus,
    /// A long frame of wired M-Bus.
    Mbus,
    /// An SML file, with or without its transport.
    Sml,
}

/// Reads a payload. `register` is the first one that Modbus answers without JSON begin with. The error says why it
/// can't be read.
pub(crate) fn read(format: Format, register: Option<u16>, payload: &[u8]) -> Result<Vec<Meter>, &'static str> {
    if payload.len() > MOST_BYTES {
        return Err("the payload is longer than any telegram");
    }
    let meters = match if format == Format::Auto { found(register, payload)? } else { format } {
        Format::Dsmr => dsmr::read(payload),
        Format::Modbus => modbus::read(register, payload),
        Format::Mbus => mbus::read(payload),
        Format::Sml | Format::Auto => sml::read(payload),
    }?;
    if meters.iter().all(|meter| meter.readings.is_empty() && meter.id.is_none()) {
        return Err("there is no reading in it");
    }
    Ok(meters)
}

/// By the first bytes, which are different in each format.
fn found(register: Option<u16>, payload: &[u8]) -> Result<Format, &'static str> {
    match payload {
        [b'/', ..] => Ok(Format::Dsmr),
        [b'{', ..] => Ok(Format::Modbus),
        [0x68, _, _, 0x68, ..] => Ok(Format::Mbus),
        [0x1b, 0x1b, 0x1b, 0x1b, ..] | [0x76, ..] => Ok(Format::Sml),
        [_, 3 | 4, ..] if register.is_some() => Ok(Format::Modbus),
        _ => Err("the payload is of no format that is known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Beginnings after which a parser goes further than it would with mere noise.
    const BEGINNINGS: [&[u8]; 6] = [
        b"/X\r\n1-0:1.8.0(",
        b"{\"address\":72,\"function\":4,\"value\":",
        b"\x68\x20\x20\x68\x08\x01\x72",
        b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01\x76",
        b"\x76\x02\x01\x62\x00\x62\x00\x72\x63\x07\x01\x77",
        b"\x01\x04\x04",
    ];

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(noise in prop::collection::vec(any::<u8>(), 0..300), begin in 0..6_usize) {
            for format in [Format::Auto, Format::Dsmr, Format::Modbus, Format::Mbus, Format::Sml] {
                let _ = read(format, Some(0), &noise);
                let _ = read(format, Some(u16::MAX), &[BEGINNINGS[begin], &noise].concat());
            }
        }
    }
}

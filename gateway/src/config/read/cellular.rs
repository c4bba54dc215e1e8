//! Reads `[[radio]]` of a 4G or 5G modem.

use std::time::Duration;

use serde::Deserialize;

use super::radio::serial;
use super::users::secret_of_file;
use crate::config::cellular::{Cellular, ModemDialect};
use crate::config::radio::Line;
use crate::config::section::{Section, Unique};
use crate::config::uplink::InFile;

/// The keys that only this reads, for a radio whose kind is not known.
pub(super) const KEYS: [&str; 2] = ["dialect", "pin-file"];

/// A dialect, or that it is to be found out.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DialectName {
    Auto,
    Quectel,
    Simcom,
    Sierra,
    #[serde(rename = "3gpp")]
    ThreeGpp,
}

/// Reads the rest of a radio.
pub(super) fn read(mut section: Section<'_>, name: Option<String>, devices: &mut Unique) -> Option<Cellular> {
    let s = &mut section;
    let serial = serial(s, &Line::default(), devices);
    let dialect = match s.choice("dialect").unwrap_or(DialectName::Auto) {
        DialectName::Auto => None,
        DialectName::Quectel => Some(ModemDialect::Quectel),
        DialectName::Simcom => Some(ModemDialect::Simcom),
        DialectName::Sierra => Some(ModemDialect::Sierra),
        DialectName::ThreeGpp => Some(ModemDialect::ThreeGpp),
    };
    let periods = Duration::from_millis(200)..=Duration::from_secs(3600);
    let period = s.duration("period", periods).unwrap_or(Duration::from_secs(1));
    let format = s.choice("format").unwrap_or_default();
    let (has_pin, pin) = (s.has("pin-file"), pin(s));
    let times = Duration::from_millis(10)..=Duration::from_secs(60);
    let write_timeout = s.duration("write-timeout", times).unwrap_or(Duration::from_secs(2));
    section.finish();
    if has_pin && pin.is_none() {
        return None;
    }
    Some(Cellular { name: name?, serial: serial?, dialect, period, format, pin, write_timeout })
}

/// A PIN of 4 to 8 digits (3GPP TS 31.101, 9.5.1).
fn pin(section: &mut Section<'_>) -> Option<InFile> {
    let path = section.path("pin-file")?;
    let secret = secret_of_file(section, "pin-file", "the PIN of the SIM card", &path)?;
    let pin = secret.expose();
    if !(4..=8).contains(&pin.len()) || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
        section.refuse(
            "pin-file",
            "names a file that holds no PIN",
            "write the 4 to 8 digits into it, and nothing else",
        );
        return None;
    }
    Some(InFile { path, secret })
}

//! Reads `[[radio]]` of a 4G or 5G modem.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::radio::serial;
use super::users::secret_of_file;
use crate::config::cellular::{AtPort, Cellular, Managed, ModemDialect, Via};
use crate::config::notes::Spot;
use crate::config::radio::Line;
use crate::config::section::{Section, Unique};
use crate::config::uplink::InFile;

/// The keys that only this reads, for a radio whose kind is not known.
pub(super) const KEYS: [&str; 6] = ["apn", "connect", "dialect", "modem", "pin-file", "via"];

/// What an access point's name looks like, in words.
pub(super) const APN: &str = "the name of an access point: 1 to 100 of the characters A-Z a-z 0-9 . - _";

/// The longest name of an access point (3GPP TS 23.003, 9.1).
const APN_MAX_BYTES: usize = 100;

/// The longest name or path of a modem.
const MODEM_MAX_BYTES: usize = 255;

/// By which way it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ViaName {
    At,
    ModemManager,
}

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

/// Files with PINs, and where each was named last.
pub(super) type PinFiles = HashMap<PathBuf, Spot>;

/// Reads the rest of a radio.
pub(super) fn read(
    mut section: Section<'_>,
    name: Option<String>,
    devices: &mut Unique,
    pins: &mut PinFiles,
) -> Option<Cellular> {
    let s = &mut section;
    let via = match s.choice("via").unwrap_or(ViaName::At) {
        ViaName::At => at(s, devices).map(Via::At),
        ViaName::ModemManager => Some(Via::ModemManager(managed(s, devices))),
    };
    let periods = Duration::from_millis(200)..=Duration::from_secs(3600);
    let period = s.duration("period", periods).unwrap_or(Duration::from_secs(1));
    let format = s.choice("format").unwrap_or_default();
    let apn = s.parsed("apn", APN, |text| is_apn(text).then(|| text.to_owned()));
    if matches!(&via, Some(Via::ModemManager(managed)) if managed.connect) {
        s.require("apn", "write the access point of the card's operator, such as `apn = \"internet\"`");
    }
    let (has_pin, pin) = (s.has("pin-file"), pin(s, pins));
    section.finish();
    if has_pin && pin.is_none() {
        return None;
    }
    Some(Cellular { name: name?, via: via?, period, format, apn, pin })
}

/// What is set of a modem on a port.
fn at(s: &mut Section<'_>, devices: &mut Unique) -> Option<AtPort> {
    for key in ["modem", "connect"] {
        if s.has(key) {
            s.skip(key);
            s.refuse(key, "is for modems that ModemManager has", "remove it, or write `via = \"modem-manager\"`");
        }
    }
    let serial = serial(s, &Line::default(), devices);
    let dialect = match s.choice("dialect").unwrap_or(DialectName::Auto) {
        DialectName::Auto => None,
        DialectName::Quectel => Some(ModemDialect::Quectel),
        DialectName::Simcom => Some(ModemDialect::Simcom),
        DialectName::Sierra => Some(ModemDialect::Sierra),
        DialectName::ThreeGpp => Some(ModemDialect::ThreeGpp),
    };
    let times = Duration::from_millis(10)..=Duration::from_secs(60);
    let write_timeout = s.duration("write-timeout", times).unwrap_or(Duration::from_secs(2));
    Some(AtPort { serial: serial?, dialect, write_timeout })
}

/// What is set of a modem that ModemManager has. Its ports are ModemManager's.
fn managed(s: &mut Section<'_>, devices: &mut Unique) -> Managed {
    for key in ["device", "usb", "baud", "data-bits", "parity", "stop-bits", "flow-control", "dialect", "write-timeout"]
    {
        if s.has(key) {
            s.skip(key);
            s.refuse(key, "is for a port of the gateway's own", "remove it, or remove `via`; `modem` says which modem");
        }
    }
    let wanted = "a port of the modem, such as \"cdc-wdm0\", or its path in sysfs, \"/sys/devices/...\"";
    let is_name = |text: &str| !text.is_empty() && text.len() <= MODEM_MAX_BYTES && !text.contains(char::is_control);
    // A port's path is as good as its name.
    let parse = |text: &str| is_name(text).then(|| text.strip_prefix("/dev/").unwrap_or(text).to_owned());
    let modem = s.parsed("modem", wanted, parse);
    devices.claim(&format!("ModemManager's {}", modem.as_deref().unwrap_or("only modem")), s.spot("modem"), s.notes);
    Managed { modem, connect: s.boolean("connect").unwrap_or(false) }
}

/// Whether a text is the name of an access point. It stands in quotes in an AT command.
pub(super) fn is_apn(text: &str) -> bool {
    let fits = (1..=APN_MAX_BYTES).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// Whether a text is a PIN: 4 to 8 digits (3GPP TS 31.101, 9.5.1).
pub(super) fn is_pin(text: &str) -> bool {
    (4..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the file that is named holds.
fn pin(section: &mut Section<'_>, pins: &mut PinFiles) -> Option<InFile> {
    let path = section.path("pin-file")?;
    let secret = secret_of_file(section, "pin-file", "the PIN of the SIM card", &path)?;
    if !is_pin(secret.expose()) {
        section.refuse(
            "pin-file",
            "names a file that holds no PIN",
            "write the 4 to 8 digits into it, and nothing else",
        );
        return None;
    }
    if let Some(first) = pins.insert(path.clone(), section.spot("pin-file").clone()) {
        let what = format!("the PIN of the radio at {} is in the same file", first.place());
        let remedy =
            "write a file for each card: each radio tries its PIN once, and after three wrong ones a card is blocked";
        section.notes.warning(section.spot("pin-file"), what, remedy);
    }
    Some(InFile { path, secret })
}

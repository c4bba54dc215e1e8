//! Reads `[[radio]]`: the driver, the line and what radios on ports have.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::cellular::PinFiles;
use super::ports::Ports;
use super::{cellular, framing, lora, modem, name, poll};
use crate::config::hex16;
use crate::config::problem::plain;
use crate::config::radio::{
    Envelope, Framing, Line, Port, Radio, RadioKind, Serial, SerialRadio, Simulated, SimulatedDevice, UsbMatch,
};
use crate::config::section::{Section, Unique};

/// The longest frame that a setting can allow, in bytes.
const FRAME_MAX: i128 = 65_536;

/// The longest time between readings of a made-up device, or between polls.
pub(super) const PERIOD_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The shortest.
pub(super) const PERIOD_MIN: Duration = Duration::from_millis(10);

/// The longest serial number of a USB adapter, in bytes: a string descriptor holds 126 characters (USB 2.0, 9.6.7).
const USB_SERIAL_MAX_BYTES: usize = 126 * 3;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Serial,
    Simulated,
    SemtechUdp,
    LoraModem,
    BasicsStation,
    Concentratord,
    Cellular,
}

/// The devices that can be made up.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DeviceName {
    DsmrP1,
    Nmea,
    Sdm120,
    Line,
    LoraGateway,
    LoraStation,
}

impl DeviceName {
    /// The same on a port; `None` for what is on none.
    fn on_port(self) -> Option<SimulatedDevice> {
        match self {
            Self::DsmrP1 => Some(SimulatedDevice::DsmrP1),
            Self::Nmea => Some(SimulatedDevice::Nmea),
            Self::Sdm120 => Some(SimulatedDevice::Sdm120),
            Self::Line => Some(SimulatedDevice::Line),
            Self::LoraGateway | Self::LoraStation => None,
        }
    }
}

/// What no two radios may share.
pub(super) struct Taken {
    names: Unique,
    devices: Unique,
    sockets: Unique,
    pins: PinFiles,
    /// UDP ports.
    pub(super) udp: Ports,
}

impl Default for Taken {
    fn default() -> Self {
        Self {
            names: Unique::new("radio"),
            devices: Unique::new("device"),
            sockets: Unique::new("socket"),
            pins: PinFiles::default(),
            udp: Ports::default(),
        }
    }
}

/// Reads one radio; where it listens for connections goes to `tcp` as well.
pub(super) fn read(mut section: Section<'_>, taken: &mut Taken, tcp: &mut Ports) -> Option<Radio> {
    let s = &mut section;
    let name = name(s, "name");
    s.require("name", "write `name = \"...\"`; it is the radio's place in topics");
    if let Some(name) = &name {
        taken.names.claim(name, s.spot("name"), s.notes);
    }
    let kind = s.choice("kind");
    s.require(
        "kind",
        "write `kind = \"serial\"`, `\"semtech-udp\"`, `\"basics-station\"`, `\"concentratord\"`, `\"lora-modem\"`, \
         `\"cellular\"` or `\"simulated\"`",
    );
    let device: Option<DeviceName> = match kind {
        Some(KindName::Simulated) => {
            let device = s.choice("device");
            s.require("device", "write one of: `dsmr-p1`, `nmea`, `sdm120`, `line`, `lora-gateway`, `lora-station`");
            device
        }
        _ => None,
    };
    match (kind, device) {
        (Some(KindName::SemtechUdp), _) => {
            lora::read(section, name, lora::Source::Udp(&mut taken.udp)).map(Radio::Lora)
        }
        (Some(KindName::BasicsStation), _) => lora::read(section, name, lora::Source::Station(tcp)).map(Radio::Lora),
        (Some(KindName::Concentratord), _) => {
            lora::read(section, name, lora::Source::Concentratord(&mut taken.sockets)).map(Radio::Lora)
        }
        (Some(KindName::LoraModem), _) => modem::read(section, name, &mut taken.devices).map(Radio::Modem),
        (Some(KindName::Cellular), _) => {
            cellular::read(section, name, &mut taken.devices, &mut taken.pins).map(Radio::Cellular)
        }
        (_, Some(DeviceName::LoraGateway)) => {
            lora::read(section, name, lora::Source::SimulatedForwarder).map(Radio::Lora)
        }
        (_, Some(DeviceName::LoraStation)) => {
            lora::read(section, name, lora::Source::SimulatedStation).map(Radio::Lora)
        }
        (kind, device) => {
            let device = device.and_then(DeviceName::on_port);
            on_port(section, name, kind, device, &mut taken.devices).map(Radio::Serial)
        }
    }
}

fn on_port(
    mut section: Section<'_>,
    name: Option<String>,
    kind: Option<KindName>,
    device: Option<SimulatedDevice>,
    devices: &mut Unique,
) -> Option<SerialRadio> {
    let s = &mut section;
    let (kind, usual_framing) = match kind {
        Some(KindName::Serial) => {
            (serial(s, &Line::default(), devices).map(RadioKind::Serial), Some(Framing::default()))
        }
        Some(KindName::Simulated) => simulated(s, device),
        _ => {
            line(s, &Line::default());
            ["device", "usb", "seed", "period"]
                .into_iter()
                .chain(lora::KEYS)
                .chain(modem::KEYS)
                .chain(cellular::KEYS)
                .for_each(|key| s.skip(key));
            (None, None)
        }
    };
    let framing = if s.has("framing") { framing::read(s) } else { usual_framing };
    let envelope = s.choice("envelope").unwrap_or(Envelope::Raw);
    let max_frame = s.integer("max-frame", 1..=FRAME_MAX).unwrap_or(4096);
    let down_queue = s.integer("down-queue", 1..=1024).unwrap_or(64);
    let times = |least| Duration::from_millis(least)..=Duration::from_secs(60);
    let write_timeout = s.duration("write-timeout", times(10)).unwrap_or(Duration::from_secs(2));
    let response_timeout = s.duration("response-timeout", times(1));
    let poll = poll::read_all(s, framing.as_ref(), max_frame);
    check_frame(s, framing.as_ref(), max_frame);
    section.finish();
    let framing = framing?;
    let response_timeout = response_timeout.or(framing.usual_response_timeout());
    let (name, kind) = (name?, kind?);
    Some(SerialRadio { name, kind, framing, envelope, max_frame, down_queue, write_timeout, response_timeout, poll })
}

fn check_frame(section: &Section<'_>, framing: Option<&Framing>, max_frame: usize) {
    if let Some(Framing::Fixed { length }) = framing
        && *length > max_frame
    {
        let is = format!("has frames of {length} bytes, and `max-frame` is {max_frame}");
        section.refuse("framing", is, format!("write `max-frame = {length}` or a smaller `length`"));
    }
}

fn line(section: &mut Section<'_>, usual: &Line) -> Line {
    Line {
        baud: section.integer("baud", 1..=4_000_000).unwrap_or(usual.baud),
        data_bits: section.integer("data-bits", 5..=8).unwrap_or(usual.data_bits),
        parity: section.choice("parity").unwrap_or(usual.parity),
        stop_bits: section.integer("stop-bits", 1..=2).unwrap_or(usual.stop_bits),
        flow_control: section.choice("flow-control").unwrap_or(usual.flow_control),
    }
}

/// TOML's whole numbers end where i64 does.
pub(super) fn seed(section: &mut Section<'_>) -> u64 {
    section.integer("seed", 0..=i128::from(i64::MAX)).unwrap_or(1)
}

/// The kind and the framing that fits it.
fn simulated(section: &mut Section<'_>, device: Option<SimulatedDevice>) -> (Option<RadioKind>, Option<Framing>) {
    let seed = seed(section);
    let period = section.duration("period", PERIOD_MIN..=PERIOD_MAX).unwrap_or(Duration::from_secs(1));
    let line = line(section, &device.map(SimulatedDevice::line).unwrap_or_default());
    let kind = device.map(|device| RadioKind::Simulated(Simulated { device, seed, period, line }));
    (kind, device.map(SimulatedDevice::framing))
}

/// A port with its line, whose defaults are `usual`.
pub(super) fn serial(section: &mut Section<'_>, usual: &Line, devices: &mut Unique) -> Option<Serial> {
    let line = line(section, usual);
    let device = device(section);
    let usb = if section.has("usb") { usb(section) } else { None };
    let port = match (section.has("device"), section.has("usb")) {
        (true, true) => {
            section.refuse("usb", "stands beside `device`", "keep one of the two");
            return None;
        }
        (false, false) => {
            section.require("device", "write `device = \"/dev/serial/by-id/...\"`, or `usb = { vendor, product }`");
            return None;
        }
        (true, false) => Port::Device(device?),
        (false, true) => Port::Usb(usb?),
    };
    let (key, identity) = match &port {
        // A by-id link and the path that it leads to are one port.
        Port::Device(path) => ("device", fs::canonicalize(path).unwrap_or(path.clone()).to_string_lossy().into_owned()),
        Port::Usb(usb) => {
            ("usb", format!("{:04x}:{:04x} {}", usb.vendor, usb.product, usb.serial.as_deref().unwrap_or_default()))
        }
    };
    devices.claim(&identity, section.spot(key), section.notes);
    Some(Serial { port, line })
}

fn device(section: &mut Section<'_>) -> Option<PathBuf> {
    let path = section.parsed("device", "an absolute path, such as \"/dev/ttyUSB0\"", |text| {
        (text.starts_with('/') && !text.contains('\0')).then(|| PathBuf::from(text))
    })?;
    check_device(section, &path).then_some(path)
}

/// An absent device may be plugged in later; a folder never becomes one.
fn check_device(section: &Section<'_>, path: &Path) -> bool {
    let shown = plain(&path.to_string_lossy());
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            section.refuse("device", format!("is `{shown}`, which is a folder"), "write the path of a port in it");
            false
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let what = format!("`{shown}` is not there now");
            let remedy = "plug it in; it is opened within two seconds of appearing";
            section.notes.warning(section.spot("device"), what, remedy);
            true
        }
        _ => true,
    }
}

fn usb(section: &mut Section<'_>) -> Option<UsbMatch> {
    let mut usb = section.section("usb", "usb of [[radio]]");
    let wanted = "four hex digits in quotes, such as \"0403\"";
    let vendor = usb.parsed("vendor", wanted, hex16::parse);
    usb.require("vendor", "write `vendor = \"0403\"`; `lsusb` lists ID vendor:product");
    let product = usb.parsed("product", wanted, hex16::parse);
    usb.require("product", "write `product = \"6001\"`; `lsusb` lists ID vendor:product");
    let serial = usb.parsed("serial", "a text of 1 to 126 characters", |text| {
        let fits = (1..=USB_SERIAL_MAX_BYTES).contains(&text.len());
        fits.then(|| text.to_owned())
    });
    usb.finish();
    Some(UsbMatch { vendor: vendor?, product: product?, serial })
}

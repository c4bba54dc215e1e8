//! The serial ports that the machine has, and which of them no radio has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio_serial::{SerialPortInfo, SerialPortType};

use crate::config::Port;
use crate::radio::Shown;

/// Where the system keeps names of ports that stay the same.
const BY_ID: &str = "/dev/serial/by-id";

/// Ports that are listed.
const PORTS_MAX: usize = 64;

/// Where the kernel lists terminals.
const TTYS: &str = "/sys/class/tty";

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPort {
    /// Its path now.
    pub path: PathBuf,
    /// Its name that stays the same, where it has one.
    pub stable: Option<PathBuf>,
    /// What it says of itself: maker and product, of USB adapters.
    pub about: Option<String>,
    /// The radio that has it.
    pub radio: Option<String>,
}

impl FoundPort {
    /// What to name in the settings: the name that stays the same, where it has one.
    pub fn device(&self) -> &Path {
        self.stable.as_ref().unwrap_or(&self.path)
    }

    /// The lines for the settings that make a radio of it.
    pub fn lines(&self) -> String {
        let device = self.device();
        let name: String = self.path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        // Paths below /dev have nothing that a text of TOML had to escape, but for what somebody plays with.
        let device: String =
            device.to_string_lossy().chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
        format!(
            "[[radio]]\nname = \"{name}\"\nkind = \"serial\"\ndevice = \"{device}\"\nbaud = 9600\nframing = \"line\"\n"
        )
    }
}

/// The ports that are there now, USB adapters first. Reads files of the kernel.
pub fn found(radios: &[Shown]) -> Vec<FoundPort> {
    let links = std::fs::read_dir(BY_ID).into_iter().flatten().take(PORTS_MAX * 2).flatten().map(|entry| entry.path());
    let stable: BTreeMap<_, _> = links.filter_map(|link| Some((std::fs::canonicalize(&link).ok()?, link))).collect();
    // Without this folder the listing would panic; where it can't be read, no port is known.
    let ports = if Path::new(TTYS).is_dir() { tokio_serial::available_ports().unwrap_or_default() } else { Vec::new() };
    let resolve = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let owners = radios.iter().filter_map(|radio| Some((radio.name().to_owned(), radio.port()?))).collect::<Vec<_>>();
    of(&ports, &stable, &owners, resolve)
}

fn of(
    ports: &[SerialPortInfo],
    stable: &BTreeMap<PathBuf, PathBuf>,
    owners: &[(String, &Port)],
    resolve: impl Fn(&Path) -> PathBuf,
) -> Vec<FoundPort> {
    let port = |info: &SerialPortInfo| {
        let path = PathBuf::from(&info.port_name);
        let has = |port: &Port| match port {
            Port::Device(device) => resolve(device) == resolve(&path),
            Port::Usb(wanted) => super::port::is_wanted(info, wanted),
        };
        let radio = owners.iter().find(|(_, port)| has(port)).map(|(name, _)| name.clone());
        FoundPort { stable: stable.get(&path).cloned(), about: about(info), radio, path }
    };
    let mut found: Vec<_> = ports.iter().take(PORTS_MAX).map(port).collect();
    found.sort_by(|one, two| (one.about.is_none(), &one.path).cmp(&(two.about.is_none(), &two.path)));
    found
}

fn about(info: &SerialPortInfo) -> Option<String> {
    let SerialPortType::UsbPort(usb) = &info.port_type else { return None };
    let words: Vec<_> = [&usb.manufacturer, &usb.product].into_iter().flatten().map(String::as_str).collect();
    Some(format!("{} ({:04x}:{:04x})", words.join(" "), usb.vid, usb.pid).trim_start().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio_serial::UsbPortInfo;

    use super::*;
    use crate::config::UsbMatch;

    fn usb(path: &str, pid: u16) -> SerialPortInfo {
        let product = Some("FT232R".to_owned());
        let info = UsbPortInfo { vid: 0x0403, pid, serial_number: None, manufacturer: Some("FTDI".into()), product };
        SerialPortInfo { port_name: path.into(), port_type: SerialPortType::UsbPort(info) }
    }

    #[test]
    fn ports_are_known_by_their_stable_name_and_those_of_radios_are_marked() {
        let plain = SerialPortInfo { port_name: "/dev/ttyAMA0".into(), port_type: SerialPortType::Unknown };
        let ports = [plain, usb("/dev/ttyUSB1", 0x6001), usb("/dev/ttyUSB0", 0x6001), usb("/dev/ttyACM0", 0x6015)];
        let link = PathBuf::from("/dev/serial/by-id/usb-FTDI-if00");
        let stable = BTreeMap::from([(PathBuf::from("/dev/ttyUSB0"), link.clone())]);
        let by_path = Port::Device(link.clone());
        let by_marks = Port::Usb(UsbMatch { vendor: 0x0403, product: 0x6015, serial: None });
        let owners = [("meter".to_owned(), &by_path), ("pump".to_owned(), &by_marks)];
        let resolve = |path: &Path| if path == link { "/dev/ttyUSB0".into() } else { path.to_owned() };
        let found = of(&ports, &stable, &owners, resolve);
        let radios: Vec<_> = found.iter().map(|port| (port.path.to_str().unwrap(), port.radio.as_deref())).collect();
        let adapters = [("/dev/ttyACM0", Some("pump")), ("/dev/ttyUSB0", Some("meter")), ("/dev/ttyUSB1", None)];
        assert_eq!((&radios[..3], radios[3]), (&adapters[..], ("/dev/ttyAMA0", None)));
        assert_eq!(of(&vec![usb("/dev/x", 1); 100], &stable, &[], Path::to_owned).len(), PORTS_MAX);
        assert_eq!(found[1].about.as_deref(), Some("FTDI FT232R (0403:6001)"));
        assert!(found[1].lines().contains("device = \"/dev/serial/by-id/usb-FTDI-if00\""), "{}", found[1].lines());
    }

    #[test]
    fn the_lines_are_a_radio_that_the_settings_take() {
        let port = FoundPort { path: "/dev/ttyUSB0".into(), stable: None, about: None, radio: None };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stile.toml");
        std::fs::write(&file, port.lines()).unwrap();
        let loaded = crate::config::load(&file, []).unwrap();
        assert_eq!(loaded.settings.radio[0].name(), "ttyusb0");
    }
}

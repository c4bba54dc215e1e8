//! `stile udev`: rules for the ports of the radios in the settings. It prints them, and changes nothing.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use super::{ConfigFile, say, wrong_settings};
use crate::config::{Port, Radio, RadioKind};

/// Print udev rules for the radios' ports: names that stay, and ModemManager kept off
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The port of the radio `boiler` is then /dev/stile/boiler, whichever number it gets, and ModemManager does not talk to it. Ports of
no radio are left alone; a rule by `usb` is for all ports of that adapter.

Examples:
  stile udev
  stile udev | sudo tee /etc/udev/rules.d/61-stile-radios.rules
  sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=tty")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match arguments.file.load() {
        Ok(loaded) => {
            say(rules(&loaded.settings.radio).trim_end());
            ExitCode::SUCCESS
        }
        Err(problems) => wrong_settings(&problems),
    }
}

/// One rule for each real port (udev(7)).
fn rules(radios: &[Radio]) -> String {
    let mut rules = "# Made by `stile udev` of the radios in its settings. Make it again when these change.\n\
        # The properties ID_MM_... are those of ModemManager's documentation of udev tags.\n"
        .to_owned();
    for (name, port) in radios.iter().filter_map(port) {
        // Writing to a string can't fail.
        let _ = writeln!(
            rules,
            "SUBSYSTEM==\"tty\", {}, GROUP=\"dialout\", SYMLINK+=\"stile/{name}\", ENV{{ID_MM_PORT_IGNORE}}=\"1\"",
            matching(&port)
        );
    }
    rules
}

/// A radio on a real port, and which.
fn port(radio: &Radio) -> Option<(String, Port)> {
    let serial = match radio {
        Radio::Serial(serial) => serial.clone(),
        Radio::Modem(modem) => modem.on_port(),
        Radio::Cellular(modem) => modem.on_port()?,
        Radio::Lora(_) => return None,
    };
    match serial.kind {
        RadioKind::Serial(real) => Some((serial.name, real.port)),
        RadioKind::Simulated(_) => None,
    }
}

/// What tells this port from others.
fn matching(port: &Port) -> String {
    match port {
        Port::Usb(usb) => {
            let ids =
                format!("ENV{{ID_VENDOR_ID}}==\"{:04x}\", ENV{{ID_MODEL_ID}}==\"{:04x}\"", usb.vendor, usb.product);
            let serial = usb.serial.as_ref().map(|serial| format!(", ENV{{ID_SERIAL_SHORT}}==\"{}\"", literal(serial)));
            ids + &serial.unwrap_or_default()
        }
        Port::Device(path) => {
            let path = path.strip_prefix("/dev").unwrap_or(path);
            let key = if is_kernel_name(path) { "KERNEL" } else { "SYMLINK" };
            format!("{key}==\"{}\"", literal(&path.to_string_lossy()))
        }
    }
}

/// `ttyUSB0` is what the kernel calls a port; `serial/by-id/...` is a link that another rule has made.
fn is_kernel_name(path: &Path) -> bool {
    path.to_str().is_some_and(|name| name.starts_with("tty") && !name.contains('/'))
}

/// For what stands in udev's quotes: where a sign would mean something there, any one is let pass in its place.
fn literal(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.:/+=@#,".contains(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_of(radios: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stile.toml");
        std::fs::write(&file, radios).unwrap();
        let loaded = crate::config::load(&file, std::iter::empty()).unwrap();
        let rules = rules(&loaded.settings.radio);
        rules.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn each_real_port_has_a_rule_by_what_the_settings_know_it_by() {
        let rules = rules_of(
            r#"
            [[radio]]
            name = "boiler"
            kind = "serial"
            usb = { vendor = "0403", product = "6001", serial = "A50285BI" }
            [[radio]]
            name = "meter"
            kind = "serial"
            device = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"
            [[radio]]
            name = "gps"
            kind = "serial"
            device = "/dev/ttyAMA0"
            [[radio]]
            name = "made-up"
            kind = "simulated"
            device = "line"
            "#,
        );
        let matches: Vec<_> = rules.iter().map(|rule| rule.split(", GROUP").next().unwrap()).collect();
        let expected = [
            r#"SUBSYSTEM=="tty", ENV{ID_VENDOR_ID}=="0403", ENV{ID_MODEL_ID}=="6001", ENV{ID_SERIAL_SHORT}=="A50285BI""#,
            r#"SUBSYSTEM=="tty", SYMLINK=="serial/by-id/usb-FTDI_FT232R-if00-port0""#,
            r#"SUBSYSTEM=="tty", KERNEL=="ttyAMA0""#,
        ];
        assert_eq!(matches, expected);
        assert!(rules[0].ends_with(r#", SYMLINK+="stile/boiler", ENV{ID_MM_PORT_IGNORE}="1""#), "{rules:?}");
    }

    #[test]
    fn no_text_can_leave_its_quotes_or_match_more_than_one_sign() {
        assert_eq!(literal(r#"a"b*c\d$e"#), "a?b?c?d?e");
    }
}

//! What a radio is, in words for whoever looks on.

use std::sync::Arc;
use std::time::Instant;

use super::RadioStats;
use super::serial::{Cut, preview};
use crate::config::{Cellular, Framing, Line, LoraKind, LoraRadio, Parity, Port, Radio, RadioKind, SerialRadio, Via};

/// A radio that runs, or is tried.
#[derive(Debug, Clone)]
pub struct Shown {
    pub(super) settings: Arc<Radio>,
    /// Its counters, and what came last.
    pub stats: Arc<RadioStats>,
}

impl Shown {
    /// 1 to 64 of `a-z A-Z 0-9 - _`.
    pub fn name(&self) -> &str {
        self.settings.name()
    }

    /// Its kind, as the settings call it.
    pub fn kind(&self) -> &'static str {
        match &*self.settings {
            Radio::Serial(SerialRadio { kind: RadioKind::Serial(_), .. }) => "serial",
            Radio::Serial(_) => "simulated",
            Radio::Modem(_) => "lora-modem",
            Radio::Cellular(_) => "cellular",
            Radio::Lora(radio) => match radio.kind {
                LoraKind::SemtechUdp(_) => "semtech-udp",
                LoraKind::BasicsStation(_) => "basics-station",
                LoraKind::Concentratord(_) => "concentratord",
                LoraKind::Simulated(_) => "simulated",
            },
        }
    }

    /// Whether it hears LoRa.
    pub fn hears_lora(&self) -> bool {
        matches!(&*self.settings, Radio::Modem(_) | Radio::Lora(_))
    }

    /// Whether LoRa gateways are behind it, to which frames go.
    pub fn has_gateways(&self) -> bool {
        matches!(&*self.settings, Radio::Lora(_))
    }

    /// Where it is: a path, the marks of an adapter, an address.
    pub fn place(&self) -> String {
        match &*self.settings {
            Radio::Serial(SerialRadio { kind: RadioKind::Serial(serial), .. }) => place_of(&serial.port),
            Radio::Serial(SerialRadio { kind: RadioKind::Simulated(simulated), .. }) => {
                format!("made up: {}", word(&simulated.device))
            }
            Radio::Modem(radio) => place_of(&radio.serial.port),
            Radio::Cellular(radio) => match &radio.via {
                Via::At(port) => place_of(&port.serial.port),
                Via::ModemManager(managed) => {
                    format!("ModemManager's {}", managed.modem.as_deref().unwrap_or("only modem"))
                }
            },
            Radio::Lora(radio) => match &radio.kind {
                LoraKind::SemtechUdp(udp) => format!("UDP {}", udp.listen),
                LoraKind::BasicsStation(station) => format!("TCP {}", station.listen),
                LoraKind::Concentratord(settings) => settings.event_url.to_string(),
                LoraKind::Simulated(simulated) => format!("made up: {}", word(&simulated.device)),
            },
        }
    }

    /// Which port it wants; none where it has none of the machine's.
    pub(super) fn port(&self) -> Option<&Port> {
        match &*self.settings {
            Radio::Serial(SerialRadio { kind: RadioKind::Serial(serial), .. }) => Some(&serial.port),
            Radio::Modem(radio) => Some(&radio.serial.port),
            Radio::Cellular(radio) => radio.at_port().map(|port| &port.serial.port),
            _ => None,
        }
    }

    /// How it is set, as names and words.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        match &*self.settings {
            Radio::Serial(radio) => vec![
                ("Line", line(radio.kind.line())),
                ("Framing", written(&radio.framing).trim_start_matches("framing = ").to_owned()),
                ("Longest frame", format!("{} bytes", radio.max_frame)),
            ],
            Radio::Modem(radio) => vec![
                ("Model", radio.model.as_str().to_owned()),
                ("Line", line(&radio.serial.line)),
                ("Region", word(&radio.region)),
                (
                    "Channel",
                    format!("{} MHz, SF{}", megahertz(radio.channel.frequency), radio.channel.spreading_factor),
                ),
                ("Duty cycle", kept(radio.duty_cycle)),
            ],
            Radio::Cellular(radio) => cellular(radio),
            Radio::Lora(radio) => lora(radio),
        }
    }

    /// How its bytes are cut into frames, as the settings write it; none where that is not to be chosen.
    pub fn framing(&self) -> Option<String> {
        self.serial().map(|radio| written(&radio.framing))
    }

    fn serial(&self) -> Option<&SerialRadio> {
        match &*self.settings {
            Radio::Serial(radio) => Some(radio),
            _ => None,
        }
    }

    /// Cuts the bytes that came last by the framing that these fields say, or by its own where there are none. `None` where
    /// there is no framing to choose. Computes for some milliseconds.
    ///
    /// # Errors
    /// What is wrong with the fields, in words.
    pub fn try_framing(&self, fields: &[(String, String)]) -> Option<Result<Tried, String>> {
        let radio = self.serial()?;
        let framing = match fields {
            [] => Ok(radio.framing.clone()),
            fields => Framing::of_fields(fields),
        };
        Some(framing.map(|framing| {
            let (tail, now) = (self.stats.seen.tail(), Instant::now());
            let cuts = preview(&tail, &framing, radio.max_frame, now);
            let bytes = tail.len();
            Tried { fields: fields_of(&framing), setting: written(&framing), bytes, last: tail.last(), cuts }
        }))
    }
}

/// What a framing made of the bytes that came last.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The framing, key by key.
    pub fields: Vec<(String, String)>,
    /// The line for the settings.
    pub setting: String,
    /// How many bytes there were.
    pub bytes: usize,
    /// When the last of them came.
    pub last: Option<Instant>,
    /// What became of them, in their order.
    pub cuts: Vec<Cut>,
}

fn place_of(port: &Port) -> String {
    match port {
        Port::Device(path) => path.display().to_string(),
        Port::Usb(usb) => {
            let serial = usb.serial.as_ref().map(|serial| format!(", serial number {serial}")).unwrap_or_default();
            format!("USB {:04x}:{:04x}{serial}", usb.vendor, usb.product)
        }
    }
}

fn line(line: &Line) -> String {
    let parity = match line.parity {
        Parity::None => "N",
        Parity::Odd => "O",
        Parity::Even => "E",
    };
    format!("{} baud, {}{parity}{}", line.baud, line.data_bits, line.stop_bits)
}

fn cellular(radio: &Cellular) -> Vec<(&'static str, String)> {
    let mut shown = match &radio.via {
        Via::At(port) => vec![
            ("Dialect", port.dialect.as_ref().map_or_else(|| "asked for".to_owned(), word)),
            ("Line", line(&port.serial.line)),
        ],
        Via::ModemManager(managed) => {
            vec![("Connected", if managed.connect { "by the gateway" } else { "by others" }.to_owned())]
        }
    };
    shown.push(("Reading every", humantime::format_duration(radio.period).to_string()));
    shown.push(("Format", word(&radio.format)));
    shown.extend(radio.apn.iter().map(|apn| ("Access point", apn.clone())));
    shown
}

fn lora(radio: &LoraRadio) -> Vec<(&'static str, String)> {
    vec![
        ("Region", word(&radio.region)),
        ("Topics", format!("{}/gateway/<EUI>/...", radio.topic_prefix)),
        ("Duty cycle", kept(radio.duty_cycle)),
    ]
}

fn kept(kept: bool) -> String {
    if kept { "kept" } else { "not kept" }.to_owned()
}

fn megahertz(hertz: u32) -> f64 {
    f64::from(hertz) / 1e6
}

/// The word of an enumeration as the settings write it; of a device that has more to it, that of `device`.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    let word = value.get("device").unwrap_or(&value);
    word.as_str().unwrap_or_default().to_owned()
}

/// The keys of a framing, as the settings write them, its kind first.
fn fields_of(framing: &Framing) -> Vec<(String, String)> {
    let value = serde_json::to_value(framing).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut fields: Vec<_> =
        value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect();
    // In the order of the alphabet behind it, whether or not the JSON library keeps another.
    fields.sort_by(|(one, _), (two, _)| (one != "kind", one).cmp(&(two != "kind", two)));
    fields
}

/// A framing as the settings write it: `"slip"`, `{ kind = "fixed", length = 12 }`.
fn written(framing: &Framing) -> String {
    let quoted = |value: &str| if value.parse::<u32>().is_ok() { value.to_owned() } else { format!("\"{value}\"") };
    match &fields_of(framing)[..] {
        [(_, kind)] => format!("framing = \"{kind}\""),
        fields => {
            // Markers are texts also where their digits would make a number.
            let is_text = |key: &str| matches!(key, "start" | "stop");
            let parts = fields.iter().map(|(key, value)| {
                let value = if is_text(key) { format!("\"{value}\"") } else { quoted(value) };
                format!("{key} = {value}")
            });
            format!("framing = {{ {} }}", parts.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Crc, Endian, LineEnding, SimulatedDevice};

    #[test]
    fn a_framing_is_written_as_the_settings_have_it_and_its_fields_say_it_again() {
        let framings = [
            (Framing::Slip, "framing = \"slip\""),
            (Framing::Line { ending: LineEnding::Crlf }, "framing = { kind = \"line\", ending = \"crlf\" }"),
            (Framing::IdleGap { gap: Duration::from_millis(20) }, "framing = { kind = \"idle-gap\", gap = \"20ms\" }"),
            (Framing::Fixed { length: 12 }, "framing = { kind = \"fixed\", length = 12 }"),
            (
                Framing::LengthPrefix { width: 2, endian: Endian::Big, crc: Crc::Crc16 },
                "framing = { kind = \"length-prefix\", crc = \"crc16\", endian = \"big\", width = 2 }",
            ),
            (
                Framing::StartStop { start: vec![0x10], stop: vec![3] },
                "framing = { kind = \"start-stop\", start = \"10\", stop = \"03\" }",
            ),
        ];
        for (framing, text) in framings {
            assert_eq!(written(&framing), text);
            assert_eq!(Framing::of_fields(&fields_of(&framing)), Ok(framing));
        }
    }

    #[test]
    fn a_radio_says_what_it_is() {
        let radio = Radio::Serial(SerialRadio::simulated("a", SimulatedDevice::DsmrP1, 1));
        let shown = Shown { settings: Arc::new(radio), stats: Arc::default() };
        assert_eq!((shown.kind(), shown.place().as_str()), ("simulated", "made up: dsmr-p1"));
        assert!(shown.settings().contains(&("Framing", "\"dsmr-p1\"".to_owned())));
        let lora = Shown { settings: Arc::new(Radio::Lora(LoraRadio::usual("roof"))), stats: Arc::default() };
        assert_eq!((lora.kind(), lora.place().as_str()), ("semtech-udp", "UDP 127.0.0.1:1700"));
        assert!(lora.settings().contains(&("Region", "eu868".to_owned())), "{:?}", lora.settings());
        assert!(lora.try_framing(&[]).is_none() && shown.try_framing(&[]).is_some());
    }
}

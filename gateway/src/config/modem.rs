//! Typed settings of a LoRa modem on a serial port: `[[radio]]` with `kind = "lora-modem"`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::radio::{Envelope, Framing, Line, LineEnding, RadioKind, Serial, SerialRadio};
use super::region::Region;

/// A modem that hears one channel with one spreading factor. Its topics are those of a serial radio.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", rename = "lora-modem")]
pub struct LoraModem {
    /// 1 to 64 of `a-z A-Z 0-9 - _`, unique among radios.
    pub name: String,
    /// What it is.
    pub model: ModemModel,
    /// Its port and line.
    #[serde(flatten)]
    pub serial: Serial,
    /// Whose powers and duty cycles hold.
    pub region: Region,
    /// What it is tuned to.
    #[serde(flatten)]
    pub channel: ModemChannel,
    /// Whether frames that would exceed the duty cycle are refused. False is for a shielded laboratory.
    pub duty_cycle: bool,
    /// Whether the country limits how long a frame may last: 400 ms.
    pub dwell_time: bool,
    /// What a message's payload looks like.
    pub envelope: Envelope,
    /// Frames that may wait to be sent; 1 to 1024. What comes on top is refused.
    pub down_queue: usize,
    /// How long one command may take to leave the port.
    #[serde(with = "super::duration")]
    pub write_timeout: Duration,
}

/// What a modem is tuned to, for both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ModemChannel {
    /// Hz.
    pub frequency: u32,
    /// 7 to 12.
    pub spreading_factor: u8,
    /// Hz: 125000, 250000 or 500000.
    pub bandwidth: u32,
    /// Error correction.
    pub coding_rate: CodingRate,
    /// Symbols; 6 to 65535.
    pub preamble: u16,
    /// What it sends with, EIRP in dBm; 2 to 22.
    pub power: i32,
    /// Whose sync word it has.
    pub network: SyncWord,
}

/// The models that are known. Each has a dialogue in `radio/lora/modem/dialogues/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModemModel {
    /// RAKwireless RAK3172 and others with RUI3.
    Rak3172,
    /// Seeed LoRa-E5.
    LoraE5,
    /// Microchip RN2483 and RN2903.
    Rn2483,
}

impl ModemModel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rak3172, Self::LoraE5, Self::Rn2483];

    /// As in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rak3172 => "rak3172",
            Self::LoraE5 => "lora-e5",
            Self::Rn2483 => "rn2483",
        }
    }

    /// The line that it has from the factory.
    pub fn line(self) -> Line {
        let baud = match self {
            Self::Rak3172 => 115_200,
            Self::LoraE5 => 9600,
            Self::Rn2483 => 57_600,
        };
        Line { baud, ..Line::default() }
    }
}

/// Error correction, 4/5 to 4/8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodingRate(u8);

impl CodingRate {
    /// LoRaWAN's.
    pub const USUAL: Self = Self(5);

    /// `4/5` to `4/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let denominator: u8 = text.strip_prefix("4/")?.parse().ok()?;
        (5..=8).contains(&denominator).then_some(Self(denominator))
    }

    /// 5 to 8.
    pub fn denominator(self) -> u8 {
        self.0
    }
}

impl fmt::Display for CodingRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "4/{}", self.0)
    }
}

impl Serialize for CodingRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What tells the networks apart on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncWord {
    /// 0x34, which LoRaWAN has.
    #[default]
    Public,
    /// 0x12.
    Private,
}

impl LoraModem {
    /// The radio on a port that it is to the rest of the gateway. One line is a frame, and a PHY payload has 255 bytes.
    pub fn on_port(&self) -> SerialRadio {
        SerialRadio {
            name: self.name.clone(),
            kind: RadioKind::Serial(self.serial.clone()),
            framing: Framing::Line { ending: LineEnding::Lf },
            envelope: self.envelope,
            max_frame: 255,
            down_queue: self.down_queue,
            write_timeout: self.write_timeout,
            response_timeout: None,
            poll: Vec::new(),
        }
    }
}

//! Typed settings of one radio: `[[radio]]` in the configuration. Those of LoRa are in `lora.rs`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::cellular::Cellular;
use super::lora::LoraRadio;
use super::modem::LoraModem;

/// One radio, by what drives it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Radio {
    /// A port, real or made up.
    Serial(SerialRadio),
    /// Gateways of LoRa.
    Lora(LoraRadio),
    /// A LoRa modem on a port.
    Modem(LoraModem),
    /// A 4G or 5G modem on a port.
    Cellular(Cellular),
}

impl Radio {
    /// 1 to 64 of `a-z A-Z 0-9 - _`, unique among radios.
    pub fn name(&self) -> &str {
        match self {
            Self::Serial(radio) => &radio.name,
            Self::Lora(radio) => &radio.name,
            Self::Modem(radio) => &radio.name,
            Self::Cellular(radio) => &radio.name,
        }
    }
}

/// A radio on a port. Its `name` is its place in topics: `serial/<name>/up`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SerialRadio {
    /// 1 to 64 of `a-z A-Z 0-9 - _`, unique among radios.
    pub name: String,
    /// What drives it. Flattened: `kind = "serial"` or `"simulated"`.
    #[serde(flatten)]
    pub kind: RadioKind,
    /// How bytes become frames and frames bytes.
    pub framing: Framing,
    /// What a message's payload looks like.
    pub envelope: Envelope,
    /// The longest frame taken or sent, in payload bytes; 1 to 65536. What is longer is counted and dropped.
    pub max_frame: usize,
    /// Frames that may wait for the port; 1 to 1024. What comes on top is refused on the `ack` topic.
    pub down_queue: usize,
    /// How long one frame may take to leave the port before it is given up.
    #[serde(with = "super::duration")]
    pub write_timeout: Duration,
    /// Set for poll-style devices: after each frame sent, the line is kept for one answer this long.
    #[serde(with = "super::duration::option", skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Duration>,
    /// What to ask the device on its own, and how often.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poll: Vec<Poll>,
}

/// Which driver, with what only that driver needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum RadioKind {
    /// A real port.
    Serial(Serial),
    /// A pseudo-terminal that a made-up device speaks on.
    Simulated(Simulated),
}

impl RadioKind {
    /// The line settings, whichever driver it is.
    pub fn line(&self) -> &Line {
        match self {
            Self::Serial(serial) => &serial.line,
            Self::Simulated(simulated) => &simulated.line,
        }
    }
}

/// A real serial port.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Serial {
    /// Where the port is.
    #[serde(flatten)]
    pub port: Port,
    /// Its line settings.
    #[serde(flatten)]
    pub line: Line,
}

/// How a port is found, again at each opening.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Port {
    /// A path, best a `/dev/serial/by-id/...` link.
    Device(PathBuf),
    /// The USB adapter with these marks, under whatever path it has now.
    Usb(UsbMatch),
}

/// Marks of a USB serial adapter, as `lsusb -v` and `udevadm info` print them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct UsbMatch {
    /// Vendor id; four hex digits in the file.
    #[serde(with = "super::hex16")]
    pub vendor: u16,
    /// Product id; four hex digits in the file.
    #[serde(with = "super::hex16")]
    pub product: u16,
    /// Serial number; without it the first adapter with the two ids is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// Line settings of a port.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// Bits a second.
    pub baud: u32,
    /// 5 to 8.
    pub data_bits: u8,
    /// Parity bit.
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
    /// Who holds the sender back.
    pub flow_control: FlowControl,
}

impl Line {
    /// Time that one character takes on the wire, start, parity and stop bits included.
    pub fn character_time(&self) -> Duration {
        let parity = u32::from(self.parity != Parity::None);
        let bits = 1 + u32::from(self.data_bits) + parity + u32::from(self.stop_bits);
        Duration::from_secs_f64(f64::from(bits) / f64::from(self.baud.max(1)))
    }
}

/// Parity bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parity {
    /// No parity bit.
    None,
    /// Odd parity.
    Odd,
    /// Even parity.
    Even,
}

/// Flow control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowControl {
    /// None.
    None,
    /// XON/XOFF.
    Software,
    /// RTS/CTS.
    Hardware,
}

/// A made-up device.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Simulated {
    /// What it pretends to be.
    pub device: SimulatedDevice,
    /// Same seed, same readings.
    pub seed: u64,
    /// Time between readings of a device that speaks on its own.
    #[serde(with = "super::duration")]
    pub period: Duration,
    /// The line it claims; its output is paced like it.
    #[serde(flatten)]
    pub line: Line,
}

/// The devices that can be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimulatedDevice {
    /// An electricity meter's P1 port: a DSMR 5 telegram each period.
    DsmrP1,
    /// A GPS receiver: GGA and RMC each period.
    Nmea,
    /// An Eastron SDM120 that answers Modbus RTU.
    Sdm120,
    /// A sensor that prints one line of JSON each period and answers each line it is sent.
    Line,
}

/// How bytes become frames and frames bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", rename_all_fields = "kebab-case")]
pub enum Framing {
    /// Whatever one read returns is one frame.
    Raw,
    /// Text lines; the ending is not part of the payload.
    Line {
        /// What ends a line.
        ending: LineEnding,
    },
    /// Bytes belong together until the line is silent for this long.
    IdleGap {
        /// The silence.
        #[serde(with = "super::duration")]
        gap: Duration,
    },
    /// Every frame has this many bytes.
    Fixed {
        /// 1 to 65536.
        length: usize,
    },
    /// A count of payload bytes, then the payload, then perhaps a checksum over count and payload.
    LengthPrefix {
        /// Bytes of the count: 1, 2 or 4.
        width: u8,
        /// Byte order of the count and of the checksum.
        endian: Endian,
        /// Checksum behind the payload, not counted in the length.
        crc: Crc,
    },
    /// RFC 1055.
    Slip,
    /// Consistent overhead byte stuffing, frames ended by a zero byte.
    Cobs,
    /// Payload between two markers, which are not part of it.
    StartStop {
        /// 1 to 8 bytes.
        #[serde(with = "super::hex_bytes")]
        start: Vec<u8>,
        /// 1 to 8 bytes.
        #[serde(with = "super::hex_bytes")]
        stop: Vec<u8>,
    },
    /// NMEA 0183 sentences, `$` or `!` to checksum; the checksum is verified.
    Nmea,
    /// DSMR P1 telegrams, `/` to CRC16; the CRC is verified.
    DsmrP1,
    /// Modbus RTU, this side being the master: nothing comes unasked.
    ModbusRtu,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineEnding {
    /// `\n`; a `\r` before it belongs to the payload.
    Lf,
    /// `\r\n`.
    Crlf,
    /// `\r`.
    Cr,
}

/// Byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endian {
    /// Most significant byte first.
    Big,
    /// Least significant byte first.
    Little,
}

/// Checksum of a length-prefixed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crc {
    /// None.
    None,
    /// CRC-16/MODBUS: reflected 0x8005, initial 0xFFFF.
    Crc16,
    /// CRC-32/ISO-HDLC, the one of Ethernet and zip.
    Crc32,
}

/// What a message's payload looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Envelope {
    /// The frame as it is.
    Raw,
    /// An object with time, radio, payload and metadata.
    Json,
}

/// One question asked again and again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Poll {
    /// Names the reading in messages; `[a-z A-Z 0-9 - _]`, unique within the radio.
    pub name: String,
    /// Time from one question to the next.
    #[serde(with = "super::duration")]
    pub period: Duration,
    /// The question.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum Ask {
    /// Registers of a Modbus slave; only with `framing.kind = "modbus-rtu"`.
    Modbus(ModbusRead),
    /// A payload that the framing encodes; not with `modbus-rtu`.
    Request {
        /// Text, or bytes in hex by `request-hex`.
        #[serde(with = "super::hex_bytes", rename = "request-hex")]
        request: Vec<u8>,
    },
}

/// A range of registers or bits (Modbus Application Protocol 1.1b3, sections 6.1 to 6.4).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ModbusRead {
    /// 1 to 247.
    pub slave: u8,
    /// 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers.
    pub function: u8,
    /// First register or bit, as it stands in the frame: from 0.
    pub address: u16,
    /// 1 to 125 registers, or 1 to 2000 bits.
    pub count: u16,
    /// How the registers are to be read.
    #[serde(rename = "type")]
    pub value: ModbusType,
}

/// How registers are read; numbers are big-endian, the high word first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModbusType {
    /// The data bytes as they came.
    Raw,
    /// Each register an unsigned number.
    U16,
    /// Each register a signed number.
    I16,
    /// Each pair an unsigned number.
    U32,
    /// Each pair a signed number.
    I32,
    /// Each pair an IEEE 754 float.
    F32,
}

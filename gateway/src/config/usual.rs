//! What a made-up device really uses: its line and its framing, and so the defaults of a simulated radio.

use std::time::Duration;

use super::radio::{
    Envelope, FlowControl, Framing, Line, LineEnding, Parity, RadioKind, SerialRadio, Simulated, SimulatedDevice,
};

/// How long a Modbus slave may take to answer, unless the settings say otherwise.
const MODBUS_RESPONSE: Duration = Duration::from_millis(500);

impl Default for Line {
    /// 9600 baud, 8 data bits, no parity, 1 stop bit, no flow control.
    fn default() -> Self {
        Self { baud: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1, flow_control: FlowControl::None }
    }
}

impl Default for Framing {
    /// Lines ended by LF.
    fn default() -> Self {
        Self::Line { ending: LineEnding::Lf }
    }
}

impl Framing {
    /// How long to wait for an answer after each frame sent, unless the settings say otherwise: 500 ms for Modbus,
    /// else not at all.
    pub fn usual_response_timeout(&self) -> Option<Duration> {
        (*self == Self::ModbusRtu).then_some(MODBUS_RESPONSE)
    }
}

impl SimulatedDevice {
    /// The line settings of the real device.
    pub fn line(self) -> Line {
        let baud = match self {
            Self::DsmrP1 | Self::Line => 115_200,
            Self::Nmea => 9600,
            Self::Sdm120 => 2400,
        };
        Line { baud, ..Line::default() }
    }

    /// The framing that fits the device.
    pub fn framing(self) -> Framing {
        match self {
            Self::DsmrP1 => Framing::DsmrP1,
            Self::Nmea => Framing::Nmea,
            Self::Sdm120 => Framing::ModbusRtu,
            Self::Line => Framing::default(),
        }
    }
}

impl SerialRadio {
    /// A made-up radio with all settings at their defaults. `name` must be one that a radio may have.
    pub fn simulated(name: &str, device: SimulatedDevice, seed: u64) -> Self {
        let framing = device.framing();
        let period = Duration::from_secs(1);
        Self {
            name: name.into(),
            kind: RadioKind::Simulated(Simulated { device, seed, period, line: device.line() }),
            response_timeout: framing.usual_response_timeout(),
            framing,
            envelope: Envelope::Raw,
            max_frame: 4096,
            down_queue: 64,
            write_timeout: Duration::from_secs(2),
            poll: Vec::new(),
        }
    }
}

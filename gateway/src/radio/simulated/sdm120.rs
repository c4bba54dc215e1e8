//! An Eastron SDM120 single-phase meter: Modbus RTU slave 1, read only. It speaks only when asked.
//!
//! Sources: Modbus Application Protocol 1.1b3, sections 6.3, 6.4 and 7; Modbus over Serial Line 1.02, section 2.5.1;
//! Eastron SDM120 Modbus protocol, input registers (1.2) and holding registers (1.3).

use std::time::Duration;

use super::Device;
use super::checksum::crc16;
use super::household::{Household, noise};

const SLAVE: u8 = 1;
const READ_HOLDING: u8 = 3;
const READ_INPUT: u8 = 4;
/// Bytes kept while looking for a request: the longest frame of Modbus RTU. The oldest go first.
const BUFFER: usize = 256;
/// Most registers in one request.
const MOST_REGISTERS: u16 = 125;

/// Exception codes (Modbus Application Protocol 1.1b3, section 7).
const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_ADDRESS: u8 = 2;
const ILLEGAL_VALUE: u8 = 3;

/// The meter.
pub(super) struct Sdm120 {
    household: Household,
    power_factor: f64,
    hertz: f64,
    imported_kwh: f64,
    buffer: Vec<u8>,
}

impl Sdm120 {
    /// A meter that has been in use for a while. Its readings change with each tick.
    pub(super) fn new(seed: u64) -> Self {
        let mut household = Household::new(seed);
        let imported_kwh = 100.0 + 900.0 * household.rng().f64();
        Self { household, power_factor: 0.96, hertz: 50.0, imported_kwh, buffer: Vec::with_capacity(BUFFER) }
    }

    /// Takes one byte. Returns the answer when that byte completes a request to this slave.
    ///
    /// The silence between frames cannot be seen here, so a request is whatever ends in the right checksum,
    /// wherever it starts. Noise before it, or half of another request, does no harm.
    fn take(&mut self, byte: u8) -> Option<Vec<u8>> {
        if self.buffer.len() >= BUFFER {
            self.buffer.remove(0);
        }
        self.buffer.push(byte);
        let request = (0..self.buffer.len()).filter_map(|start| self.buffer.get(start..)).find(|tail| is_request(tail));
        let answer = self.answer(request?);
        self.buffer.clear();
        Some(answer)
    }

    /// The answer to a whole request.
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let function = request.get(1).copied().unwrap_or_default();
        let result = match *request {
            [_, READ_HOLDING, a, b, c, d, ..] => read([a, b], [c, d], holding),
            [_, READ_INPUT, a, b, c, d, ..] => read([a, b], [c, d], |pair| self.input(pair)),
            _ => Err(ILLEGAL_FUNCTION),
        };
        let mut frame = match result {
            Ok(data) => {
                let count = u8::try_from(data.len()).expect("at most 125 registers of two bytes");
                let mut frame = vec![SLAVE, function, count];
                frame.extend(data);
                frame
            }
            Err(exception) => vec![SLAVE, function | 0x80, exception],
        };
        let crc = crc16(0xFFFF, &frame);
        frame.extend(crc.to_le_bytes());
        frame
    }

    /// The measurement whose first register is `pair`.
    fn input(&self, pair: u16) -> Option<f32> {
        let Household { watts, volts, .. } = self.household;
        let volt_amperes = watts / self.power_factor;
        let value = match pair {
            0x00 => volts,
            0x06 => volt_amperes / volts,
            0x0C => watts,
            0x12 => volt_amperes,
            0x1E => self.power_factor,
            0x46 => self.hertz,
            0x48 => self.imported_kwh,
            0x4A => 0.0,
            _ => return None,
        };
        Some(value as f32)
    }
}

impl Device for Sdm120 {
    /// Moves the readings on, so that all that is asked in one period fits together. Says nothing.
    fn tick(&mut self, now: Duration) -> Vec<u8> {
        self.imported_kwh += self.household.advance(now) / 1000.0;
        self.power_factor = 0.96 + 0.03 * noise(self.household.rng());
        self.hertz = 50.0 + 0.05 * noise(self.household.rng());
        Vec::new()
    }

    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().filter_map(|byte| self.take(*byte)).flatten().collect()
    }
}

/// The setting whose first register is `pair`: parity and stop bits, node address, baud rate (code 0 is 2400).
fn holding(pair: u16) -> Option<f32> {
    match pair {
        0x12 | 0x1C => Some(0.0),
        0x14 => Some(f32::from(SLAVE)),
        _ => None,
    }
}

/// The data bytes of `count` registers from `address`; each float is two registers, the high word first.
/// An error is an exception code. A range that touches an unknown register is refused as a whole.
fn read(address: [u8; 2], count: [u8; 2], float: impl Fn(u16) -> Option<f32>) -> Result<Vec<u8>, u8> {
    let first = u16::from_be_bytes(address);
    let count = u16::from_be_bytes(count);
    if count == 0 || count > MOST_REGISTERS {
        return Err(ILLEGAL_VALUE);
    }
    let mut data = Vec::with_capacity(usize::from(count) * 2);
    for offset in 0..count {
        let register = first.checked_add(offset).ok_or(ILLEGAL_ADDRESS)?;
        let [a, b, c, d] = float(register & !1).ok_or(ILLEGAL_ADDRESS)?.to_be_bytes();
        data.extend(if register & 1 == 0 { [a, b] } else { [c, d] });
    }
    Ok(data)
}

/// Whether these bytes are exactly one request to this slave, with the right checksum.
fn is_request(bytes: &[u8]) -> bool {
    request_length(bytes) == Some(bytes.len())
        && bytes.split_last_chunk().is_some_and(|(frame, crc)| crc16(0xFFFF, frame) == u16::from_le_bytes(*crc))
}

/// How long the request is that starts like this, checksum included. Unknown functions count as eight bytes, like
/// most; `None` when it is for another slave or not yet to be told.
fn request_length(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [SLAVE, 0x07 | 0x0B | 0x0C | 0x11, ..] => Some(4),
        [SLAVE, 0x0F | 0x10, _, _, _, _, count, ..] => Some(9 + usize::from(count)),
        [SLAVE, 0x0F | 0x10, ..] => None,
        [SLAVE, 0x01..=0x7F, ..] => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

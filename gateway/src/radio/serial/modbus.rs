//! Modbus RTU: questions, answers and what registers mean (Modbus Application Protocol 1.1b3, sections 6 and 7; Modbus
//! over Serial Line 1.02, section 2.5).
//!
//! Owns the bytes of both sides, master and (for the simulator) slave. A frame here is slave address, function and
//! data, without the CRC unless said. Never knows a port or a clock.

use std::fmt;

use bytes::Bytes;
use crc::{CRC_16_MODBUS, Crc};
use serde_json::{Number, Value};

use crate::config::{ModbusRead, ModbusType};

static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_MODBUS);

/// Set in the function of an answer that is an exception.
const EXCEPTION: u8 = 0x80;

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModbusError {
    /// Fewer bytes than an answer has.
    Short {
        /// Bytes it has, without the CRC.
        length: usize,
    },
    /// Another slave answered.
    Slave {
        /// Who was asked.
        asked: u8,
        /// Who answered.
        answered: u8,
    },
    /// The answer is to another function.
    Function {
        /// What was asked.
        asked: u8,
        /// What was answered.
        answered: u8,
    },
    /// The slave refuses, with this code (Application Protocol, section 7).
    Exception(u8),
    /// The answer carries more or fewer data than were asked for, or than it says.
    ByteCount {
        /// Data bytes that were asked for.
        expected: usize,
        /// Data bytes that came.
        found: usize,
    },
}

impl fmt::Display for ModbusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Short { length } => write!(f, "the answer has only {length} bytes"),
            Self::Slave { asked, answered } => write!(f, "slave {asked} was asked, but slave {answered} answered"),
            Self::Function { asked, answered } => {
                write!(f, "function {asked} was asked, but function {answered} was answered")
            }
            Self::Exception(code) => write!(f, "the slave refuses: {} (exception {code})", exception_words(code)),
            Self::ByteCount { expected, found } => {
                write!(f, "the answer carries {found} data bytes, but {expected} were asked for")
            }
        }
    }
}

impl std::error::Error for ModbusError {}

/// What an exception code says (Application Protocol, section 7).
fn exception_words(code: u8) -> &'static str {
    match code {
        1 => "it does not know the function",
        2 => "it does not have these addresses",
        3 => "it does not take this count or value",
        4 => "it failed while doing it",
        5 => "it has begun and needs longer",
        6 => "it is busy",
        8 => "its memory has a parity error",
        10 => "the gateway has no path to it",
        11 => "the device behind the gateway does not answer",
        _ => "for a reason of its own",
    }
}

/// The question: slave, function, address and count; 6 bytes.
pub fn request(read: &ModbusRead) -> Vec<u8> {
    let [address_high, address_low] = read.address.to_be_bytes();
    let [count_high, count_low] = read.count.to_be_bytes();
    vec![read.slave, read.function, address_high, address_low, count_high, count_low]
}

/// The data bytes of the answer to `read`.
///
/// # Errors
///
/// The slave's exception, or what shows that this is not the answer.
pub fn response(read: &ModbusRead, frame: &[u8]) -> Result<Bytes, ModbusError> {
    let &[answered_by, function, third, ref data @ ..] = frame else {
        return Err(ModbusError::Short { length: frame.len() });
    };
    if answered_by != read.slave {
        return Err(ModbusError::Slave { asked: read.slave, answered: answered_by });
    }
    if function == read.function | EXCEPTION {
        return Err(ModbusError::Exception(third));
    }
    if function != read.function {
        return Err(ModbusError::Function { asked: read.function, answered: function });
    }
    let expected = data_length(read);
    if data.len() != expected || usize::from(third) != expected {
        let found = if data.len() == expected { usize::from(third) } else { data.len() };
        return Err(ModbusError::ByteCount { expected, found });
    }
    Ok(Bytes::copy_from_slice(data))
}

fn is_bits(read: &ModbusRead) -> bool {
    matches!(read.function, 1 | 2)
}

fn data_length(read: &ModbusRead) -> usize {
    let count = usize::from(read.count);
    if is_bits(read) { count.div_ceil(8) } else { count * 2 }
}

/// What the data bytes of an answer say, as JSON.
///
/// Functions 1 and 2 give booleans, whatever the type. Registers give numbers, and `null` where a float is none;
/// `raw` gives the bytes as a text of hex digits. One value stands alone, several in an array. A register that is left
/// over from pairs is passed over.
pub fn values(read: &ModbusRead, data: &[u8]) -> Value {
    let mut values: Vec<Value> = if is_bits(read) {
        let bits = data.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        bits.take(usize::from(read.count)).map(Value::from).collect()
    } else {
        match read.value {
            ModbusType::Raw => return Value::from(hex(data)),
            ModbusType::U16 => numbers(data, |bytes| u16::from_be_bytes(bytes).into()),
            ModbusType::I16 => numbers(data, |bytes| i16::from_be_bytes(bytes).into()),
            ModbusType::U32 => numbers(data, |bytes| u32::from_be_bytes(bytes).into()),
            ModbusType::I32 => numbers(data, |bytes| i32::from_be_bytes(bytes).into()),
            ModbusType::F32 => numbers(data, |bytes| float(f32::from_be_bytes(bytes))),
        }
    };
    match values.pop() {
        Some(only) if values.is_empty() => only,
        Some(last) => {
            values.push(last);
            Value::Array(values)
        }
        None => Value::Array(values),
    }
}

fn numbers<const WIDTH: usize>(data: &[u8], read: impl Fn([u8; WIDTH]) -> Value) -> Vec<Value> {
    data.as_chunks().0.iter().map(|bytes| read(*bytes)).collect()
}

/// The number that the shortest decimal of an `f32` means: 230.2 for the float whose exact value is 230.1999969...
fn float(value: f32) -> Value {
    value.to_string().parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A frame with its CRC, low byte first, as it goes over the line.
pub fn with_crc(frame: &[u8]) -> Vec<u8> {
    [frame, &CRC.checksum(frame).to_le_bytes()].concat()
}

/// The frame of what came over the line; `None` if the CRC is wrong.
pub fn without_crc(line: &[u8]) -> Option<&[u8]> {
    let (frame, crc) = line.split_last_chunk()?;
    (CRC.checksum(frame).to_le_bytes() == *crc).then_some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(function: u8, count: u16, value: ModbusType) -> ModbusRead {
        ModbusRead { slave: 1, function, address: 0, count, value }
    }

    #[test]
    fn the_answer_of_an_sdm120_reads_230_2_volts() {
        let read = read(4, 2, ModbusType::F32);
        let line = [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38];
        let data = response(&read, without_crc(&line).unwrap()).unwrap();
        // The meter's float is the one above the nearest to 230.2.
        assert_eq!(values(&read, &data).to_string(), "230.20001");
        assert_eq!(values(&read, &230.2_f32.to_be_bytes()).to_string(), "230.2", "not 230.1999969");
        assert_eq!(with_crc(&request(&read)), [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB]);
    }

    #[test]
    fn registers_are_read_by_their_type() {
        let data = [0xFF, 0xFE, 0x00, 0x02];
        let says = |value| values(&read(3, 2, value), &data).to_string();
        assert_eq!(says(ModbusType::U16), "[65534,2]");
        assert_eq!(says(ModbusType::I16), "[-2,2]");
        assert_eq!(says(ModbusType::U32), "4294836226");
        assert_eq!(says(ModbusType::I32), "-131070");
        assert_eq!(says(ModbusType::F32), "null", "it is no number");
        assert_eq!(says(ModbusType::Raw), "\"fffe0002\"");
        assert_eq!(values(&read(3, 2, ModbusType::F32), &f32::INFINITY.to_be_bytes()), Value::Null);
        assert_eq!(values(&read(3, 2, ModbusType::F32), &[1]).to_string(), "[]");
    }

    #[test]
    fn bits_are_booleans_from_the_lowest() {
        let read = read(1, 10, ModbusType::U16);
        let data = response(&read, &[1, 1, 2, 0b0000_0101, 0b11]).unwrap();
        let expected = [true, false, true, false, false, false, false, false, true, true];
        assert_eq!(values(&read, &data), Value::from(expected.to_vec()));
    }

    #[test]
    fn what_is_not_the_answer_is_refused_in_words() {
        let read = read(3, 1, ModbusType::U16);
        let says = |frame: &[u8]| response(&read, frame).unwrap_err().to_string();
        assert_eq!(says(&[1, 3]), "the answer has only 2 bytes");
        assert_eq!(says(&[2, 3, 2, 0, 0]), "slave 1 was asked, but slave 2 answered");
        assert_eq!(says(&[1, 4, 2, 0, 0]), "function 3 was asked, but function 4 was answered");
        assert_eq!(says(&[1, 3, 4, 0, 0, 0, 0]), "the answer carries 4 data bytes, but 2 were asked for");
        assert_eq!(says(&[1, 3, 4, 0, 0]), "the answer carries 4 data bytes, but 2 were asked for");
        assert_eq!(says(&[1, 0x83, 2]), "the slave refuses: it does not have these addresses (exception 2)");
    }
}

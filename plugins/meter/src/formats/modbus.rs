//! Eastron's SDM meters over Modbus: SDM120, SDM230 and SDM630, whose manuals ("Modbus Protocol Implementation",
//! input registers) share their addresses. Either the readings that the gateway's Modbus polls publish, or answers as
//! they come.

use crc::{CRC_16_MODBUS, Crc, NoTable};
use serde_json::Value;
use stile_filter::senml;

use crate::reading::{Kind, Meter, decimal};

/// Where an SDM630 or a newer SDM120 has its serial number, in the holding registers.
const SERIAL_NUMBER: u64 = 0xfc00;
/// The most values of one answer: 125 registers, two for each.
const MOST_VALUES: usize = 62;

/// Reads a payload.
pub(crate) fn read(register: Option<u16>, payload: &[u8]) -> Result<Vec<Meter>, &'static str> {
    match (payload, register) {
        ([b'{', ..], _) => of_a_poll(payload),
        (_, Some(register)) => of_an_answer(register, payload),
        (_, None) => Err("a Modbus answer does not say its registers; set `first-register`"),
    }
}

/// `{"name":"voltage","value":230.8,"slave":1,"function":4,"address":0}`
fn of_a_poll(payload: &[u8]) -> Result<Vec<Meter>, &'static str> {
    let poll: Value = serde_json::from_slice(payload).map_err(|_| "the payload is no JSON")?;
    let number = |field: &str| poll.get(field).and_then(Value::as_u64);
    let (slave, function) =
        (number("slave").ok_or("there is no `slave`")?, number("function").ok_or("there is no `function`")?);
    let address = number("address").ok_or("there is no `address`")?;
    let name = poll.get("name").and_then(Value::as_str).unwrap_or_default();
    let mut meter = Meter { part: slave.to_string(), ..Meter::default() };
    if (function, address) == (3, SERIAL_NUMBER) {
        meter.id = poll.get("value").and_then(Value::as_u64).map(|number| number.to_string());
        return Ok(vec![meter]);
    }
    let values = match poll.get("value") {
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => return Err("there is no `value`"),
    };
    for (value, address) in values.iter().zip((address..).step_by(2)).take(MOST_VALUES) {
        // `null` is a float that is no number: the meter does not have that reading.
        if let Value::Number(value) = value {
            add(&mut meter, (function, address), name, value);
        }
    }
    Ok(vec![meter])
}

/// Slave, function, count of bytes, floats with the high word first; the CRC may have been taken off.
fn of_an_answer(register: u16, payload: &[u8]) -> Result<Vec<Meter>, &'static str> {
    let [slave, function @ (3 | 4), count, data @ ..] = payload else {
        return Err("the payload is no Modbus answer with readings");
    };
    let (floats, rest) = data.split_at_checked(usize::from(*count)).ok_or("the Modbus answer is cut short")?;
    let checked = &payload[..payload.len() - rest.len()];
    match rest {
        [] => {}
        [low, high]
            if Crc::<u16, NoTable>::new(&CRC_16_MODBUS).checksum(checked) == u16::from_le_bytes([*low, *high]) => {}
        _ => return Err("the checksum of the Modbus answer is wrong"),
    }
    let (floats, []) = floats.as_chunks::<4>() else {
        return Err("the Modbus answer has half a float");
    };
    let mut meter = Meter { part: slave.to_string(), ..Meter::default() };
    for (bytes, address) in floats.iter().zip((u64::from(register)..).step_by(2)) {
        let value = f32::from_be_bytes(*bytes);
        if value.is_finite() {
            add(&mut meter, (u64::from(*function), address), "", &value);
        }
    }
    Ok(vec![meter])
}

/// A value of a register. What is not in the table goes by the name of its poll.
fn add(meter: &mut Meter, (function, address): (u64, u64), name: &str, value: &dyn std::fmt::Display) {
    match register(address).filter(|_| function == 4) {
        Some((name, unit, exponent)) => {
            let kind = if matches!(unit, "Wh" | "varh") { Kind::Counter } else { Kind::Gauge };
            if let Some(value) = decimal(value, exponent) {
                meter.add(name, Some(unit), value, kind);
            }
        }
        None => {
            let name = match senml::name(name) {
                name if name.is_empty() => format!("register-{address}"),
                name => name,
            };
            if let Some(value) = decimal(value, 0) {
                meter.add(&name, None, value, Kind::Gauge);
            }
        }
    }
}

/// An input register: its name, unit, and the power of ten that the meter counts in.
fn register(address: u64) -> Option<(&'static str, &'static str, i32)> {
    Some(match address {
        0x00 => ("voltage-l1", "V", 0),
        0x02 => ("voltage-l2", "V", 0),
        0x04 => ("voltage-l3", "V", 0),
        0x06 => ("current-l1", "A", 0),
        0x08 => ("current-l2", "A", 0),
        0x0a => ("current-l3", "A", 0),
        0x0c => ("power-l1", "W", 0),
        0x0e => ("power-l2", "W", 0),
        0x10 => ("power-l3", "W", 0),
        0x12 => ("apparent-power-l1", "VA", 0),
        0x14 => ("apparent-power-l2", "VA", 0),
        0x16 => ("apparent-power-l3", "VA", 0),
        0x18 => ("reactive-power-l1", "var", 0),
        0x1a => ("reactive-power-l2", "var", 0),
        0x1c => ("reactive-power-l3", "var", 0),
        0x1e => ("power-factor-l1", "/", 0),
        0x20 => ("power-factor-l2", "/", 0),
        0x22 => ("power-factor-l3", "/", 0),
        0x34 => ("power", "W", 0),
        0x38 => ("apparent-power", "VA", 0),
        0x3c => ("reactive-power", "var", 0),
        0x3e => ("power-factor", "/", 0),
        0x46 => ("frequency", "Hz", 0),
        0x48 => ("energy-import", "Wh", 3),
        0x4a => ("energy-export", "Wh", 3),
        0x4c => ("reactive-energy-import", "varh", 3),
        0x4e => ("reactive-energy-export", "varh", 3),
        0x156 => ("energy", "Wh", 3),
        0x158 => ("reactive-energy", "varh", 3),
        _ => return None,
    })
}

//! Reads `[[radio.poll]]`: what a radio asks its device on its own.

use super::name;
use super::radio::{PERIOD_MAX, PERIOD_MIN};
use crate::config::hex_bytes;
use crate::config::radio::{Ask, Framing, ModbusRead, ModbusType, Poll};
use crate::config::section::{Section, Unique};

/// More polls of one radio than this are refused.
const POLLS_MAX: usize = 256;

/// Registers that fit into one answer (Modbus Application Protocol 1.1b3, sections 6.3 and 6.4).
const REGISTERS_MAX: i128 = 125;

/// Bits that fit into one answer (sections 6.1 and 6.2).
const BITS_MAX: i128 = 2000;

/// The keys of a Modbus question.
const MODBUS_KEYS: [&str; 5] = ["slave", "function", "address", "count", "type"];

/// The keys of any other question.
const REQUEST_KEYS: [&str; 2] = ["request", "request-hex"];

/// Reads all polls of `radio`. `framing` is `None` when it is not known.
pub(super) fn read_all(radio: &mut Section<'_>, framing: Option<&Framing>, max_frame: usize) -> Vec<Poll> {
    let mut names = Unique::new("poll");
    let polls = radio.sections("poll", "[[radio.poll]]", POLLS_MAX);
    polls.into_iter().filter_map(|section| read(section, framing, max_frame, &mut names)).collect()
}

fn read(mut section: Section<'_>, framing: Option<&Framing>, max_frame: usize, names: &mut Unique) -> Option<Poll> {
    let s = &mut section;
    let name = name(s, "name");
    s.require("name", "write `name = \"...\"`; it names the reading in messages");
    if let Some(name) = &name {
        names.claim(name, s.spot("name"), s.notes);
    }
    let period = s.duration("period", PERIOD_MIN..=PERIOD_MAX);
    s.require("period", "write `period = \"10s\"` with the time you want");
    let modbus_key = MODBUS_KEYS.into_iter().find(|key| s.has(key));
    let request_key = REQUEST_KEYS.into_iter().find(|key| s.has(key));
    let by_modbus = framing.map_or(modbus_key.is_some(), |framing| *framing == Framing::ModbusRtu);
    let ask = if by_modbus {
        if let Some(key) = request_key {
            REQUEST_KEYS.into_iter().for_each(|key| s.skip(key));
            s.refuse(key, "does not go with Modbus", "write `slave`, `function`, `address` and `count` in its place");
        }
        // Who asks by request has not forgotten the Modbus keys.
        if request_key.is_none() || modbus_key.is_some() { modbus(s).map(Ask::Modbus) } else { None }
    } else {
        if let Some(key) = modbus_key {
            MODBUS_KEYS.into_iter().for_each(|key| s.skip(key));
            let remedy = "write `framing = \"modbus-rtu\"`, or `request` in place of the Modbus keys";
            s.refuse(key, "needs Modbus framing", remedy);
        }
        request(s, framing, max_frame, modbus_key.is_some()).map(|request| Ask::Request { request })
    };
    section.finish();
    Some(Poll { name: name?, period: period?, ask: ask? })
}

fn modbus(section: &mut Section<'_>) -> Option<ModbusRead> {
    let slave = section.integer("slave", 1..=247);
    section.require("slave", "write `slave = 1` with the device's address");
    let function: Option<u8> = section.integer("function", 1..=4);
    let remedy = "write `function = 3` (holding registers), 4 (input registers), 1 (coils) or 2 (discrete inputs)";
    section.require("function", remedy);
    let address = section.integer("address", 0..=65_535);
    section.require("address", "write `address = 0` with the first register as it stands in the frame, from 0");
    let bits = matches!(function, Some(1 | 2));
    let count = section.integer("count", 1..=if bits { BITS_MAX } else { REGISTERS_MAX });
    let value = section.choice("type");
    if section.has("count") && count.is_none() || section.has("type") && value.is_none() {
        return None;
    }
    let (count, value) = (count.unwrap_or(1), value.unwrap_or(ModbusType::Raw));
    if bits && value != ModbusType::Raw {
        section.refuse("type", "reads registers, and functions 1 and 2 give bits", "write `type = \"raw\"`");
    }
    if matches!(value, ModbusType::U32 | ModbusType::I32 | ModbusType::F32) && count % 2 != 0 {
        let is = format!("reads pairs of registers, and `count` is {count}");
        section.refuse("type", is, format!("write `count = {}`", (count + 1).min(124)));
    }
    if u32::from(address.unwrap_or(0)) + u32::from(count) > 65_536 {
        section.refuse("address", "and `count` go beyond the last address, 65535", "make one of the two smaller");
    }
    Some(ModbusRead { slave: slave?, function: function?, address: address?, count, value })
}

fn request(section: &mut Section<'_>, framing: Option<&Framing>, max_frame: usize, excused: bool) -> Option<Vec<u8>> {
    let text = section.text("request").map(String::into_bytes);
    let hex = section.parsed("request-hex", "bytes in hex digits, such as \"0d0a\"", hex_bytes::parse);
    let key = match (section.has("request"), section.has("request-hex")) {
        (true, true) => {
            section.refuse("request-hex", "stands beside `request`", "keep one of the two");
            return None;
        }
        (true, false) => "request",
        (false, true) => "request-hex",
        (false, false) => {
            if !excused {
                section.require("request", "write `request = \"...\"` or `request-hex = \"...\"`");
            }
            return None;
        }
    };
    let request = text.or(hex)?;
    let length = request.len();
    match framing {
        _ if length == 0 => section.refuse(key, "is empty", "write what the device is to be asked"),
        _ if length > max_frame => {
            let is = format!("has a length of {length}, and `max-frame` is {max_frame}");
            section.refuse(key, is, format!("shorten it or write `max-frame = {length}`"));
        }
        Some(Framing::Fixed { length: wanted }) if length != *wanted => {
            let is = format!("has a length of {length}, and the framing's frames have {wanted} bytes");
            section.refuse(key, is, format!("write {wanted} bytes"));
        }
        _ => {}
    }
    Some(request)
}

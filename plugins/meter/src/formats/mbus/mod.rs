//! Wired M-Bus (EN 13757-2 and -3): long frames with the variable data structure, which is what meters answer to
//! REQ_UD2.
//!
//! `record.rs` takes the data records apart, `value.rs` reads their numbers, `quantity.rs` knows what they are of.
//! What the meter keeps of the past (storage numbers, greatest and least values) and what only its maker understands
//! is left out.

mod quantity;
mod record;
mod value;

use crate::reading::{Kind, Meter, decimal};
use quantity::Medium;
use record::Records;

/// The most readings of one frame: each takes three bytes at least, and a frame has 252.
const MOST_READINGS: usize = 84;

/// Variable data, the low byte first.
const RESPONSE: u8 = 0x72;

/// Reads a frame.
pub(crate) fn read(payload: &[u8]) -> Result<Vec<Meter>, &'static str> {
    let [0x68, length, again, 0x68, rest @ ..] = payload else {
        return Err("the payload is no long frame of M-Bus");
    };
    let (user, [checksum, 0x16]) = rest.split_at_checked(usize::from(*length)).ok_or("the M-Bus frame is cut short")?
    else {
        return Err("the M-Bus frame has no end where its length says");
    };
    if length != again || user.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) != *checksum {
        return Err("the checksum of the M-Bus frame is wrong");
    }
    let [_, address, RESPONSE, data @ ..] = user else {
        return Err("the M-Bus frame is no answer with variable data");
    };
    let (header, data) = data.split_first_chunk::<12>().ok_or("the M-Bus frame has no header")?;
    meter(*address, header, data).map(|meter| vec![meter])
}

/// The header is the number of four bytes, the maker, version, medium, access number, status and signature.
fn meter(address: u8, header: &[u8; 12], data: &[u8]) -> Result<Meter, &'static str> {
    let [n0, n1, n2, n3, maker0, maker1, version, medium, _, status, _, signature] = *header;
    if signature & 0x1f != 0 {
        return Err("the M-Bus frame is encrypted");
    }
    let number = format!("{:08x}", u32::from_le_bytes([n0, n1, n2, n3]));
    // Other addresses are those of meters that were given none: there can be many of them.
    let part = if (1..=250).contains(&address) { address.to_string() } else { number.clone() };
    let maker = maker(u16::from_le_bytes([maker0, maker1]));
    let id = format!("{maker}-{number}-{version}-{medium}");
    let mut meter = Meter { part, id: Some(id), ..Meter::default() };
    for record in Records::new(data).take(MOST_READINGS) {
        let record = record?;
        let Some(quantity) = quantity::of(&record, Medium(medium)).filter(|_| record.is_current()) else { continue };
        let Some(value) = value::read(record.field, record.data).and_then(|digits| decimal(digits, quantity.exponent))
        else {
            continue;
        };
        let tariff = Some(record.tariff).filter(|tariff| *tariff > 0).map(|tariff| format!("-t{tariff}"));
        let unit = Some(record.subunit).filter(|unit| *unit > 0).map(|unit| format!("-u{unit}"));
        let name = format!("{}{}{}", quantity.name, tariff.unwrap_or_default(), unit.unwrap_or_default());
        meter.add(&name, quantity.unit, value * quantity.factor, quantity.kind);
    }
    meter.add("status", None, f64::from(status), Kind::Watched);
    Ok(meter)
}

/// Three letters of five bits each.
fn maker(number: u16) -> String {
    let letter = |shift: u16| char::from(b'@' + u8::try_from(number >> shift & 0x1f).unwrap_or_default());
    [letter(10), letter(5), letter(0)].iter().map(|c| if c.is_ascii_alphabetic() { *c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_records_behind_a_good_header_are_read_or_refused(noise in prop::collection::vec(any::<u8>(), 0..237)) {
            let user = [&[0x08, 0x01, RESPONSE][..], &[0; 12], &noise].concat();
            let length = u8::try_from(user.len()).unwrap();
            let checksum = user.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            let read = read(&[&[0x68, length, length, 0x68][..], &user, &[checksum, 0x16]].concat());
            // Nothing but its records can be wrong with it.
            prop_assert!(read.is_ok() || read == Err("a record of the M-Bus frame is cut short"), "{read:?}");
        }
    }
}

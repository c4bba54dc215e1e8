//! The answer to GetList: a server, and values with their OBIS codes.

use super::super::obis::Obis;
use super::value::{Cursor, Element};
use crate::reading::{Kind, Meter, decimal};

/// The most values of one list.
const MOST_VALUES: usize = 128;
/// The status word of a basic meter: its low byte is always that, and this bit says that the terminal cover was
/// opened.
const STATUS: (u64, u64) = (0x04, 1 << 10);

/// Reads the body. None if it is none.
pub(super) fn read(cursor: &mut Cursor) -> Option<Meter> {
    cursor.list(7)?;
    cursor.skip()?;
    let server = cursor.octets()?;
    cursor.skip()?;
    cursor.skip()?;
    let Element::List(count) = cursor.next()? else { return None };
    let id: String = server.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
    let mut meter = Meter { id: Some(id).filter(|id| !id.is_empty()), ..Meter::default() };
    for _ in 0..count.min(MOST_VALUES) {
        value(cursor, &mut meter)?;
    }
    Some(meter)
}

/// One of its values: code, status, time, unit, power of ten, value, signature.
fn value(cursor: &mut Cursor, meter: &mut Meter) -> Option<()> {
    cursor.list(7)?;
    let code = cursor.octets()?;
    let status = cursor.next()?;
    cursor.skip()?;
    let (unit, exponent) = (cursor.next()?, cursor.next()?);
    let value = cursor.next()?;
    if let Element::List(count) = value {
        (0..count).try_for_each(|_| cursor.skip())?;
    }
    cursor.skip()?;
    let [a, b, c, d, e, _] = *code else { return Some(()) };
    let code = Obis { a, b, c, d, e };
    if let (Element::Unsigned(status), false) = (status, known(meter, "status")) {
        add_status(meter, status);
    }
    let exponent = if let Element::Signed(exponent) = exponent { i32::try_from(exponent).ok()? } else { 0 };
    let (number, unit) = match (value, unit) {
        (Element::Signed(number), Element::Unsigned(unit)) => (decimal(number, exponent), of(unit)),
        (Element::Unsigned(number), Element::Unsigned(unit)) => (decimal(number, exponent), of(unit)),
        // Without a unit it is an identifier, a status word or a signature.
        _ => return Some(()),
    };
    if let (Some(number), (name, kind)) = (number, code.name()) {
        meter.add(&name, unit, number, kind);
    }
    Some(())
}

fn known(meter: &Meter, name: &str) -> bool {
    meter.readings.iter().any(|reading| reading.name == name)
}

fn add_status(meter: &mut Meter, status: u64) {
    #[expect(clippy::cast_precision_loss, reason = "status words have at most 32 bits that matter")]
    meter.add("status", None, status as f64, Kind::Gauge);
    let (mark, opened) = STATUS;
    if status & 0xff == mark {
        meter.add("cover-opened", None, f64::from(u8::from(status & opened != 0)), Kind::Watched);
    }
}

/// The units of DLMS/COSEM that meters use (IEC 62056-6-2, table of units), as in the registry of SenML.
fn of(code: u64) -> Option<&'static str> {
    Some(match code {
        8 => "deg",
        9 => "Cel",
        13 | 14 => "m3",
        27 => "W",
        28 => "VA",
        29 => "var",
        30 => "Wh",
        32 => "varh",
        33 => "A",
        35 => "V",
        44 => "Hz",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_values_of_a_list_are_read_or_refused(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            // A value as far as its code, so that noise reaches what comes behind.
            let begun = [&[0x77, 0x01, 0x01, 0x01, 0x01, 0x72, 0x77, 0x07, 1, 0, 1, 8, 0, 255][..], &noise].concat();
            let _ = read(&mut Cursor::new(&begun));
            let _ = read(&mut Cursor::new(&[&[0x77, 0x01, 0x01, 0x01, 0x01, 0x75][..], &noise].concat()));
        }
    }

    #[test]
    fn an_opened_cover_is_told_where_the_status_word_is_one_of_a_basic_meter() {
        for (status, opened) in [(0x001c_0104_u64, Some(0.0)), (0x001c_0504, Some(1.0)), (0x0182, None)] {
            let mut meter = Meter::default();
            add_status(&mut meter, status);
            let found = meter.readings.iter().find(|reading| reading.name == "cover-opened");
            assert_eq!(found.map(|reading| reading.value), opened, "{status:x}");
        }
    }
}

//! The data types of Cayenne LPP: the first twelve of myDevices' own list, and those that its libraries have added.

use stile_filter::senml::Value;

/// One number of a data type: how many bytes, whether it has a sign, and what it is to be divided by.
struct Part {
    suffix: &'static str,
    unit: &'static str,
    bytes: usize,
    signed: bool,
    divisor: f64,
}

/// What a data type holds.
enum Shape {
    /// One byte: 0 or not.
    Flag,
    /// Numbers, the first byte the highest.
    Parts(&'static [Part]),
}

/// A data type.
pub(crate) struct Kind {
    code: u8,
    /// What its readings are called.
    pub(crate) name: &'static str,
    shape: Shape,
}

/// A number by itself.
const fn one(unit: &'static str, bytes: usize, signed: bool, divisor: f64) -> Part {
    part("", unit, bytes, signed, divisor)
}

const fn part(suffix: &'static str, unit: &'static str, bytes: usize, signed: bool, divisor: f64) -> Part {
    Part { suffix, unit, bytes, signed, divisor }
}

const fn parts(code: u8, name: &'static str, parts: &'static [Part]) -> Kind {
    Kind { code, name, shape: Shape::Parts(parts) }
}

const fn flag(code: u8, name: &'static str) -> Kind {
    Kind { code, name, shape: Shape::Flag }
}

/// Standard gravity over a thousand: accelerations come in thousandths of it.
const PER_MILLI_G: f64 = 1.0 / 0.009_806_65;
/// Angles come in degrees; SenML has radians.
const DEGREES: f64 = 180.0 / std::f64::consts::PI;

/// By code.
static KINDS: [Kind; 26] = [
    flag(0, "digital-in"),
    flag(1, "digital-out"),
    parts(2, "analog-in", &[one("", 2, true, 100.0)]),
    parts(3, "analog-out", &[one("", 2, true, 100.0)]),
    parts(100, "generic", &[one("", 4, false, 1.0)]),
    parts(101, "luminosity", &[one("lx", 2, false, 1.0)]),
    flag(102, "presence"),
    parts(103, "temperature", &[one("Cel", 2, true, 10.0)]),
    parts(104, "humidity", &[one("%RH", 1, false, 2.0)]),
    parts(
        113,
        "acceleration",
        &[
            part("-x", "m/s2", 2, true, PER_MILLI_G),
            part("-y", "m/s2", 2, true, PER_MILLI_G),
            part("-z", "m/s2", 2, true, PER_MILLI_G),
        ],
    ),
    parts(115, "pressure", &[one("hPa", 2, false, 10.0)]),
    parts(116, "voltage", &[one("V", 2, false, 100.0)]),
    parts(117, "current", &[one("A", 2, false, 1000.0)]),
    parts(118, "frequency", &[one("Hz", 4, false, 1.0)]),
    parts(120, "percentage", &[one("/100", 1, false, 1.0)]),
    parts(121, "altitude", &[one("m", 2, true, 1.0)]),
    parts(125, "concentration", &[one("ppm", 2, false, 1.0)]),
    parts(128, "power", &[one("W", 2, false, 1.0)]),
    parts(130, "distance", &[one("m", 4, false, 1000.0)]),
    parts(131, "energy", &[one("kWh", 4, false, 1000.0)]),
    parts(132, "direction", &[one("rad", 2, false, DEGREES)]),
    parts(133, "time", &[one("s", 4, false, 1.0)]),
    parts(
        134,
        "rotation",
        &[
            part("-x", "rad/s", 2, true, 100.0 * DEGREES),
            part("-y", "rad/s", 2, true, 100.0 * DEGREES),
            part("-z", "rad/s", 2, true, 100.0 * DEGREES),
        ],
    ),
    parts(
        135,
        "colour",
        &[part("-r", "", 1, false, 1.0), part("-g", "", 1, false, 1.0), part("-b", "", 1, false, 1.0)],
    ),
    parts(
        136,
        "position",
        &[
            part("-lat", "lat", 3, true, 10_000.0),
            part("-lon", "lon", 3, true, 10_000.0),
            part("-alt", "m", 3, true, 100.0),
        ],
    ),
    flag(142, "switch"),
];

/// The data type of a code.
pub(crate) fn kind(code: u8) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.code == code)
}

/// A reading: what comes behind the name, the unit, the value.
pub(crate) type Reading = (&'static str, Option<&'static str>, Value);

impl Kind {
    /// Reads its bytes off the front. None if there are too few.
    pub(crate) fn read(&self, bytes: &mut &[u8]) -> Option<Vec<Reading>> {
        match self.shape {
            Shape::Flag => Some(vec![("", None, Value::Flag(take(bytes, 1)? != [0]))]),
            Shape::Parts(parts) => parts.iter().map(|part| part.read(bytes)).collect(),
        }
    }
}

impl Part {
    fn read(&self, bytes: &mut &[u8]) -> Option<Reading> {
        let taken = take(bytes, self.bytes)?;
        let raw = taken.iter().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        let negative = self.signed && taken[0] >= 0x80;
        let number = if negative { raw - (1_i64 << (8 * self.bytes)) } else { raw };
        #[expect(clippy::cast_precision_loss, reason = "at most 32 bits")]
        let value = number as f64 / self.divisor;
        Some((self.suffix, Some(self.unit).filter(|unit| !unit.is_empty()), Value::Number(value)))
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

//! What Elsys's sensors send: a type and its value, again and again, the highest byte first. From Elsys's decoder
//! `elsys.js` for The Things Stack, which is right for all of its sensors.

use crate::reading::{Reading, Readings, number};

/// A type: its code, how many bytes, whether they have a sign, and what it is called, with unit and divisor. What has
/// no name is passed over.
type Kind = (u8, usize, bool, Option<(&'static str, &'static str, f64)>);

static KINDS: [Kind; 28] = [
    (0x01, 2, true, Some(("temperature", "Cel", 10.0))),
    (0x02, 1, false, Some(("humidity", "%RH", 1.0))),
    (0x03, 3, false, None),
    (0x04, 2, false, Some(("light", "lx", 1.0))),
    (0x05, 1, false, Some(("motion", "", 1.0))),
    (0x06, 2, false, Some(("co2", "ppm", 1.0))),
    (0x07, 2, false, Some(("battery", "V", 1000.0))),
    (0x08, 2, false, None),
    (0x09, 6, false, None),
    (0x0a, 2, false, None),
    (0x0b, 4, false, None),
    (0x0c, 2, true, Some(("external-temperature", "Cel", 10.0))),
    (0x0d, 1, false, None),
    (0x0e, 2, false, None),
    (0x0f, 1, false, None),
    (0x10, 4, false, None),
    (0x11, 1, false, Some(("occupancy", "", 1.0))),
    (0x12, 1, false, Some(("water", "", 1.0))),
    (0x13, 65, false, None),
    (0x14, 4, true, Some(("pressure", "hPa", 1000.0))),
    (0x15, 2, false, None),
    (0x16, 2, false, None),
    (0x17, 4, false, None),
    (0x18, 2, false, None),
    (0x19, 2, true, None),
    (0x1a, 1, false, None),
    (0x1b, 4, false, None),
    (0x1c, 2, false, Some(("tvoc", "ppm", 1000.0))),
];

/// Reads a payload up to its end, or to what is unknown: how long that is nobody can say.
pub(crate) fn read(mut bytes: &[u8]) -> Readings {
    let mut found = Readings::default();
    while let [code, rest @ ..] = bytes {
        let Some((_, length, signed, kind)) = KINDS.iter().find(|kind| kind.0 == *code) else {
            found.stopped = Some("a type is unknown");
            break;
        };
        let Some((value, rest)) = rest.split_at_checked(*length) else {
            found.stopped = Some("it ends in the middle of a reading");
            break;
        };
        bytes = rest;
        let reading = kind.map(|(name, unit, divisor)| Reading { name, unit, value: number(value, *signed) / divisor });
        found.all.extend(reading);
    }
    found
}

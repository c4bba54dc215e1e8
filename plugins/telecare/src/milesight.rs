//! What Milesight's EM300-TH sends: channel, type and value, again and again, the lowest byte first. From Milesight's
//! decoder `em300-th.js` for The Things Stack.

use crate::reading::{Reading, Readings, number};

/// Reads a payload up to its end, or to what is unknown: how long that is nobody can say.
pub(crate) fn read(mut bytes: &[u8]) -> Readings {
    let mut found = Readings::default();
    loop {
        let (reading, rest) = match bytes {
            [] => break,
            [0x01, 0x75, battery, rest @ ..] => (("battery", "%EL", f64::from(*battery)), rest),
            [0x03, 0x67, low, high, rest @ ..] => (("temperature", "Cel", number(&[*high, *low], true) / 10.0), rest),
            [0x04, 0x68, humidity, rest @ ..] => (("humidity", "%RH", f64::from(*humidity) / 2.0), rest),
            // What it says of itself when it joins.
            [0xff, ..] => break,
            _ => {
                found.stopped = Some("a channel is unknown, or it ends in the middle of a reading");
                break;
            }
        };
        let (name, unit, value) = reading;
        found.all.push(Reading { name, unit, value });
        bytes = rest;
    }
    found
}

//! MClimate Vicki (its "Device communication protocol"): answers to commands, and behind them a keep-alive, which has
//! the readings.

use crate::model::Report;

/// The keep-alive of firmware up to 3.4.
const OLD: u8 = 0x01;
/// That of newer firmware.
const NEW: u8 = 0x81;
/// What follows the code of a keep-alive.
const KEEP_ALIVE: usize = 8;

/// Reads a payload. Where an answer is not known, neither is its length, and the keep-alive is looked for at the end.
pub(crate) fn read(mut bytes: &[u8]) -> Report {
    let mut report = Report::default();
    // What is set in tenths comes as an answer of its own; the keep-alive that follows has whole degrees alone.
    let mut exact = None;
    while let Some((code, rest)) = bytes.split_first() {
        let Some((data, rest)) = length(*code).and_then(|length| rest.split_at_checked(length)) else {
            let last = bytes.len().saturating_sub(1 + KEEP_ALIVE);
            match bytes.get(last..) {
                Some(tail @ [OLD | NEW, ..]) if last > 0 => bytes = tail,
                _ => break,
            }
            continue;
        };
        match (*code, data) {
            (0x28, [target]) => report.target = Some(f64::from(*target)),
            (0x52, [high, low]) => exact = Some(f64::from(u16::from_be_bytes([*high, *low])) / 10.0),
            (OLD | NEW, data) => keep_alive(*code == NEW, data, &mut report),
            _ => {}
        }
        bytes = rest;
    }
    report.target = exact.or(report.target);
    report
}

/// How many bytes follow a code.
fn length(code: u8) -> Option<usize> {
    Some(match code {
        OLD | NEW => KEEP_ALIVE,
        0x12 | 0x14 | 0x18 | 0x19 | 0x1b | 0x1f | 0x27 | 0x28 | 0x2b | 0x40 | 0x42 | 0x48 | 0x54 => 1,
        0x04 | 0x15 | 0x17 | 0x1d | 0x29 | 0x3f | 0x44 | 0x4d | 0x50 | 0x52 => 2,
        0x36 | 0x3d | 0x46 | 0x4a => 3,
        0x13 => 4,
        0x21 => 6,
        _ => return None,
    })
}

fn keep_alive(new: bool, data: &[u8], report: &mut Report) {
    let [target, temperature, humidity, position, range, high, battery, flags] = *data else { return };
    let measured = f64::from(temperature);
    let degrees = if new { (measured - 28.33333) / 5.66666 } else { measured * 165.0 / 256.0 - 40.0 };
    report.number("temperature", "Cel", hundredths(degrees));
    report.number("humidity", "%RH", hundredths(f64::from(humidity) * 100.0 / 256.0));
    let position = u16::from(high >> 4) << 8 | u16::from(position);
    let range = u16::from(high & 0x0f) << 8 | u16::from(range);
    if range > 0 {
        // Steps count from the open valve. After a calibration the motor can be beyond its range.
        let opening = (1.0 - f64::from(position) / f64::from(range)).max(0.0) * 100.0;
        report.number("valve", "/100", opening.round());
    }
    report.count("motor-position", position);
    report.count("motor-range", range);
    report.number("battery-voltage", "V", f64::from(20 + (battery >> 4)) / 10.0);
    report.flag("window-open", battery & 8 != 0);
    report.flag("motor-current-high", battery & 4 != 0);
    report.flag("motor-current-low", battery & 2 != 0);
    report.flag("sensor-broken", battery & 1 != 0);
    report.flag("child-lock", flags & 0x80 != 0);
    if new {
        report.flag("calibration-failed", flags & 0x40 != 0);
        report.flag("attached", flags & 0x20 != 0);
        report.flag("freeze-protection", flags & 0x08 != 0);
    }
    report.target = Some(f64::from(target));
}

/// As finely as the maker's own decoder: the sensor is not finer.
fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Whole degrees are understood by every firmware, tenths by newer ones.
pub(crate) fn command(tenths: u16) -> Vec<u8> {
    match (u8::try_from(tenths / 10), tenths % 10) {
        (Ok(degrees), 0) => vec![0x0e, degrees],
        _ => [&[0x51][..], &tenths.to_be_bytes()].concat(),
    }
}

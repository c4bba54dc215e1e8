//! Milesight WT101 (its user guide, "Device payload"; Milesight's codec): channels, each with a type and its data,
//! the low byte first.

use crate::model::Report;

/// Reads a payload. Behind a channel that is not known nothing can be read, since its length is not known either.
pub(crate) fn read(mut bytes: &[u8]) -> Report {
    let mut report = Report::default();
    while let [channel, kind, rest @ ..] = bytes {
        let taken = length(*channel, *kind).and_then(|length| rest.split_at_checked(length));
        let Some((data, rest)) = taken else { break };
        reading(*channel, *kind, data, &mut report);
        bytes = rest;
    }
    report
}

fn length(channel: u8, kind: u8) -> Option<usize> {
    Some(match (channel, kind) {
        (0x01, 0x75) | (0x05, 0x92) | (0x06 | 0x07 | 0x0a, 0x00) | (0x08, 0xe5) => 1,
        (0x03 | 0x04, 0x67) | (0x09 | 0x0b, 0x90) => 2,
        (0xff, 0x01 | 0x0f | 0xfe | 0x0b) => 1,
        (0xff, 0x09 | 0x0a | 0xff) => 2,
        (0xff, 0x16) => 8,
        // Answers to commands.
        (0xfe | 0xff, 0x10 | 0x25 | 0x28 | 0x3b | 0x4a | 0x57 | 0xae | 0xac | 0xad | 0xb3 | 0xb4 | 0xf8) => 1,
        (0xfe | 0xff, 0x17 | 0xbd | 0xc4) => 2,
        (0xfe | 0xff, 0x8e | 0xab | 0xb0 | 0xb1) => 3,
        (0xfe | 0xff, 0xaf) => 4,
        (0xfe | 0xff, 0xba) => 10,
        _ => return None,
    })
}

fn reading(channel: u8, kind: u8, data: &[u8], report: &mut Report) {
    match (channel, kind, data) {
        (0x01, _, [percent]) => report.number("battery", "%EL", f64::from(*percent)),
        (0x03, _, [low, high]) => report.number("temperature", "Cel", tenths(*low, *high)),
        (0x04, _, [low, high]) => report.target = Some(tenths(*low, *high)),
        (0x05, _, [percent]) => report.number("valve", "/100", f64::from(*percent)),
        (0x06, _, [removed]) => report.flag("attached", *removed == 0),
        (0x07, _, [open]) => report.flag("window-open", *open != 0),
        (0x08, _, [result]) => report.flag("calibration-failed", matches!(result, 1 | 2)),
        (0x09, _, [low, high]) => report.count("motor-range", u16::from_le_bytes([*low, *high])),
        (0x0a, _, [active]) => report.flag("freeze-protection", *active != 0),
        (0x0b, _, [low, high]) => report.count("motor-position", u16::from_le_bytes([*low, *high])),
        (0xfe | 0xff, 0xb1, [target, ..]) => report.target = Some(f64::from(target.cast_signed())),
        _ => {}
    }
}

fn tenths(low: u8, high: u8) -> f64 {
    f64::from(i16::from_le_bytes([low, high])) / 10.0
}

/// It knows whole degrees alone.
pub(crate) fn command(tenths: u16, tolerance: u16) -> Vec<u8> {
    let degrees = u8::try_from(tenths / 10).unwrap_or(u8::MAX);
    [&[0xff, 0xb1, degrees][..], &tolerance.to_le_bytes()].concat()
}

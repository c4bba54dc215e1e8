//! Seeed MR60FDA2, 115,200 Bd: `01`, id, length and type (16 bits each, the high byte first), checksum of these, data,
//! checksum of the data. A checksum is all its bytes by exclusive or, inverted.
//!
//! From the ESPHome component `seeed_mr60fda2` and Seeed's own library of that name.

use crate::frames::Cut;
use crate::sensors::Report;

const HEAD: u8 = 0x01;
const FALL: u16 = 0x0e02;
const PRESENCE: u16 = 0x0f09;

/// The most data that a frame has: room for the radar's clouds of points.
const MOST_DATA: usize = 1024;

/// Reads the frame at the front.
pub(crate) fn read(bytes: &[u8]) -> Cut {
    if bytes.first() != Some(&HEAD) {
        return Cut::Wrong("there is no frame in it");
    }
    let Some((header @ [_, _, _, high, low, kind @ ..], rest)) = bytes.split_first_chunk::<7>() else {
        return Cut::Short;
    };
    let Some((header_checksum, rest)) = rest.split_first() else { return Cut::Short };
    if *header_checksum != checksum(header) {
        return Cut::Wrong("a header's checksum is wrong");
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > MOST_DATA {
        return Cut::Wrong("a frame's length is none");
    }
    if length == 0 {
        return Cut::Frame(8, Report::Alive);
    }
    let Some((data_checksum, data)) = rest.get(..=length).and_then(<[u8]>::split_last) else { return Cut::Short };
    if *data_checksum != checksum(data) {
        return Cut::Wrong("a frame's checksum is wrong");
    }
    Cut::Frame(9 + length, report(u16::from_be_bytes(*kind), data[0]))
}

fn checksum(bytes: &[u8]) -> u8 {
    !bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

fn report(kind: u16, first: u8) -> Report {
    match kind {
        // As in C: what is not 0 is true.
        FALL => Report::Fall(first != 0),
        PRESENCE => Report::Presence(first != 0),
        _ => Report::Alive,
    }
}

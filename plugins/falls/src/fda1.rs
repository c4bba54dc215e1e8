//! Seeed MR60FDA1, 115,200 Bd: `53 59`, control word, command word, length (16 bits, the high byte first), data,
//! checksum, `54 43`. The checksum is the low byte of the sum of all before it.
//!
//! From Seeed's wiki, "mmWave Fall Detection Module Pro (MR60FDA1)". Of falls the radar tells changes only, and answers
//! when it is asked with command word 81 and data 0F.

use crate::frames::Cut;
use crate::sensors::Report;

const HEAD: [u8; 2] = [0x53, 0x59];
const TAIL: [u8; 2] = [0x54, 0x43];

/// The most data that a frame has. The longest that Seeed describes are names of 16 letters; a length that is damaged
/// must not make what follows wait.
const MOST_DATA: usize = 64;

/// Reads the frame at the front.
pub(crate) fn read(bytes: &[u8]) -> Cut {
    if !HEAD.starts_with(&bytes[..bytes.len().min(2)]) {
        return Cut::Wrong("there is no frame in it");
    }
    let Some([_, _, control, command, high, low, rest @ ..]) = bytes.first_chunk::<6>().map(|_| bytes) else {
        return Cut::Short;
    };
    let data = usize::from(u16::from_be_bytes([*high, *low]));
    if data > MOST_DATA {
        return Cut::Wrong("a frame's length is none");
    }
    let Some((data, [checksum, first, second])) = rest.get(..data + 3).and_then(<[u8]>::split_last_chunk::<3>) else {
        return Cut::Short;
    };
    if [*first, *second] != TAIL {
        return Cut::Wrong("a frame does not end where it should");
    }
    if *checksum != sum(&bytes[..6 + data.len()]) {
        return Cut::Wrong("a frame's checksum is wrong");
    }
    Cut::Frame(9 + data.len(), report(*control, *command, data))
}

/// Reads a frame of which a framing has taken `53 59` and `54 43` away. None if it is not that.
pub(crate) fn read_bare(bytes: &[u8]) -> Option<Report> {
    let whole = [&HEAD, bytes, &TAIL].concat();
    match read(&whole) {
        Cut::Frame(length, report) if length == whole.len() => Some(report),
        _ => None,
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn report(control: u8, command: u8, data: &[u8]) -> Report {
    match (control, command, data) {
        (0x83, 0x01 | 0x81, [fallen @ 0..=1]) => Report::Fall(*fallen == 1),
        (0x80, 0x01 | 0x81, [present @ 0..=1]) => Report::Presence(*present == 1),
        _ => Report::Alive,
    }
}

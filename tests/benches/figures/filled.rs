//! A history that is full, as after days: the file that a gateway has written at its end, with a point in every place of
//! each of its series. Its form stands in `gateway/src/history/file.rs`.

use std::path::Path;

use crc::{CRC_32_ISCSI, Crc};
use serde_json::{Value, json};

const MAGIC: &[u8] = b"stile-history 1\n";
/// Points of a series in steps of 10 seconds and of 5 minutes.
const FINE: usize = 360;
const COARSE: usize = 576;

/// Fills it.
pub(crate) fn fill(file: &Path) {
    let written = std::fs::read(file).unwrap();
    let rest = written.strip_prefix(MAGIC).expect("a history");
    let (length, rest) = rest.split_first_chunk().unwrap();
    let mut header: Value = serde_json::from_slice(&rest[..u32::from_le_bytes(*length) as usize]).unwrap();
    let series = header["series"].as_array_mut().unwrap();
    // Of a gateway that is new: it has dropped nothing yet.
    series.push(json!(["dropped/queue-full", 0, 0]));
    for one in series.iter_mut() {
        (one[1], one[2]) = (FINE.into(), COARSE.into());
    }
    let points = (0..series.len()).flat_map(|number| (0..FINE + COARSE).map(move |at| point(number, at)));
    let points: Vec<u8> = points.flat_map(f32::to_le_bytes).collect();
    let header = header.to_string();
    let mut filled = [MAGIC, &(header.len() as u32).to_le_bytes(), header.as_bytes(), &points].concat();
    filled.extend(Crc::<u32>::new(&CRC_32_ISCSI).checksum(&filled).to_le_bytes());
    std::fs::write(file, filled).unwrap();
}

/// No two that follow each other are alike, so a line has a bend at each of them.
fn point(series: usize, at: usize) -> f32 {
    ((at * 7919 + series * 104_729) % 9973) as f32 / 10.0
}

//! Tests of the framings: `examples` with known bytes, `properties` with any.

mod examples;
mod properties;

use std::time::Duration;

use super::*;
use crate::config::{Crc, Endian, LineEnding};

/// Decodes the pieces in order with a new decoder.
fn decode<'a>(framing: &Framing, max: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Decoded> {
    let mut decoder = decoder(framing, max);
    let mut found = Vec::new();
    for piece in pieces {
        decoder.decode(piece, &mut |what| found.push(what));
    }
    found
}

/// The payloads of the good frames.
fn payloads(found: &[Decoded]) -> Vec<Vec<u8>> {
    let payload = |what: &Decoded| match what {
        Decoded::Frame { payload, .. } => Some(payload.to_vec()),
        Decoded::Rejected { .. } => None,
    };
    found.iter().filter_map(payload).collect()
}

fn encoded(framing: &Framing, max: usize, payload: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut out = BytesMut::new();
    let result = encode(framing, max, payload, &mut out);
    assert!(result.is_ok() || out.is_empty(), "an error leaves the output as it was");
    result.map(|()| out.to_vec())
}

fn frame(start: u64, payload: &[u8]) -> Decoded {
    Decoded::Frame { start, payload: Bytes::copy_from_slice(payload) }
}

fn rejected(start: u64, reason: Reject, length: usize) -> Decoded {
    Decoded::Rejected { start, reason, length }
}

fn line(ending: LineEnding) -> Framing {
    Framing::Line { ending }
}

fn counted(width: u8, endian: Endian, crc: Crc) -> Framing {
    Framing::LengthPrefix { width, endian, crc }
}

/// The markers of Seeed's MR60FDA1 radar.
fn radar() -> Framing {
    Framing::StartStop { start: vec![0x53, 0x59], stop: vec![0x54, 0x43] }
}

/// Every framing, in every variant that makes a difference.
fn framings() -> Vec<Framing> {
    let mut all = vec![
        Framing::Raw,
        line(LineEnding::Lf),
        line(LineEnding::Crlf),
        line(LineEnding::Cr),
        Framing::IdleGap { gap: Duration::from_millis(20) },
        Framing::Fixed { length: 7 },
        Framing::Slip,
        Framing::Cobs,
        radar(),
        Framing::StartStop { start: vec![0x7E], stop: vec![0x7E] },
        Framing::StartStop { start: vec![0xAA, 0xAA], stop: vec![0xAA, 0x55, 0xAA] },
        Framing::Nmea,
        Framing::DsmrP1,
        Framing::ModbusRtu,
    ];
    for width in [1, 2, 4] {
        for endian in [Endian::Big, Endian::Little] {
            all.extend([Crc::None, Crc::Crc16, Crc::Crc32].map(|crc| counted(width, endian, crc)));
        }
    }
    all
}

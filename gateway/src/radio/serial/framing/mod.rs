//! How a serial line's bytes become frames, and frames bytes.
//!
//! Owns the pure encoders and decoders, one file a framing. Never does I/O, never reads a clock: the driver brings the
//! bytes and says when the line was silent. Whatever comes, a decoder holds at most `max_frame` bytes and a small
//! constant, and its work is linear in what came.
//!
//! Map: `bytewise` runs the framings that decide byte by byte, with `gather` (the frame so far) and `noise` (bytes
//! outside any frame) as their memory; `rescan` runs those that announce a length and must search when it was wrong.

mod bytewise;
mod cobs;
mod dsmr_p1;
mod error;
mod fixed;
mod gather;
mod idle_gap;
mod length_prefix;
mod line;
mod modbus_rtu;
mod nmea;
mod noise;
mod raw;
mod rescan;
mod slip;
mod start_stop;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::config::Framing;

pub use error::{EncodeError, Reject};
pub(in crate::radio) use nmea::checksum_is_right as sentence_is_right;

/// What a decoder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A good frame.
    Frame {
        /// Offset of the frame's first byte, its marker included, in bytes since the decoder was made.
        start: u64,
        /// What it carries, at most `max_frame` bytes.
        payload: Bytes,
    },
    /// Bytes that are no good frame, reported once.
    Rejected {
        /// Offset of their first byte, in bytes since the decoder was made.
        start: u64,
        /// What was wrong.
        reason: Reject,
        /// How many bytes had come when they were given up; what follows of an over-long frame is skipped in silence.
        length: usize,
    },
}

/// Finds frames in a stream of bytes, however they are cut up.
pub trait Decoder: Send + Sync {
    /// Takes the next bytes and reports what they complete, in the order of the stream.
    fn decode(&mut self, input: &[u8], found: &mut dyn FnMut(Decoded));

    /// The line has been silent for [`idle_after`](Self::idle_after): what is buffered is complete (`idle-gap`), or
    /// will never be (framings with a length). The others wait on.
    fn idle(&mut self, _found: &mut dyn FnMut(Decoded)) {}

    /// The silence after which [`idle`](Self::idle) is to be called; `None` if never.
    fn idle_after(&self) -> Option<Duration> {
        None
    }

    /// The stream ends here: a partial frame was cut, and noise is over. What comes next begins anew; the count of bytes
    /// goes on.
    fn reset(&mut self, found: &mut dyn FnMut(Decoded));
}

/// Makes the decoder of a framing. `max_frame` is the longest payload in bytes, 1 or more.
pub fn decoder(framing: &Framing, max_frame: usize) -> Box<dyn Decoder> {
    use bytewise::Bytewise;
    use rescan::Rescan;
    let max = max_frame.max(1);
    match framing {
        Framing::Raw => Box::new(raw::Raw::new(max)),
        Framing::Line { ending } => Box::new(Bytewise::new(line::Line::new(*ending, max))),
        Framing::IdleGap { gap } => Box::new(Bytewise::new(idle_gap::IdleGap::new(*gap, max))),
        Framing::Fixed { length } => Box::new(Bytewise::new(fixed::Fixed::new(*length, max))),
        Framing::LengthPrefix { width, endian, crc } => {
            Box::new(Rescan::new(length_prefix::LengthPrefix::new(*width, *endian, *crc, max)))
        }
        Framing::Slip => Box::new(Bytewise::new(slip::Slip::new(max))),
        Framing::Cobs => Box::new(Bytewise::new(cobs::Cobs::new(max))),
        Framing::StartStop { start, stop } => Box::new(Bytewise::new(start_stop::StartStop::new(start, stop, max))),
        Framing::Nmea => Box::new(Bytewise::new(nmea::Nmea::new(max))),
        Framing::DsmrP1 => Box::new(Bytewise::new(dsmr_p1::DsmrP1::new(max))),
        Framing::ModbusRtu => Box::new(Rescan::new(modbus_rtu::ModbusRtu::new(max))),
    }
}

/// Appends the frame that carries `payload` to `out`.
///
/// # Errors
///
/// What cannot be framed, in words for the operator; `out` is then as it was.
pub fn encode(framing: &Framing, max_frame: usize, payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    if payload.len() > max_frame {
        return Err(EncodeError::TooLong { length: payload.len(), max_frame });
    }
    match framing {
        Framing::Raw | Framing::IdleGap { .. } => raw::encode(payload, out),
        Framing::Line { ending } => line::encode(*ending, payload, out),
        Framing::Fixed { length } => fixed::encode(*length, payload, out),
        Framing::LengthPrefix { width, endian, crc } => length_prefix::encode(*width, *endian, *crc, payload, out),
        Framing::Slip => slip::encode(payload, out),
        Framing::Cobs => cobs::encode(payload, out),
        Framing::StartStop { start, stop } => start_stop::encode(start, stop, payload, out),
        Framing::Nmea => nmea::encode(max_frame, payload, out),
        Framing::DsmrP1 => dsmr_p1::encode(max_frame, payload, out),
        Framing::ModbusRtu => modbus_rtu::encode(payload, out),
    }
}

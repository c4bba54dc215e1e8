//! `modbus-rtu`: the answers of slaves, this side being the master (Modbus over Serial Line 1.02, section 2.5.1).
//!
//! A payload is slave address, function and data, without the CRC. The specification ends a frame by a silence of 3.5
//! characters, which no USB adapter keeps; so the length is told from the function code, and the CRC decides. Knows the
//! answers to the functions 1 to 6, 15 and 16 and all exceptions. Back in step, with the echo of a request or noise in
//! front, once the bytes that false heads claimed have come, or after the silence of [`Format::STALL`] at the latest.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;

use super::rescan::{Format, Look, pieces};
use super::{EncodeError, Reject};
use crate::radio::serial::modbus;

/// Bytes of the CRC.
const CRC: usize = 2;

/// The longest frame without its CRC: address and a PDU of 253 bytes (Application Protocol 1.1b3, section 4.1).
const LONGEST: usize = 254;

/// The format of `modbus-rtu`.
pub(super) struct ModbusRtu {
    max: usize,
}

impl ModbusRtu {
    pub(super) fn new(max: usize) -> Self {
        Self { max }
    }
}

impl Format for ModbusRtu {
    /// A USB adapter holds bytes back for 16 ms, a busy slave for less.
    const STALL: Duration = Duration::from_millis(100);

    fn look(&self, buffer: &VecDeque<u8>) -> Look {
        let mut head = buffer.iter().copied();
        let (Some(slave), Some(function), Some(third)) = (head.next(), head.next(), head.next()) else {
            return Look::More(3);
        };
        let payload = match (slave, function) {
            (1..=247, 1 | 2) if matches!(third, 1..=250) => 3 + usize::from(third),
            (1..=247, 3 | 4) if matches!(third, 2..=250) && third % 2 == 0 => 3 + usize::from(third),
            (1..=247, 5 | 6 | 15 | 16) => 6,
            (1..=247, 0x81..=0xFF) => 3,
            _ => return Look::Bad { reason: Reject::Malformed, length: 3 },
        };
        let total = payload + CRC;
        if payload > self.max {
            return Look::Bad { reason: Reject::TooLong, length: 3 };
        }
        if buffer.len() < total {
            return Look::More(total);
        }
        if modbus::without_crc(&pieces(buffer, 0, total).concat()).is_some() {
            Look::Frame { header: 0, payload, total }
        } else {
            Look::Bad { reason: Reject::Checksum, length: total }
        }
    }
}

/// The payload and its CRC.
pub(super) fn encode(payload: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    if payload.len() < 2 {
        return Err(EncodeError::BadText("a Modbus frame has a slave address and a function at least"));
    }
    if payload.len() > LONGEST {
        return Err(EncodeError::TooLong { length: payload.len(), max_frame: LONGEST });
    }
    out.extend_from_slice(&modbus::with_crc(payload));
    Ok(())
}

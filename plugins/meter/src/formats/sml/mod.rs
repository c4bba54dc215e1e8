//! SML 1.04 (BSI TR-03109-1, annex IV), as German meters send it unasked: a file of messages, of which the answer to
//! GetList has the readings.
//!
//! `transport.rs` takes a file out of the bytes of a line, `value.rs` reads what messages are made of, `list.rs` the
//! readings.

mod list;
mod transport;
mod value;

use crc::{CRC_16_IBM_SDLC, CRC_16_KERMIT, Crc, NoTable};

use crate::reading::Meter;
use value::Cursor;

/// The most messages of a file; meters send three.
const MOST_MESSAGES: usize = 16;
/// `GetList.Res`
const LIST: u64 = 0x0701;

/// Reads a file, with its transport or without.
pub(crate) fn read(payload: &[u8]) -> Result<Vec<Meter>, &'static str> {
    let file = transport::file(payload)?;
    let mut cursor = Cursor::new(&file);
    let mut meters = Vec::new();
    for _ in 0..MOST_MESSAGES {
        cursor.skip_fillers();
        if cursor.is_empty() {
            break;
        }
        meters.extend(message(&mut cursor).ok_or("the SML file is damaged")??);
    }
    Ok(meters)
}

/// A message: transaction, group, what to do on an error, the body, its checksum and the end. None if it is none.
fn message(cursor: &mut Cursor) -> Option<Result<Option<Meter>, &'static str>> {
    let begin = *cursor;
    cursor.list(6)?;
    for _ in 0..3 {
        cursor.skip()?;
    }
    cursor.list(2)?;
    let kind = cursor.number()?;
    let mut body = *cursor;
    cursor.skip()?;
    let checked = begin.until(cursor);
    let checksum = u16::try_from(cursor.number()?).ok()?;
    cursor.end()?;
    if !fits(checked, checksum) {
        return Some(Err("the checksum of an SML message is wrong"));
    }
    if kind != LIST {
        return Some(Ok(None));
    }
    list::read(&mut body).map(|meter| Ok(Some(meter)))
}

/// Most meters go by X.25, the low byte first; some of Holley's by the same polynomial begun with zero.
fn fits(bytes: &[u8], checksum: u16) -> bool {
    let both = [&CRC_16_IBM_SDLC, &CRC_16_KERMIT];
    both.iter().any(|way| Crc::<u16, NoTable>::new(way).checksum(bytes).swap_bytes() == checksum)
}

//! The history on disk: a line that says what it is, a header in JSON behind its length, the points as floats, and a
//! CRC-32C over all of it. Numbers are little-endian.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use serde::{Deserialize, Serialize};

use super::rings::{Ring, Saved, Series};
use super::{NAME_MAX_BYTES, SERIES_MAX, Span};

const MAGIC: &[u8] = b"stile-history 1\n";

/// The longest file taken: more than all series with the longest names weigh.
const FILE_MAX_BYTES: u64 = 1 << 20;

const POINT_BYTES: usize = size_of::<f32>();

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

#[derive(Serialize, Deserialize)]
struct Header {
    /// In seconds since 1970, where the clock could be trusted.
    saved: Option<u64>,
    /// Names, and how many fine and coarse points follow of each, in this order.
    series: Vec<(String, usize, usize)>,
}

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is larger than {FILE_MAX_BYTES} bytes")]
    TooLarge,
    #[error("it is no history, or one of another version")]
    Other,
    #[error("it is damaged")]
    Damaged,
}

/// Everything as bytes. The coarse step that has begun ends here.
pub(super) fn encode(ring: &Ring, now: Option<SystemTime>) -> Vec<u8> {
    let seconds = now.and_then(|now| Some(now.duration_since(UNIX_EPOCH).ok()?.as_secs()));
    let coarse = |series: &Series| (series.coarse.len() + 1).min(Span::TwoDays.points());
    let entries = ring.series.iter().map(|(name, series)| (name.clone(), series.fine.len(), coarse(series)));
    let header = Header { saved: seconds, series: entries.collect() };
    // Texts and numbers alone can't fail; an empty header would be refused when it is read.
    let header = serde_json::to_vec(&header).unwrap_or_default();
    let mut bytes = MAGIC.to_vec();
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header);
    for series in ring.series.values() {
        let behind = series.coarse.len() + 1 - coarse(series);
        let points = series.fine.iter().chain(series.coarse.iter().skip(behind)).copied();
        points.chain([series.mean()]).for_each(|point| bytes.extend(point.to_le_bytes()));
    }
    bytes.extend(CHECKSUM.checksum(&bytes).to_le_bytes());
    bytes
}

/// What was saved; `None` where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Saved>, FileError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(_) if bytes.len() as u64 > FILE_MAX_BYTES => return Err(FileError::TooLarge),
        Ok(_) => {}
    }
    decode(&bytes).map(Some)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Saved, FileError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else { return Err(FileError::Other) };
    let rest = whole(bytes, rest).ok_or(FileError::Damaged)?;
    saved(rest).ok_or(FileError::Damaged)
}

/// What stands between the first line and a checksum that is right.
fn whole<'a>(all: &[u8], rest: &'a [u8]) -> Option<&'a [u8]> {
    let (rest, checksum) = rest.split_last_chunk()?;
    let covered = all.get(..all.len() - checksum.len())?;
    (CHECKSUM.checksum(covered) == u32::from_le_bytes(*checksum)).then_some(rest)
}

fn saved(rest: &[u8]) -> Option<Saved> {
    let (length, rest) = rest.split_first_chunk()?;
    let (header, mut rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let header: Header = serde_json::from_slice(header).ok()?;
    let mut take = |count: usize, span: Span| {
        let (points, behind) = rest.split_at_checked(count.min(span.points()) * POINT_BYTES)?;
        rest = behind;
        let (points, _) = points.as_chunks::<POINT_BYTES>();
        (count <= span.points()).then(|| points.iter().map(|point| f32::from_le_bytes(*point)).collect::<Vec<_>>())
    };
    let mut series = BTreeMap::new();
    for (name, fine, coarse) in header.series {
        let (fine, coarse) = (take(fine, Span::Hour)?, take(coarse, Span::TwoDays)?);
        if series.len() >= SERIES_MAX || name.len() > NAME_MAX_BYTES {
            return None;
        }
        series.insert(name, Series::new(fine, coarse));
    }
    let at = header.saved.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    rest.is_empty().then_some(Saved { at, series })
}

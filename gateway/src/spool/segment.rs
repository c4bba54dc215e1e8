//! One file of a lane: its name, its header, and what is in it.
//!
//! The name says all that is needed to read the rest, since a header may be hit like anything else: the file's own
//! number, the number of the first record that may be in it, and the salt. The header repeats it (24 bytes: a mark, that
//! first number, the salt, a CRC-32C), so that nothing else passes for a segment.

use std::ops::RangeInclusive;

use super::frame::{FOOTER, Frame, HEAD, Parsed, find, parse, plain_sum, put, u32_at, u64_at};

const MARK: &[u8; 8] = b"STILESP\x01";
/// What stands before the first frame.
pub(super) const HEADER: usize = 24;

/// What a segment's file is called: `0000000007-000000000000002a-5f3a9c1e.log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// Rises from file to file.
    pub(super) file: u64,
    /// No record before this one is in it.
    pub(super) base: u64,
    pub(super) salt: u32,
}

impl Name {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix(".log")?.split('-');
        let name = Self {
            file: parts.next()?.parse().ok()?,
            base: u64::from_str_radix(parts.next()?, 16).ok()?,
            salt: u32::from_str_radix(parts.next()?, 16).ok()?,
        };
        // Nothing else is written like that, and no number is so large that counting on would overflow.
        let sound = name.file < u64::MAX / 2 && name.base < u64::MAX / 2;
        (sound && name.to_string() == text).then_some(name)
    }

    pub(super) fn header(self) -> Vec<u8> {
        let mut header = MARK.to_vec();
        header.extend_from_slice(&self.base.to_le_bytes());
        header.extend_from_slice(&self.salt.to_le_bytes());
        let sum = plain_sum(&header);
        header.extend_from_slice(&sum.to_le_bytes());
        header
    }

    pub(super) fn is_headed(self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.header())
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:010}-{:016x}-{:08x}.log", self.file, self.base, self.salt)
    }
}

/// A segment as the lane knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: Name,
    /// The number behind its last record.
    pub(super) end: u64,
    /// Records in it.
    pub(super) count: u64,
    /// Its length, without what is not safely there.
    pub(super) bytes: u64,
    /// When its first record was appended, in the spool's time.
    pub(super) at: u64,
    /// Something in it is no record.
    pub(super) damaged: bool,
    /// What damage cost has been counted.
    pub(super) counted: bool,
}

impl Segment {
    pub(super) fn new(name: Name) -> Self {
        Self { name, end: name.base, count: 0, bytes: 0, at: 0, damaged: false, counted: false }
    }
}

/// What a look through the bytes of a segment found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Whole records.
    pub(super) count: u64,
    /// The number behind the last one.
    pub(super) end: u64,
    /// Where the last whole frame ends.
    pub(super) whole: usize,
    /// Where the last batch begins; what is before it is safely there.
    pub(super) batch: usize,
    /// When the first and the last record were appended.
    pub(super) first_at: Option<u64>,
    pub(super) last_at: u64,
    /// Numbers that are missing, and bytes that are no frames, for certain.
    pub(super) lost: u64,
    pub(super) lost_bytes: u64,
    /// The same where it may be that they were never safely there: in the last batch.
    pub(super) torn: u64,
    pub(super) torn_bytes: u64,
    /// The header is not what it should be, and that in the first batch or for certain.
    pub(super) headless: bool,
    pub(super) headless_for_certain: bool,
    /// It ends in a footer.
    pub(super) sealed: bool,
}

impl Scan {
    /// Something follows that was written later, so what came before was safely there.
    fn make_certain(&mut self) {
        self.headless_for_certain |= self.headless && self.count > 0;
        self.lost += std::mem::take(&mut self.torn);
        self.lost_bytes += std::mem::take(&mut self.torn_bytes);
    }
}

/// What of a segment is looked at, and how.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// Numbers below are not missed: they are acknowledged.
    pub(super) from: u64,
    /// Records from this on do not count: the next segment has them.
    pub(super) until: Option<u64>,
    /// The last batch may never have been safely there, though a footer stands behind it.
    pub(super) unsure: bool,
}

/// Looks through the bytes of a whole segment, from its header on. `each` is given every record.
pub(super) fn scan<'a>(
    bytes: &'a [u8],
    name: Name,
    Bounds { from, until, unsure }: Bounds,
    mut each: impl FnMut(u64, u64, &'a [u8]),
) -> Scan {
    let mut scan = Scan { end: name.base, headless: !name.is_headed(bytes), ..Scan::default() };
    let numbers = |from: u64| from..=until.unwrap_or(u64::MAX / 2);
    let mut at = HEADER.min(bytes.len());
    scan.whole = at;
    loop {
        let (frame, length) = match parse(&bytes[at..], name.salt) {
            Parsed::Frame(frame, length) if frame_is_among(&frame, &numbers(scan.end)) => (frame, length),
            _ if at == bytes.len() => break,
            _ => {
                let found = find(bytes, at + 1, name.salt, &numbers(scan.end));
                scan.torn_bytes += (found.unwrap_or(bytes.len()) - at) as u64;
                let Some(found) = found else { break };
                at = found;
                continue;
            }
        };
        if matches!(frame, Frame::Record { begins: true, .. } | Frame::Gap { .. }) {
            scan.batch = if scan.count > 0 { at } else { 0 };
        }
        at += length;
        scan.whole = at;
        match frame {
            Frame::Record { number, .. } if until.is_some_and(|until| number >= until) => break,
            Frame::Record { number, at, begins, bytes } => {
                scan.torn += number.saturating_sub(scan.end.max(from));
                if begins {
                    scan.make_certain();
                }
                (scan.end, scan.count, scan.last_at) = (number + 1, scan.count + 1, at);
                scan.first_at.get_or_insert(at);
                each(number, at, bytes);
            }
            Frame::Gap { to } => {
                scan.make_certain();
                scan.end = to;
            }
            Frame::Footer { end, at, .. } => {
                scan.torn += end.saturating_sub(scan.end.max(from));
                if !unsure {
                    scan.make_certain();
                }
                (scan.end, scan.last_at, scan.sealed) = (end, at, true);
                break;
            }
        }
    }
    if let Some(until) = until {
        scan.torn += until.saturating_sub(scan.end.max(from));
        if scan.torn > 0 {
            scan.make_certain();
        }
    }
    scan
}

fn frame_is_among(frame: &Frame<'_>, numbers: &RangeInclusive<u64>) -> bool {
    match frame {
        Frame::Record { number, .. } => numbers.contains(number),
        Frame::Gap { to: end } | Frame::Footer { end, .. } => numbers.contains(end),
    }
}

/// Reads the last bytes of a segment: the number behind its last record, when that was appended, and how many there are.
pub(super) fn footer(bytes: &[u8], name: Name) -> Option<(u64, u64, u64)> {
    match parse(bytes.get(bytes.len().checked_sub(FOOTER)?..)?, name.salt) {
        Parsed::Frame(Frame::Footer { end, at, count }, _) if end >= name.base => Some((end, at, count)),
        _ => None,
    }
}

/// When the first record was appended, by a header and the head behind it; not checked.
pub(super) fn first_at(bytes: &[u8]) -> Option<u64> {
    let head = bytes.get(HEADER..HEADER + HEAD)?;
    (u32_at(head, 0) != 0).then(|| u64_at(head, 16))
}

/// The footer of a segment.
pub(super) fn put_footer(out: &mut Vec<u8>, segment: &Segment, at: u64) {
    put(out, segment.name.salt, &Frame::Footer { end: segment.end, at, count: segment.count });
}

//! Records as bytes in a segment, and finding them again where something is damaged.
//!
//! A frame is a head of [`HEAD`] bytes, little endian, and what follows it:
//!
//! | Bytes | Field |
//! |---|---|
//! | 0..4 | length of what follows; the highest bit is set on the first record of a batch. The two largest values are no lengths: a footer and a gap |
//! | 4..8 | CRC-32C (Castagnoli; RFC 3720, appendix B.4) of the segment's salt, of all other bytes of the head and of what follows |
//! | 8..16 | the record's number. In a gap, that of the record behind it; in a footer, that behind the last |
//! | 16..24 | when it was appended, in milliseconds of the spool's own time |
//!
//! A gap says that the numbers up to the next record were acknowledged before they need be written, so that no one takes
//! them for lost. It begins a batch, and the record behind it does not. A footer ends a segment that is full or was closed; what follows it is the count of its records (8 bytes).
//!
//! The salt is another one in each segment, so that nothing that was on the disk before passes for a record, nor a record
//! that stands in a payload.

use std::ops::RangeInclusive;

use crc::{CRC_32_ISCSI, Crc};

use super::settings::RECORD_MAX;

/// What stands before each record.
pub(super) const HEAD: usize = 24;
/// What a footer takes.
pub(super) const FOOTER: usize = HEAD + 8;

const IS_FOOTER: u32 = u32::MAX;
const IS_GAP: u32 = u32::MAX - 1;
const BEGINS: u32 = 1 << 31;
const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// What a record of so many bytes takes on disk.
pub(super) fn weight(bytes: usize) -> u64 {
    (HEAD + bytes) as u64
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Record { number: u64, at: u64, begins: bool, bytes: &'a [u8] },
    Gap { to: u64 },
    Footer { end: u64, at: u64, count: u64 },
}

/// What stands at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// A frame, and its length.
    Frame(Frame<'a>, usize),
    /// What may be one, if there were so many bytes.
    Short(usize),
    /// None.
    Bad,
}

/// Adds a frame to `out`.
pub(super) fn put(out: &mut Vec<u8>, salt: u32, frame: &Frame<'_>) {
    let count;
    let (length, number, at, body): (u32, u64, u64, &[u8]) = match *frame {
        Frame::Record { number, at, begins, bytes } => {
            let length = u32::try_from(bytes.len()).expect("a record is at most RECORD_MAX");
            (length | if begins { BEGINS } else { 0 }, number, at, bytes)
        }
        Frame::Gap { to } => (IS_GAP, to, 0, &[]),
        Frame::Footer { end, at, count: records } => {
            count = records.to_le_bytes();
            (IS_FOOTER, end, at, &count)
        }
    };
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[8..16].copy_from_slice(&number.to_le_bytes());
    head[16..].copy_from_slice(&at.to_le_bytes());
    let sum = sum(salt, &head, body);
    head[4..8].copy_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(body);
}

fn sum(salt: u32, head: &[u8], body: &[u8]) -> u32 {
    let mut digest = CASTAGNOLI.digest();
    digest.update(&salt.to_le_bytes());
    digest.update(&head[..4]);
    digest.update(&head[8..HEAD]);
    digest.update(body);
    digest.finalize()
}

/// The checksum of what is no frame: a segment's header, a slot of the cursor.
pub(super) fn plain_sum(bytes: &[u8]) -> u32 {
    CASTAGNOLI.checksum(bytes)
}

/// Little-endian numbers off a slice that is long enough.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The length of what follows a head, unless no frame has such a one.
fn body_length(head: &[u8]) -> Option<usize> {
    match u32_at(head, 0) {
        IS_FOOTER => Some(FOOTER - HEAD),
        IS_GAP => Some(0),
        length => Some((length & !BEGINS) as usize).filter(|length| (1..=RECORD_MAX).contains(length)),
    }
}

/// Reads the frame that `bytes` begin with.
pub(super) fn parse(bytes: &[u8], salt: u32) -> Parsed<'_> {
    if bytes.len() < HEAD {
        return Parsed::Short(HEAD);
    }
    let Some(length) = body_length(bytes) else { return Parsed::Bad };
    let Some(body) = bytes.get(HEAD..HEAD + length) else { return Parsed::Short(HEAD + length) };
    if sum(salt, bytes, body) != u32_at(bytes, 4) {
        return Parsed::Bad;
    }
    let (number, at) = (u64_at(bytes, 8), u64_at(bytes, 16));
    let frame = match u32_at(bytes, 0) {
        IS_FOOTER => Frame::Footer { end: number, at, count: u64_at(body, 0) },
        IS_GAP => Frame::Gap { to: number },
        length => Frame::Record { number, at, begins: length & BEGINS != 0, bytes: body },
    };
    Parsed::Frame(frame, HEAD + length)
}

/// The next place from `from` on where a frame with one of these numbers stands. Looks at the number before it computes a
/// checksum, so that noise costs little.
pub(super) fn find(bytes: &[u8], from: usize, salt: u32, numbers: &RangeInclusive<u64>) -> Option<usize> {
    let last = bytes.len().checked_sub(HEAD)?;
    (from..=last)
        .find(|&at| numbers.contains(&u64_at(bytes, at + 8)) && matches!(parse(&bytes[at..], salt), Parsed::Frame(..)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: u32 = 0x5a17;

    fn framed(frame: &Frame<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, SALT, frame);
        out
    }

    #[test]
    fn the_layout_is_the_one_of_version_1() {
        let record = framed(&Frame::Record { number: 7, at: 9, begins: true, bytes: b"xyz" });
        let text: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, GOLDEN);
    }

    const GOLDEN: &str = "030000801aa7c53f0700000000000000090000000000000078797a";

    fn frames() -> impl Strategy<Value = (u64, u64, bool, Vec<u8>)> {
        (0..1000_u64, any::<u64>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 1..60))
    }

    proptest! {
        #[test]
        fn what_was_put_is_read_and_nothing_else_is(
            (number, at, begins, bytes) in frames(), hit in any::<prop::sample::Index>(), by in 1..=255_u8,
        ) {
            for frame in [
                Frame::Record { number, at, begins, bytes: &bytes },
                Frame::Gap { to: number },
                Frame::Footer { end: number, at, count: at },
            ] {
                let mut whole = framed(&frame);
                prop_assert_eq!(parse(&whole, SALT), Parsed::Frame(frame, whole.len()));
                prop_assert_eq!(parse(&whole, SALT + 1), Parsed::Bad);
                for cut in 0..whole.len() {
                    prop_assert!(matches!(parse(&whole[..cut], SALT), Parsed::Short(need) if need > cut));
                }
                let hit = hit.index(whole.len());
                whole[hit] ^= by;
                prop_assert!(!matches!(parse(&whole, SALT), Parsed::Frame(..)));
            }
        }

        #[test]
        fn any_bytes_are_looked_through(bytes in proptest::collection::vec(any::<u8>(), 0..300), from in 0..400_usize) {
            prop_assert_eq!(find(&bytes, from, SALT, &(0..=u64::MAX)), None);
            prop_assert!(!matches!(parse(&bytes, SALT), Parsed::Frame(..)));
        }

        #[test]
        fn a_frame_is_found_behind_anything(
            (number, at, begins, bytes) in frames(), noise in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let whole = [noise.clone(), framed(&Frame::Record { number, at, begins, bytes: &bytes })].concat();
            prop_assert_eq!(find(&whole, 0, SALT, &(0..=1000)), Some(noise.len()));
            prop_assert_eq!(find(&whole, 0, SALT, &(number + 1..=u64::MAX)), None);
        }
    }
}

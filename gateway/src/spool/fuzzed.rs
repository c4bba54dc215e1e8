//! For the fuzz target `spool`, and for the test that plays its corpus: what must hold for a segment, however it was damaged,
//! and for the messages in its records.
//!
//! Built for these alone. An input is, up to the first 0xff, a segment to be written, and behind it the damage to be done;
//! it is a file's name and the content of a record as well.

#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "tests of several rooms share it, and no room may import another's")]
#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;

use std::ops::Range;

use super::frame::{Frame, HEAD, plain_sum, put};
use super::segment::{Bounds, HEADER, Name, Scan, first_at, footer, scan};
use crate::message::Message;

const NAME: Name = Name { file: 7, base: 42, salt: 0x5a17_0001 };

/// A record that was written, and where it stands while nothing has touched it.
struct Written {
    number: u64,
    bytes: Vec<u8>,
    place: Option<Range<usize>>,
}

/// A segment under the fuzzer's hands.
struct Work {
    bytes: Vec<u8>,
    written: Vec<Written>,
    sealed: bool,
    damaged: bool,
}

/// Records that were found: number, time, bytes.
type Found<'a> = Vec<(u64, u64, &'a [u8])>;

/// Writes a segment, damages it, and looks through it. Panics where something is found that was not written, where a record
/// is missed that nothing has touched, where the counts do not fit, or where what was found can't be written again.
pub fn play(input: &[u8]) {
    names(input);
    messages(input);
    let behind = input.iter().position(|byte| *byte == 0xff).unwrap_or(input.len());
    let mut work = Work::write(&input[..behind]);
    work.damage(input.get(behind + 1..).unwrap_or_default());
    let (seen, found) = look(&work.bytes, Bounds::default());
    work.check(&seen, &found);
    rewritten(&found);
    bounded(&work.bytes, &found);
    if let Some((end, _, _)) = footer(&work.bytes, NAME) {
        assert!(end >= NAME.base);
    }
    let _ = first_at(&work.bytes);
    // The same as a file of which nothing is known.
    look(input, Bounds::default());
}

fn look(bytes: &[u8], bounds: Bounds) -> (Scan, Found<'_>) {
    let mut found = Vec::new();
    let seen = scan(bytes, NAME, bounds, |number, at, bytes| found.push((number, at, bytes)));
    assert_eq!(seen.count, found.len() as u64);
    assert!(seen.batch <= seen.whole && seen.whole <= bytes.len());
    assert!(seen.lost_bytes + seen.torn_bytes <= bytes.len().saturating_sub(HEADER) as u64);
    assert!(
        found.is_sorted_by(|a, b| a.0 < b.0) && found.iter().all(|(number, ..)| (NAME.base..seen.end).contains(number))
    );
    (seen, found)
}

impl Work {
    fn write(script: &[u8]) -> Self {
        let mut work = Self { bytes: NAME.header(), written: Vec::new(), sealed: false, damaged: false };
        let mut number = NAME.base;
        for pair in script.chunks(2) {
            let &[what, how] = pair else { break };
            let (start, at) = (work.bytes.len(), u64::from(how));
            match what % 8 {
                6 => {
                    number += at;
                    put(&mut work.bytes, NAME.salt, &Frame::Gap { to: number });
                }
                7 => {
                    let count = work.written.len() as u64;
                    put(&mut work.bytes, NAME.salt, &Frame::Footer { end: number, at, count });
                    work.sealed = true;
                    break;
                }
                kind => {
                    // What frames begin with is odd, or 0xfe. Else a byte that was taken out of a record could be made good by
                    // the first one behind it, which then is missed with good reason.
                    let bytes = vec![what & 0x7e; 2 * usize::from(how) + 1];
                    let frame = Frame::Record { number, at, begins: kind % 2 == 0, bytes: &bytes };
                    put(&mut work.bytes, NAME.salt, &frame);
                    work.written.push(Written { number, bytes, place: Some(start..work.bytes.len()) });
                    number += 1;
                }
            }
        }
        work
    }

    fn damage(&mut self, script: &[u8]) {
        for step in script.chunks(4) {
            let &[what, high, low, how] = step else { break };
            let at = usize::from(u16::from_be_bytes([high, low])) % (self.bytes.len() + 1);
            let end = (at + usize::from(how) + 1).min(self.bytes.len());
            match what % 4 {
                0 if at < self.bytes.len() && how > 0 => {
                    self.bytes[at] ^= how;
                    self.touch(at..at + 1, 0);
                }
                1 => {
                    self.bytes.truncate(at);
                    self.touch(at..usize::MAX, 0);
                }
                2 => {
                    drop(self.bytes.splice(at..at, vec![how; usize::from(what) + 1]));
                    self.touch(at..at, isize::from(what) + 1);
                }
                3 => {
                    drop(self.bytes.drain(at..end));
                    self.touch(at..end, -isize::try_from(end - at).expect("at most 256"));
                }
                _ => {}
            }
        }
    }

    /// These bytes are not what they were, and those behind them are somewhere else.
    fn touch(&mut self, range: Range<usize>, moved: isize) {
        self.damaged = true;
        for record in &mut self.written {
            record.place = record.place.take().and_then(|place| {
                if place.end <= range.start {
                    return Some(place);
                }
                let shift = |at: usize| at.checked_add_signed(moved);
                (place.start >= range.end).then_some(shift(place.start)?..shift(place.end)?)
            });
        }
    }

    fn check(&self, seen: &Scan, found: &Found<'_>) {
        for (number, _, bytes) in found {
            let written = self.written.iter().find(|written| written.number == *number);
            assert!(written.is_some_and(|written| written.bytes == *bytes), "record {number} was never written");
        }
        for written in &self.written {
            let whole =
                written.place.as_ref().is_some_and(|place| place.start >= HEADER && place.end <= self.bytes.len());
            let number = written.number;
            assert!(!whole || found.iter().any(|(n, ..)| *n == number), "record {number} is whole and was missed");
        }
        if !self.damaged {
            assert_eq!((found.len(), seen.sealed, seen.headless), (self.written.len(), self.sealed, false));
            assert_eq!((seen.lost, seen.lost_bytes, seen.torn, seen.torn_bytes), (0, 0, 0, 0));
        }
    }
}

/// What was found can be written to another segment, without a loss.
fn rewritten(found: &Found<'_>) {
    let mut bytes = NAME.header();
    let mut next = NAME.base;
    for (number, at, record) in found {
        let gap = *number != next;
        if gap {
            put(&mut bytes, NAME.salt, &Frame::Gap { to: *number });
        }
        put(&mut bytes, NAME.salt, &Frame::Record { number: *number, at: *at, begins: !gap, bytes: record });
        next = number + 1;
    }
    let (seen, again) = look(&bytes, Bounds::default());
    assert_eq!(&again, found);
    assert_eq!((seen.lost, seen.lost_bytes, seen.torn, seen.torn_bytes), (0, 0, 0, 0));
    assert_eq!(bytes.len() - seen.whole, 0);
    let least = HEADER + found.iter().map(|(_, _, record)| HEAD + record.len()).sum::<usize>();
    assert!(bytes.len() >= least);
}

/// Of what the next segment has, and of what is acknowledged, nothing is said.
fn bounded(bytes: &[u8], found: &Found<'_>) {
    let Some((middle, ..)) = found.get(found.len() / 2) else { return };
    for unsure in [false, true] {
        let (_, below) = look(bytes, Bounds { from: NAME.base, until: Some(*middle), unsure });
        assert!(below.iter().all(|(number, ..)| number < middle));
        let (seen, all) = look(bytes, Bounds { from: u64::MAX / 2, until: None, unsure });
        assert_eq!((all.len(), seen.lost, seen.torn), (found.len(), 0, 0));
    }
}

fn names(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Some(name) = Name::parse(text)
    {
        assert_eq!((name.to_string().as_str(), Name::parse(text)), (text, Some(name)));
    }
}

/// A record whose checksum is right is a message or none, and a message is the same when it is written again.
fn messages(input: &[u8]) {
    let sealed = [&[1][..], &plain_sum(input).to_le_bytes(), input].concat();
    for record in [input, &sealed] {
        if let Ok(message) = Message::from_record(record) {
            let again = message.to_record();
            let read = Message::from_record(&again).expect("what was written is read");
            assert_eq!(read.to_record(), again);
            assert_eq!((read.topic, read.payload, read.qos), (message.topic, message.payload, message.qos));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::corpus::{corpus, play_changed};
    use super::play;

    /// How often each input is changed.
    const CHANGES: usize = 200;

    #[test]
    fn segments_of_the_corpus_are_read_as_far_as_they_are_whole() {
        corpus("spool").iter().for_each(|input| play(input));
        play_changed("spool", CHANGES, play);
    }
}

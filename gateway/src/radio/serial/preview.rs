//! How a framing would cut the bytes that came last. Pure: the running decoder is not touched.

use std::time::Instant;

use bytes::Bytes;

use super::framing::{self, Decoded, Reject};
use super::tail::Tail;
use crate::config::Framing;

/// What became of some of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A good frame that carries this.
    Frame(Bytes),
    /// No good frame.
    Rejected(Reject),
    /// A frame may still come of it.
    Open,
}

/// Some of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Where they begin, in the bytes that were looked at.
    pub start: usize,
    /// How many, what a good frame carries alone.
    pub length: usize,
    /// What became of them.
    pub fate: Fate,
}

/// Cuts the bytes as this framing would, `max_frame` being the longest payload.
pub fn preview(tail: &Tail, framing: &Framing, max_frame: usize, now: Instant) -> Vec<Cut> {
    let mut decoder = framing::decoder(framing, max_frame);
    let mut cuts = Vec::new();
    let patience = decoder.idle_after();
    let is_silent = |silence| patience.is_some_and(|patience| silence >= patience);
    for (silence, bytes) in tail.reads() {
        if is_silent(silence) {
            decoder.idle(&mut |found| cuts.push(cut(found, false)));
        }
        decoder.decode(&bytes, &mut |found| cuts.push(cut(found, false)));
    }
    if tail.last().is_some_and(|last| is_silent(now.saturating_duration_since(last))) {
        decoder.idle(&mut |found| cuts.push(cut(found, false)));
    }
    // What is left was not judged yet.
    decoder.reset(&mut |found| cuts.push(cut(found, true)));
    cuts
}

fn cut(found: Decoded, left: bool) -> Cut {
    // The tail is short.
    let place = |start: u64| usize::try_from(start).unwrap_or(usize::MAX);
    match found {
        Decoded::Frame { start, payload } => {
            Cut { start: place(start), length: payload.len(), fate: Fate::Frame(payload) }
        }
        Decoded::Rejected { start, reason, length } => {
            let fate = if left { Fate::Open } else { Fate::Rejected(reason) };
            Cut { start: place(start), length, fate }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::LineEnding;

    fn frames(cuts: &[Cut]) -> Vec<&[u8]> {
        let frames = cuts.iter().filter_map(|cut| match &cut.fate {
            Fate::Frame(payload) => Some(&payload[..]),
            _ => None,
        });
        frames.collect()
    }

    #[test]
    fn lines_are_cut_whatever_the_reads_and_what_has_no_end_stays_open() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        for part in ["on", "e\r\ntwo\r", "\nthr"] {
            tail.note(part.as_bytes(), now);
        }
        let cuts = preview(&tail, &Framing::Line { ending: LineEnding::Crlf }, 100, now);
        assert_eq!(frames(&cuts), [&b"one"[..], b"two"]);
        assert_eq!(cuts[2], Cut { start: 10, length: 3, fate: Fate::Open });
        let cuts = preview(&tail, &Framing::Line { ending: LineEnding::Crlf }, 2, now);
        assert_eq!(cuts[0].fate, Fate::Rejected(Reject::TooLong));
    }

    #[test]
    fn silence_cuts_where_the_framing_goes_by_it_up_to_now() {
        let (mut tail, now, gap) = (Tail::default(), Instant::now(), Duration::from_millis(20));
        tail.note(b"a", now);
        tail.note(b"b", now + gap / 2);
        tail.note(b"c", now + gap * 2);
        let framing = Framing::IdleGap { gap };
        assert_eq!(frames(&preview(&tail, &framing, 100, now + gap * 2)), [&b"ab"[..]]);
        assert_eq!(frames(&preview(&tail, &framing, 100, now + gap * 3)), [&b"ab"[..], b"c"]);
    }

    #[test]
    fn bytes_that_fit_no_frame_are_said_with_their_reason() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        tail.note(b"$GPGGA,1*00\r\nhello\r\n", now);
        let cuts = preview(&tail, &Framing::Nmea, 100, now);
        assert_eq!(cuts[0].fate, Fate::Rejected(Reject::Checksum));
        assert!(frames(&cuts).is_empty());
        assert!(preview(&Tail::default(), &Framing::Nmea, 100, now).is_empty());
    }
}

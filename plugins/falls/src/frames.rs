//! Finds a radar's frames in the bytes that came. A message may hold several, and one that a read cut in two goes on in
//! the next. A frame that is damaged never hides a good one behind it.

use std::collections::BTreeMap;
use std::time::Duration;

use stile_filter::Time;

use crate::sensors::Report;

/// The most bytes of one message.
pub(crate) const MOST_BYTES: usize = 4096;

/// The other half of a frame comes at once, or never.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most devices of which half a frame is kept.
const MOST_TAILS: usize = 256;

/// What stands at the front of some bytes.
pub(crate) enum Cut {
    /// A good frame of so many bytes.
    Frame(usize, Report),
    /// What could become one.
    Short,
    /// None.
    Wrong(&'static str),
}

/// What was found.
#[derive(Debug, PartialEq)]
pub(crate) struct Scan {
    pub(crate) reports: Vec<Report>,
    /// Why some of the bytes are no frame.
    pub(crate) refused: Option<&'static str>,
    /// Where a frame begins that is not there as a whole.
    unfinished: Option<usize>,
}

/// Looks for frames.
fn scan(read: fn(&[u8]) -> Cut, bytes: &[u8]) -> Scan {
    let mut found = Scan { reports: Vec::new(), refused: None, unfinished: None };
    let mut at = 0;
    while at < bytes.len() {
        at += match read(&bytes[at..]) {
            Cut::Frame(length, report) => {
                if found.unfinished.take().is_some() {
                    found.refused = Some("a frame is cut");
                }
                found.reports.push(report);
                length
            }
            Cut::Short => {
                found.unfinished.get_or_insert(at);
                1
            }
            Cut::Wrong(why) => {
                if found.unfinished.is_none() {
                    found.refused.get_or_insert(why);
                }
                1
            }
        };
    }
    found
}

/// Halves of frames, by device. In memory alone: of a frame that is not whole yet nothing is known.
#[derive(Default)]
pub(crate) struct Tails(BTreeMap<String, (Time, Vec<u8>)>);

impl Tails {
    /// Looks for frames in what a device sent last and now.
    pub(crate) fn scan(&mut self, read: fn(&[u8]) -> Cut, device: &str, at: Time, bytes: &[u8]) -> Scan {
        let before = self.0.remove(device);
        let late = before.as_ref().is_some_and(|(then, _)| at < *then || at.since(*then) > PATIENCE);
        let mut whole = before.filter(|_| !late).map(|(_, tail)| tail).unwrap_or_default();
        whole.extend_from_slice(bytes);
        let mut found = scan(read, &whole);
        if late {
            found.refused.get_or_insert("a frame is cut");
        }
        if let Some(from) = found.unfinished
            && self.0.len() < MOST_TAILS
        {
            self.0.insert(device.to_owned(), (at, whole.split_off(from)));
        }
        found
    }

    /// Whether half a frame is waited for.
    pub(crate) fn waits_for(&self, device: &str) -> bool {
        self.0.contains_key(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fda1, fda2};

    const FALL_1: [u8; 10] = [0x53, 0x59, 0x83, 0x01, 0x00, 0x01, 0x01, 0x32, 0x54, 0x43];
    const FALL_2: [u8; 10] = [0x01, 0x00, 0x00, 0x00, 0x01, 0x0e, 0x02, 0xf3, 0x01, 0xfe];

    type Reader = fn(&[u8]) -> Cut;
    const BOTH: [(Reader, [u8; 10]); 2] = [(fda1::read, FALL_1), (fda2::read, FALL_2)];

    #[test]
    fn a_frame_that_is_cut_anywhere_is_read_when_the_rest_comes() {
        for (read, frame) in BOTH {
            for cut in 1..frame.len() {
                let mut tails = Tails::default();
                let (first, second) = frame.split_at(cut);
                let half = tails.scan(read, "a", Time::EXAMPLE, first);
                assert_eq!((half.reports, half.refused), (vec![], None), "{cut}");
                let rest = tails.scan(read, "a", Time::EXAMPLE.after(PATIENCE), second);
                assert_eq!((rest.reports, rest.refused), (vec![Report::Fall(true)], None), "{cut}");
                assert!(!tails.waits_for("a"));
            }
        }
    }

    #[test]
    fn half_a_frame_is_not_waited_for_for_ever() {
        for (read, frame) in BOTH {
            let mut tails = Tails::default();
            tails.scan(read, "a", Time::EXAMPLE, &frame[..6]);
            let later = Time::EXAMPLE.after(PATIENCE * 2);
            let found = tails.scan(read, "a", later, &frame);
            assert_eq!((found.reports, found.refused), (vec![Report::Fall(true)], Some("a frame is cut")));
        }
    }

    #[test]
    fn no_damage_to_one_byte_makes_a_fall_or_hides_the_next_one() {
        for (read, frame) in BOTH {
            for (place, flip) in (0..frame.len()).flat_map(|place| (0..8).map(move |bit| (place, 1 << bit))) {
                let mut damaged = frame;
                damaged[place] ^= flip;
                let found = scan(read, &damaged);
                assert_eq!(found.reports, [], "{place} {flip}");
                let found = scan(read, &[damaged, frame].concat());
                assert_eq!(found.reports, [Report::Fall(true)], "{place} {flip}");
                assert!(found.refused.is_some(), "{place} {flip}");
            }
        }
    }

    #[test]
    fn whatever_comes_it_is_read_to_its_end() {
        let mut x = 1_u32;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Few different bytes, so that much looks like the beginning of a frame.
            [0x53, 0x59, 0x01, 0x00, 0x54, 0x43, 0x0e, (x >> 8) as u8][(x >> 24) as usize % 8]
        };
        for (read, _) in BOTH {
            let mut tails = Tails::default();
            for _ in 0..200 {
                let bytes: Vec<u8> = (0..200).map(|_| next()).collect();
                tails.scan(read, "a", Time::EXAMPLE, &bytes);
                assert!(tails.0.get("a").is_none_or(|(_, tail)| tail.len() < MOST_BYTES));
            }
        }
    }
}

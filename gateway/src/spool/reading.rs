//! Reading a lane's segments, one piece after the other, past what is damaged.

use std::io;

use bytes::Bytes;

use super::disk::{self, Disk, DiskFile, Mode};
use super::files::Files;
use super::frame::{Frame, Parsed, find, parse};
use super::lane::Item;
use super::segment::{HEADER, Segment};

/// What is read at once, unless one record weighs more.
const PIECE: u64 = 128 * 1024;

/// Where the reading has come to.
pub(super) struct Place {
    segment: u64,
    file: Box<dyn DiskFile>,
    /// The next frame, in the file.
    at: u64,
    /// The number that it should have.
    next: u64,
}

impl Place {
    /// The number of the file that is read.
    pub(super) fn file_number(&self) -> u64 {
        self.segment
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) items: Vec<Item>,
    /// The number behind them.
    pub(super) end: u64,
    /// Numbers that are missing, bytes that are no records, and files in which such were found first.
    pub(super) lost: u64,
    pub(super) lost_bytes: u64,
    pub(super) damaged: Vec<String>,
}

impl Files {
    /// Reads records from number `from` on, of about `bytes` together, or up to the end of what is on disk. What can't be
    /// read is an error, with `lossy` it is passed over.
    pub(super) fn read(&mut self, disk: &dyn Disk, from: u64, bytes: usize, lossy: bool) -> io::Result<Found> {
        let mut found = Found { end: from, ..Found::default() };
        let mut weight = 0;
        while weight < bytes && found.end < self.end {
            let Some(at) = self.segments.iter().position(|segment| segment.end > found.end) else { break };
            let segment = self.segments[at];
            // What is missing between files was counted when the spool was opened.
            found.end = found.end.max(segment.name.base);
            let before = found.items.len();
            if let Err(error) = self.read_some(disk, segment, &mut found, lossy) {
                self.reading = None;
                if !lossy {
                    return Err(error);
                }
                self.give_up(at, &mut found, segment.end, segment.bytes);
            }
            weight += found.items[before..].iter().map(|item| item.bytes.len()).sum::<usize>();
        }
        found.end = if found.end >= self.segments.back().map_or(0, |last| last.end) { self.end } else { found.end };
        Ok(found)
    }

    /// Reads one piece of a segment. Afterwards `found.end` has moved on, or the place in the file has.
    fn read_some(&mut self, disk: &dyn Disk, segment: Segment, found: &mut Found, lossy: bool) -> io::Result<()> {
        let mut place = match self.reading.take() {
            Some(place) if place.segment == segment.name.file && place.next <= found.end => place,
            _ => {
                let file = disk.open(&self.path(segment.name), Mode::Read)?;
                Place { segment: segment.name.file, file, at: HEADER as u64, next: segment.name.base }
            }
        };
        let left = segment.bytes.saturating_sub(place.at);
        let mut piece = disk::read(place.file.as_ref(), place.at, left.min(PIECE) as usize, lossy)?;
        if let Parsed::Short(need) = parse(&piece, segment.name.salt)
            && (PIECE..=left).contains(&(need as u64))
        {
            piece = disk::read(place.file.as_ref(), place.at, need, lossy)?;
        }
        let used = take(&piece, &segment, &mut place, found);
        place.at += used as u64;
        let stuck = used == 0 || place.next >= segment.end;
        if stuck && place.next < segment.end {
            return self.pass_over(place, segment, found, lossy);
        }
        if place.next >= segment.end {
            found.end = found.end.max(segment.end);
        } else {
            self.reading = Some(place);
        }
        Ok(())
    }

    /// What stands at `place` is no frame: goes on at the next one, or at the end of the segment.
    fn pass_over(&mut self, mut place: Place, segment: Segment, found: &mut Found, lossy: bool) -> io::Result<()> {
        let left = segment.bytes.saturating_sub(place.at) as usize;
        let rest = disk::read(place.file.as_ref(), place.at, left, lossy)?;
        let index = self.segments.iter().position(|other| other.name == segment.name);
        let index = index.expect("the segment that is read is one of them");
        let numbers = place.next..=segment.end;
        match find(&rest, 1.min(rest.len()), segment.name.salt, &numbers) {
            Some(skipped) => {
                // Not while it is on its way to where it was before.
                let bytes = if place.next >= found.end { skipped as u64 } else { 0 };
                self.damaged(index, found, 0, bytes);
                place.at += skipped as u64;
                self.reading = Some(place);
            }
            None => self.give_up(index, found, segment.end, left as u64),
        }
        Ok(())
    }

    /// The rest of a segment can't be read.
    fn give_up(&mut self, index: usize, found: &mut Found, end: u64, bytes: u64) {
        self.damaged(index, found, end - found.end, bytes);
        found.end = end;
    }

    /// Counts what is missing, unless that was done when the spool was opened.
    fn damaged(&mut self, index: usize, found: &mut Found, lost: u64, bytes: u64) {
        let path = self.path(self.segments[index].name);
        let segment = &mut self.segments[index];
        if !segment.counted {
            found.lost += lost;
            found.lost_bytes += bytes;
        }
        if !std::mem::replace(&mut segment.damaged, true) {
            found.damaged.push(path);
        }
    }
}

/// Takes the frames that a piece begins with. Gives the bytes they took.
fn take(piece: &[u8], segment: &Segment, place: &mut Place, found: &mut Found) -> usize {
    let mut used = 0;
    while place.next < segment.end
        && let Parsed::Frame(frame, length) = parse(&piece[used..], segment.name.salt)
    {
        let (number, next) = match frame {
            Frame::Record { number, .. } => (number, number + 1),
            Frame::Gap { to } => (place.next, to),
            Frame::Footer { end, .. } => (end, end),
        };
        // Whole, but of another place: no more a record here than noise is.
        if number < place.next || next > segment.end {
            break;
        }
        if !segment.counted {
            found.lost += number.saturating_sub(found.end.max(place.next));
        }
        if let Frame::Record { number, at, bytes, .. } = frame
            && number >= found.end
        {
            found.items.push(Item { number, at, bytes: Bytes::copy_from_slice(bytes) });
        }
        (place.next, found.end) = (next, found.end.max(next));
        used += length;
    }
    used
}

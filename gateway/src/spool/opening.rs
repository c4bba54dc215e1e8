//! What a crash, or worse, left behind: looked through and repaired when a spool is opened.
//!
//! Segments that end in a footer are taken at their word: what is in them is looked at when it is read. Only the others are
//! read as a whole: the one that was written to last, unless the spool was closed in order, and one in which a write failed.
//! Whatever is found, the spool opens; what can't even be read counts as lost.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use super::cursor::{self, Cursor, Place};
use super::disk::{self, Disk, Mode};
use super::files::Files;
use super::frame::{FOOTER, Frame, put};
use super::journal::Journal;
use super::lane::Lane;
use super::segment::{Bounds, HEADER, Name, Scan, Segment, first_at, footer, put_footer, scan};
use super::settings::{Priority, RECORD_MAX, SEGMENT_MAX};
use super::state::Time;
use super::{Opened, Quarantined};
use crate::message::Received;

/// The most of one file that is looked at. None that was written here is larger.
const FILE_MAX: u64 = SEGMENT_MAX + RECORD_MAX as u64 + 4096;

/// What is on disk, as it is.
pub(super) struct Survey {
    pub(super) priority: Priority,
    pub(super) segments: VecDeque<Segment>,
    /// By segment: what its bytes are worth, where they had to be read as a whole.
    pub(super) scans: Vec<Option<Scan>>,
    /// Its records that are not acknowledged, and the number behind the last.
    pub(super) messages: u64,
    pub(super) weight: u64,
    pub(super) acked: u64,
    /// The cursor says so.
    placed: bool,
    /// The spool was not closed: the last batch may never have been safely there.
    unsure: bool,
    pub(super) end: u64,
    pub(super) last_at: u64,
    pub(super) quarantined: Quarantined,
    /// Files with nothing in them that counts.
    pub(super) empty: Vec<Name>,
    /// The highest number of a file.
    pub(super) last_file: u64,
}

/// The segments of a lane by their names, in order.
pub(super) fn names(disk: &dyn Disk, priority: Priority) -> io::Result<Vec<(Name, u64)>> {
    let files = disk.list(priority.as_str())?;
    let mut names: Vec<_> = files.iter().filter_map(|(name, length)| Some((Name::parse(name)?, *length))).collect();
    names.sort_unstable();
    Ok(names)
}

/// Reads a segment as a whole; what can't be read is zeros. Fails where it can't be opened.
pub(super) fn whole(disk: &dyn Disk, priority: Priority, name: Name, length: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(&path(priority, name), Mode::Read)?;
    disk::read(file.as_ref(), 0, usize::try_from(length.min(FILE_MAX)).unwrap_or(usize::MAX), true)
}

/// Looks through a lane and changes nothing. `place` is where the cursor says that things are, if that is known.
pub(super) fn survey(disk: &dyn Disk, priority: Priority, place: Option<&Place>) -> Survey {
    let names = names(disk, priority).unwrap_or_default();
    let (acked, tail) = place.map_or((0, 0), |place| (place.acked[priority as usize], place.end[priority as usize]));
    let mut survey = Survey {
        priority,
        segments: VecDeque::new(),
        scans: Vec::new(),
        messages: 0,
        weight: 0,
        acked,
        placed: place.is_some(),
        unsure: place.is_none_or(|place| !place.clean),
        end: 0,
        last_at: 0,
        quarantined: Quarantined::default(),
        empty: Vec::new(),
        last_file: names.last().map_or(0, |(name, _)| name.file),
    };
    for (n, &(name, length)) in names.iter().enumerate() {
        let until = names.get(n + 1).map(|(next, _)| next.base);
        survey.add(disk, name, length, until);
    }
    let known = survey.segments.front().map(|first| first.name.base);
    if place.is_none() {
        survey.acked = known.unwrap_or(0);
    }
    survey.quarantined.messages += tail.saturating_sub(survey.end.max(survey.acked));
    survey.end = survey.end.max(tail).max(survey.acked);
    survey
}

impl Survey {
    fn add(&mut self, disk: &dyn Disk, name: Name, length: u64, until: Option<u64>) {
        // Before the first file nothing is missed that is not acknowledged; between two, what neither has.
        let expected = if self.segments.is_empty() { self.acked } else { self.end.max(self.acked) };
        if until.is_some_and(|until| until <= name.base) {
            return self.empty.push(name);
        }
        let (mut segment, scan) = self.examine(disk, name, length, until);
        if segment.count == 0 && segment.end <= expected.max(name.base) {
            return self.empty.push(name);
        }
        if self.placed || !self.segments.is_empty() {
            self.quarantined.messages += name.base.saturating_sub(expected);
        }
        let lost = scan.map_or(0, |scan| scan.lost);
        segment.damaged |= lost > 0;
        segment.counted = segment.damaged;
        self.quarantined.messages += lost;
        self.quarantined.files += u64::from(segment.damaged);
        self.quarantined.bytes += scan.filter(|_| segment.damaged).map_or(0, |scan| scan.lost_bytes);
        // Up to the next one, all that is missing in a file without a footer has been counted.
        self.end = until.filter(|_| scan.is_some()).unwrap_or(segment.end);
        let (mut count, mut bytes) = (segment.count, segment.bytes - HEADER as u64);
        if segment.name.base < self.acked && segment.end > self.acked {
            (count, bytes) = (0, 0);
            let text = whole(disk, self.priority, name, segment.bytes).unwrap_or_default();
            super::segment::scan(&text, name, Bounds { until, ..Bounds::default() }, |number, _, record| {
                if number >= self.acked {
                    count += 1;
                    bytes += super::frame::weight(record.len());
                }
            });
        } else if segment.end <= self.acked {
            (count, bytes) = (0, 0);
        }
        self.messages += count;
        self.weight += bytes;
        self.segments.push_back(segment);
        self.scans.push(scan);
    }

    /// How a segment is looked at that goes up to `until`, or is the last.
    pub(super) fn bounds(&self, until: Option<u64>) -> Bounds {
        Bounds { from: self.acked, until, unsure: self.unsure && until.is_none() }
    }

    /// What a file is worth: by its footer, or by all that is in it.
    fn examine(&mut self, disk: &dyn Disk, name: Name, length: u64, until: Option<u64>) -> (Segment, Option<Scan>) {
        let mut segment = Segment { bytes: length, ..Segment::new(name) };
        if let Some((head, foot)) = ends(disk, self.priority, name, length)
            && let Some((end, at, count)) = footer(&foot, name)
            && name.is_headed(&head)
            && until.map_or(!self.unsure, |until| end <= until)
            && length <= FILE_MAX
        {
            (segment.end, segment.count, segment.at) = (end, count, first_at(&head).unwrap_or(at).min(at));
            self.last_at = self.last_at.max(at);
            return (segment, None);
        }
        let bytes = whole(disk, self.priority, name, length).unwrap_or_default();
        let scan = scan(&bytes, name, self.bounds(until), |_, _, _| {});
        segment.end = until.map_or(scan.end, |until| scan.end.min(until));
        (segment.count, segment.at) = (scan.count, scan.first_at.unwrap_or(scan.last_at));
        segment.bytes = scan.whole.max(HEADER) as u64;
        segment.damaged = scan.headless_for_certain;
        self.last_at = self.last_at.max(scan.last_at);
        (segment, Some(scan))
    }
}

/// The first bytes of a file, and as many as a footer has of its last.
fn ends(disk: &dyn Disk, priority: Priority, name: Name, length: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    let file = disk.open(&format!("{}/{name}", priority.as_str()), Mode::Read).ok()?;
    let head = disk::read(file.as_ref(), 0, 2 * HEADER, false).ok()?;
    let foot = disk::read(file.as_ref(), length.checked_sub(FOOTER as u64)?, FOOTER, false).ok()?;
    Some((head, foot))
}

/// Opens what is there: what is repaired is written, so that the next opening finds it whole.
pub(super) fn open(disk: Box<dyn Disk>, now: Received) -> io::Result<(Journal, [Lane; 2], Time, Opened)> {
    for priority in Priority::ALL {
        if disk.list(priority.as_str()).is_err() {
            disk.make_folder(priority.as_str())?;
        }
    }
    // On a disk that can only be read this fails, and the spool is of use all the same.
    let _ = disk.sync_folder("");
    let found = cursor::read(disk.as_ref());
    let place = found.flatten();
    let mut opened = Opened::default();
    let surveys = Priority::ALL.map(|priority| survey(disk.as_ref(), priority, place.as_ref()));
    opened.cursor_lost = place.is_none() && (found.is_some() || surveys.iter().any(|survey| survey.messages > 0));
    opened.clean = place.map_or(found.is_none() && !opened.cursor_lost, |place| place.clean);
    let at = surveys.iter().map(|survey| survey.last_at).max().unwrap_or(0).max(place.map_or(0, |place| place.time));
    let time = Time { at: at + away(place.as_ref(), &now), since: now.monotonic };
    let lanes = [0, 1].map(|n: usize| {
        let survey = &surveys[n];
        Lane::new(survey.acked, survey.end, survey.messages, survey.weight)
    });
    let files = surveys.map(|survey| {
        opened.messages += survey.messages;
        opened.quarantined.files += survey.quarantined.files;
        opened.quarantined.messages += survey.quarantined.messages;
        opened.quarantined.bytes += survey.quarantined.bytes;
        repair(disk.as_ref(), survey, &mut opened)
    });
    let mut journal = Journal::new(disk, files, Cursor::new());
    // From now on it is not closed. Should that fail, the thread tries again.
    let acked = [lanes[0].window.acked(), lanes[1].window.acked()];
    let _ = journal.sync(Place { acked, time: time.at, ..Place::default() });
    Ok((journal, lanes, time, opened))
}

/// How long nobody was there, in milliseconds; 0 unless the wall clock could be trusted at both ends.
fn away(place: Option<&Place>, now: &Received) -> u64 {
    let left = place.map(|place| place.wall).filter(|wall| *wall > 0);
    let back = now.trusted().and_then(|wall| wall.duration_since(UNIX_EPOCH).ok());
    let (Some(left), Some(back)) = (left, back) else { return 0 };
    let away = back.saturating_sub(Duration::from_millis(left));
    u64::try_from(away.as_millis()).unwrap_or(0)
}

/// Repairs what a crash left half-written, and ends the segment. It may fail, on a disk that fails, which is of no harm: the
/// next segment says where it begins.
fn repair(disk: &dyn Disk, survey: Survey, opened: &mut Opened) -> Files {
    let Survey { priority, mut segments, scans, empty, mut last_file, end, .. } = survey;
    for name in empty {
        let _ = disk.remove(&path(priority, name));
    }
    // Of a spool that was closed in order, the last segment was not looked at.
    if let (Some(segment), Some(Some(scan))) = (segments.back_mut(), scans.last()) {
        opened.repaired += scan.torn_bytes;
        // Damaged, it is kept as it is.
        if (scan.torn > 0 || scan.headless) && !segment.damaged {
            last_file += 1;
            match rewrite(disk, priority, segment, last_file) {
                Ok(written) => *segment = written,
                Err(_) => segment.counted = true,
            }
        } else if let Ok(bytes) = cut(disk, priority, segment, scan) {
            segment.bytes = bytes;
        }
    }
    Files::new(priority, segments, last_file + 1, end)
}

fn path(priority: Priority, name: Name) -> String {
    format!("{}/{name}", priority.as_str())
}

/// Cuts off what is behind the last whole record, and puts a footer in its place. The last batch is written once more: if
/// waiting for it failed, the kernel may show it here and never write it. Gives the file's length.
fn cut(disk: &dyn Disk, priority: Priority, segment: &Segment, scan: &Scan) -> io::Result<u64> {
    let mut file = disk.open(&path(priority, segment.name), Mode::Write)?;
    file.truncate(scan.whole as u64)?;
    let mut bytes = disk::read(file.as_ref(), scan.batch as u64, scan.whole - scan.batch, false)?;
    if !scan.sealed {
        put_footer(&mut bytes, segment, scan.last_at);
    }
    file.write_at(scan.batch as u64, &bytes)?;
    file.sync()?;
    disk.sync_folder(priority.as_str())?;
    Ok((scan.batch + bytes.len()) as u64)
}

/// Blocks reach a disk in any order, so of the last batch a later record may be there and an earlier one not. Nobody was
/// promised either. Writes what is there once more, in a file of its own, or the hole would pass for damage for ever.
fn rewrite(disk: &dyn Disk, priority: Priority, old: &Segment, file: u64) -> io::Result<Segment> {
    let name = Name { file, ..old.name };
    let text = whole(disk, priority, old.name, old.bytes)?;
    let mut bytes = name.header();
    let (mut next, mut last_at) = (name.base, old.at);
    scan(&text, old.name, Bounds::default(), |number, at, record| {
        if number != next {
            put(&mut bytes, name.salt, &Frame::Gap { to: number });
        }
        put(&mut bytes, name.salt, &Frame::Record { number, at, begins: false, bytes: record });
        (next, last_at) = (number + 1, at);
    });
    put_footer(&mut bytes, old, last_at);
    let new = format!("{}.new", path(priority, name));
    let _ = disk.remove(&new);
    let mut written = disk.open(&new, Mode::Create)?;
    written.write_at(0, &bytes)?;
    written.sync()?;
    disk.rename(&new, &path(priority, name))?;
    disk.sync_folder(priority.as_str())?;
    disk.remove(&path(priority, old.name))?;
    Ok(Segment { name, bytes: bytes.len() as u64, ..*old })
}

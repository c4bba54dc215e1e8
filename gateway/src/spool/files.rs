//! One lane on disk: its segments, the end that is written to, and the place that is read from.

use std::collections::VecDeque;
use std::io;

use super::disk::{Disk, DiskFile, Mode};
use super::frame::{Frame, put};
use super::lane::Pending;
use super::reading::Place;
use super::segment::{HEADER, Name, Segment, put_footer};
use super::settings::Priority;

/// An end that is read to its last record and larger than this is let go of, so that an empty spool is small.
pub(super) const KEEP: u64 = 256 * 1024;
/// Where damaged files are kept.
pub(super) const QUARANTINE: &str = "quarantine";
const QUARANTINE_FILES: usize = 16;
const QUARANTINE_BYTES: u64 = 64 * 1024 * 1024;

/// What was given to the disk.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Work {
    pub(super) bytes: u64,
    pub(super) syncs: u64,
}

pub(super) struct Files {
    pub(super) priority: Priority,
    pub(super) segments: VecDeque<Segment>,
    /// The file of the last of them, while it is written to.
    active: Option<Box<dyn DiskFile>>,
    /// Files in which a write failed, and how much of each counts: what is behind that is still to be taken off.
    untidy: Vec<(Name, u64)>,
    next_file: u64,
    /// The number behind the last record on disk.
    pub(super) end: u64,
    pub(super) reading: Option<Place>,
}

impl Files {
    pub(super) fn new(priority: Priority, segments: VecDeque<Segment>, next_file: u64, end: u64) -> Self {
        Self { priority, segments, active: None, untidy: Vec::new(), next_file, end, reading: None }
    }

    pub(super) fn path(&self, name: Name) -> String {
        format!("{}/{name}", self.priority.as_str())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Writes a batch and waits until it is there. A segment that is `full` with it is ended. After a failure nothing is
    /// trusted that the kernel may still have of it: the next try goes into a new file.
    pub(super) fn append(&mut self, disk: &dyn Disk, batch: &[Pending], full: u64, work: &mut Work) -> io::Result<()> {
        let (mut segment, file) = match (self.active.take(), self.segments.back()) {
            (Some(file), Some(segment)) => (*segment, Some(file)),
            _ => (Segment::new(self.new_name()), None),
        };
        let (fresh, safe) = (file.is_none(), segment.bytes);
        let bytes = self.encode(&mut segment, batch, full);
        let path = self.path(segment.name);
        let mut opened = file;
        if let Err(error) = self.write(disk, &path, &mut opened, safe, &bytes, work) {
            self.untidy.push((segment.name, safe));
            // Until it succeeds, the next segment says where it begins.
            let _ = self.tidy(disk);
            return Err(error);
        }
        self.end = segment.end;
        self.active = opened.filter(|_| segment.bytes < full);
        if !fresh {
            self.segments.pop_back();
        }
        self.segments.push_back(segment);
        Ok(())
    }

    /// Takes off what writes that failed have left.
    fn tidy(&mut self, disk: &dyn Disk) -> io::Result<()> {
        while let Some((name, safe)) = self.untidy.last() {
            let path = self.path(*name);
            let done = if *safe == 0 {
                disk.remove(&path).and_then(|()| disk.sync_folder(self.priority.as_str()))
            } else {
                disk.open(&path, Mode::Write).and_then(|mut file| file.truncate(*safe).and_then(|()| file.sync()))
            };
            done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
            self.untidy.pop();
        }
        Ok(())
    }

    fn new_name(&mut self) -> Name {
        let file = self.next_file;
        self.next_file += 1;
        // Without random numbers, the file's own will do: what it guards against is then less likely to be found.
        let salt = getrandom::u32().unwrap_or(u32::try_from(file & 0xffff_ffff).expect("it is masked"));
        Name { file, base: self.end, salt }
    }

    /// The batch as bytes, with what goes before and behind it. The segment is as if they were written.
    fn encode(&self, segment: &mut Segment, batch: &[Pending], full: u64) -> Vec<u8> {
        let mut bytes = if segment.bytes == 0 { segment.name.header() } else { Vec::new() };
        let mut last_at = 0;
        for (n, Pending { item, .. }) in batch.iter().enumerate() {
            let gap = item.number != segment.end;
            if gap {
                put(&mut bytes, segment.name.salt, &Frame::Gap { to: item.number });
            }
            let frame = Frame::Record { number: item.number, at: item.at, begins: n == 0 && !gap, bytes: &item.bytes };
            put(&mut bytes, segment.name.salt, &frame);
            if segment.count == 0 {
                segment.at = item.at;
            }
            (segment.end, segment.count, last_at) = (item.number + 1, segment.count + 1, item.at);
        }
        if segment.bytes + bytes.len() as u64 >= full {
            put_footer(&mut bytes, segment, last_at);
        }
        segment.bytes += bytes.len() as u64;
        bytes
    }

    fn write(
        &self,
        disk: &dyn Disk,
        path: &str,
        file: &mut Option<Box<dyn DiskFile>>,
        at: u64,
        bytes: &[u8],
        work: &mut Work,
    ) -> io::Result<()> {
        let fresh = file.is_none();
        let file = match file {
            Some(file) => file,
            None => file.insert(disk.open(path, Mode::Create)?),
        };
        file.write_at(at, bytes)?;
        work.bytes += bytes.len() as u64;
        work.syncs += 1;
        file.sync()?;
        if fresh { disk.sync_folder(self.priority.as_str()) } else { Ok(()) }
    }

    /// Ends the last segment, so that it is known to be whole.
    pub(super) fn seal(&mut self, disk: &dyn Disk, work: &mut Work, at: u64) -> io::Result<()> {
        self.tidy(disk)?;
        let (Some(mut file), Some(segment)) = (self.active.take(), self.segments.back_mut()) else { return Ok(()) };
        let mut bytes = Vec::new();
        put_footer(&mut bytes, segment, at);
        work.bytes += bytes.len() as u64;
        work.syncs += 1;
        if let Err(error) = file.write_at(segment.bytes, &bytes).and_then(|()| file.sync()) {
            // Half a footer within a lane would pass for damage.
            self.untidy.push((segment.name, segment.bytes));
            let _ = self.tidy(disk);
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Whether the file that is written to was begun before `since`.
    pub(super) fn is_slow(&self, since: u64) -> bool {
        self.active.is_some() && self.segments.back().is_some_and(|segment| segment.at < since)
    }

    /// How many segments at the front are done with when all records below `acked` are. The last one, while it is written
    /// to, is kept as long as it is smaller than `keep`.
    pub(super) fn spent(&self, acked: u64, keep: u64) -> usize {
        let last = self.segments.len().wrapping_sub(1);
        let kept = |n: usize, segment: &Segment| n == last && self.active.is_some() && segment.bytes <= keep;
        let spent = self.segments.iter().enumerate().take_while(|(n, s)| s.end <= acked && !kept(*n, s));
        spent.count()
    }

    /// Removes the first segment, or puts it into quarantine when it is damaged. The cursor must be safely beyond it.
    pub(super) fn remove_first(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let Some(segment) = self.segments.front().copied() else { return Ok(()) };
        let path = self.path(segment.name);
        let removed = if segment.damaged { self.quarantine(disk, segment.name) } else { disk.remove(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.segments.pop_front();
        if self.segments.is_empty() {
            self.active = None;
        }
        if self.reading.as_ref().is_some_and(|place| place.file_number() == segment.name.file) {
            self.reading = None;
        }
        Ok(())
    }

    /// Moves a file to those kept aside, of which the oldest go when there are too many.
    fn quarantine(&self, disk: &dyn Disk, name: Name) -> io::Result<()> {
        disk.make_folder(QUARANTINE)?;
        disk.rename(&self.path(name), &format!("{QUARANTINE}/{}-{name}", self.priority.as_str()))?;
        let mut kept = disk.list(QUARANTINE)?;
        let number = |file: &str| file.split_once('-').and_then(|(_, name)| Name::parse(name)).map(|name| name.file);
        kept.sort_by_key(|(file, _)| number(file));
        let mut bytes: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
        let mut files = kept.len();
        for (file, length) in kept {
            if files <= QUARANTINE_FILES && bytes <= QUARANTINE_BYTES {
                break;
            }
            disk.remove(&format!("{QUARANTINE}/{file}"))?;
            (files, bytes) = (files - 1, bytes - length);
        }
        Ok(())
    }

    /// Where the first segment ends; with it a full spool begins to make room.
    pub(super) fn first_end(&self) -> Option<u64> {
        self.segments.front().map(|segment| segment.end)
    }

    /// Records and bytes in the segments from number `from` on that begin there or later.
    pub(super) fn behind(&self, from: u64) -> (u64, u64) {
        let behind = self.segments.iter().filter(|segment| segment.name.base >= from);
        behind
            .fold((0, 0), |(records, bytes), segment| (records + segment.count, bytes + segment.bytes - HEADER as u64))
    }
}

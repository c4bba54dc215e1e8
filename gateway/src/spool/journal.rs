//! Both lanes on disk and the cursor: the order in which things reach the disk.
//!
//! A record is safe before its receipt is settled, the cursor before a segment is removed, a folder's entry before what is
//! in the file counts.

use std::io;

use super::cursor::{Cursor, Place};
use super::disk::{Disk, Mode};
use super::files::{Files, Work};
use super::lane::Pending;
use super::reading::Found;
use super::settings::Priority;

/// What is written to find out how the disk is.
const PROBE: &str = "probe";

pub(super) struct Journal {
    disk: Box<dyn Disk>,
    pub(super) files: [Files; 2],
    cursor: Cursor,
    pub(super) work: Work,
}

impl Journal {
    pub(super) fn new(disk: Box<dyn Disk>, files: [Files; 2], cursor: Cursor) -> Self {
        Self { disk, files, cursor, work: Work::default() }
    }

    pub(super) fn append(&mut self, priority: Priority, batch: &[Pending], full: u64) -> io::Result<()> {
        self.files[priority as usize].append(self.disk.as_ref(), batch, full, &mut self.work)
    }

    pub(super) fn read(&mut self, priority: Priority, from: u64, bytes: usize, lossy: bool) -> io::Result<Found> {
        self.files[priority as usize].read(self.disk.as_ref(), from, bytes, lossy)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(Files::bytes).sum()
    }

    /// Since when the place on disk would not outlast a power cut, in the spool's time.
    pub(super) fn unsynced(&self) -> Option<u64> {
        self.cursor.unsynced
    }

    fn with_ends(&self, place: Place) -> Place {
        Place { end: [self.files[0].end, self.files[1].end], ..place }
    }

    /// Notes where the reader is, without waiting for the disk. Without files there is nothing to come back to.
    pub(super) fn note(&mut self, place: Place) -> io::Result<()> {
        if self.files.iter().any(|files| !files.segments.is_empty()) {
            self.work.bytes += self.cursor.note(self.disk.as_ref(), &self.with_ends(place))?;
        }
        Ok(())
    }

    /// The same, and waits.
    pub(super) fn sync(&mut self, place: Place) -> io::Result<()> {
        self.work.syncs += 1;
        self.work.bytes += self.cursor.sync(self.disk.as_ref(), &self.with_ends(place))?;
        Ok(())
    }

    /// Finds out whether the disk takes something again.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        let _ = self.disk.remove(PROBE);
        let mut file = self.disk.open(PROBE, Mode::Create)?;
        file.write_at(0, &[0; 4096])?;
        file.sync()?;
        self.disk.remove(PROBE)
    }

    /// Removes the segments that `place` is beyond. Of the last one of a lane up to `keep` bytes may stay.
    pub(super) fn remove_spent(&mut self, place: Place, keep: u64) -> io::Result<()> {
        let spent = |journal: &Self, n: usize| journal.files[n].spent(place.acked[n], keep);
        if (0..2).all(|n| spent(self, n) == 0) {
            return Ok(());
        }
        self.sync(place)?;
        for n in 0..2 {
            for _ in 0..spent(self, n) {
                self.files[n].remove_first(self.disk.as_ref())?;
            }
        }
        Ok(())
    }

    /// Ends all segments, so that they are known to be whole.
    pub(super) fn seal(&mut self, at: u64) -> io::Result<()> {
        let (disk, work) = (self.disk.as_ref(), &mut self.work);
        self.files.iter_mut().try_for_each(|files| files.seal(disk, work, at))
    }
}

//! How far the reader has come, in a small file.
//!
//! Two slots, a block apart. The one that was synced last is not touched before the other one has been synced: a torn
//! write costs the newer one at most. In between, the same slot is written again and again without waiting for the disk,
//! which is enough against the end of the process, and of which a power cut takes the last seconds: then records come
//! twice, and none is lost.

use std::io;

use super::disk::{Disk, DiskFile, Mode};
use super::frame::{plain_sum, u32_at, u64_at};

const FILE: &str = "cursor";
/// Between the slots: what a disk writes at once, at most.
const APART: usize = 4096;
const MARK: &[u8; 8] = b"STILESC\x01";
const LENGTH: usize = 8 + 8 + 4 * 8 + 8 + 8 + 8;

/// What stands in a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// By lane: every record below is done with.
    pub(super) acked: [u64; 2],
    /// By lane: every record below was on disk, or need not be.
    pub(super) end: [u64; 2],
    /// The spool's time, in milliseconds.
    pub(super) time: u64,
    /// The spool was closed, and all that was handed out and not acknowledged is in its files.
    pub(super) clean: bool,
    /// The wall's at that moment, in milliseconds since 1970, UTC; 0 where it could not be trusted.
    pub(super) wall: u64,
}

impl Place {
    fn to_slot(self, generation: u64) -> Vec<u8> {
        let clean = u64::from(self.clean);
        let numbers = [generation, self.acked[0], self.acked[1], self.end[0], self.end[1], self.time, self.wall, clean];
        let mut slot = MARK.to_vec();
        numbers.iter().for_each(|number| slot.extend_from_slice(&number.to_le_bytes()));
        let sum = plain_sum(&slot);
        slot.extend_from_slice(&sum.to_le_bytes());
        slot
    }

    fn from_slot(slot: &[u8]) -> Option<(u64, Self)> {
        let whole = slot.len() >= LENGTH + 4 && slot.starts_with(MARK);
        if !whole || plain_sum(&slot[..LENGTH]) != u32_at(slot, LENGTH) {
            return None;
        }
        let number = |n: usize| u64_at(slot, 8 + 8 * n);
        let place = Self {
            acked: [number(1), number(2)],
            end: [number(3), number(4)],
            time: number(5),
            wall: number(6),
            clean: number(7) == 1,
        };
        Some((number(0), place))
    }

    /// The same but for the time, which alone is no reason to write.
    fn says_the_same_as(&self, other: &Self) -> bool {
        (self.acked, self.end, self.clean) == (other.acked, other.end, other.clean)
    }
}

/// Which slot to write to, and what to call it.
pub(super) struct Cursor {
    file: Option<Box<dyn DiskFile>>,
    slot: usize,
    generation: u64,
    /// What stands in the file, unless the last write failed.
    written: Option<Place>,
    /// Since when that would not outlast a power cut.
    pub(super) unsynced: Option<u64>,
}

/// Reads the newer of the slots that are whole; `None` where there is no such file.
pub(super) fn read(disk: &dyn Disk) -> Option<Option<Place>> {
    let file = match disk.open(FILE, Mode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => return Some(None),
    };
    Some(newest(file.as_ref()).map(|(_, _, place)| place))
}

fn newest(file: &dyn DiskFile) -> Option<(u64, usize, Place)> {
    let slots = (0..2).filter_map(|slot| {
        let bytes = super::disk::read(file, (slot * APART) as u64, LENGTH + 4, true).ok()?;
        let (generation, place) = Place::from_slot(&bytes)?;
        Some((generation, slot, place))
    });
    slots.max_by_key(|(generation, ..)| *generation)
}

impl Cursor {
    /// Nothing is written yet; the file is opened, or made, with the first write.
    pub(super) fn new() -> Self {
        Self { file: None, slot: 0, generation: 0, written: None, unsynced: None }
    }

    /// Writes where the reader is, if that is news, and does not wait for the disk. Gives the bytes written.
    pub(super) fn note(&mut self, disk: &dyn Disk, place: &Place) -> io::Result<u64> {
        if self.written.is_some_and(|written| written.says_the_same_as(place)) {
            return Ok(0);
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.open(disk)?,
        };
        let slot = place.to_slot(self.generation + 1);
        self.written = None;
        file.write_at((self.slot * APART) as u64, &slot)?;
        self.file = Some(file);
        self.generation += 1;
        self.written = Some(*place);
        self.unsynced.get_or_insert(place.time);
        Ok(slot.len() as u64)
    }

    /// Waits until that would outlast a power cut.
    pub(super) fn sync(&mut self, disk: &dyn Disk, place: &Place) -> io::Result<u64> {
        let bytes = self.note(disk, place)?;
        if self.unsynced.is_some() {
            // What the kernel still has of a write that failed is not trusted: it is written again.
            let written = self.written.take();
            if let Some(mut file) = self.file.take() {
                file.sync()?;
                self.file = Some(file);
            }
            (self.written, self.unsynced) = (written, None);
            self.slot = 1 - self.slot;
        }
        Ok(bytes)
    }

    fn open(&mut self, disk: &dyn Disk) -> io::Result<Box<dyn DiskFile>> {
        match disk.open(FILE, Mode::Write) {
            Ok(mut file) => {
                if let (0, Some((generation, slot, _))) = (self.generation, newest(file.as_ref())) {
                    // A process that was killed may have left it to the kernel alone.
                    file.sync()?;
                    (self.generation, self.slot) = (generation, 1 - slot);
                }
                Ok(file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut file = disk.open(FILE, Mode::Create)?;
                // Both slots have their blocks from now on, so that a full disk is in nobody's way.
                file.write_at(0, &vec![0; 2 * APART])?;
                file.sync()?;
                disk.sync_folder("")?;
                Ok(file)
            }
            Err(error) => Err(error),
        }
    }
}

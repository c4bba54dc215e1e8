//! Looking through the files of a spool while it goes on, oldest first. Changes nothing, and holds up nobody: files are
//! read as they are, and what is half-written or gone meanwhile is passed over.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::Priority;
use super::disk::RealDisk;
use super::opening::{names, whole};
use super::segment::{Bounds, Name, scan};

/// A file of a spool. Its number rises from file to file, and no other file ever has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u64);

/// What is in the files of bulk, as they were listed.
pub struct Browser {
    disk: RealDisk,
    files: Vec<(Name, u64)>,
    /// Records before are known: a batch that is written once more may be found in two files.
    next: u64,
    lost: u64,
}

impl Browser {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let disk = RealDisk(folder.to_owned());
        let files = names(&disk, Priority::Bulk)?;
        Ok(Self { disk, files, next: 0, lost: 0 })
    }

    /// The files, oldest first, and whether one is ended: nothing more comes to it.
    pub fn files(&self) -> impl Iterator<Item = (FileId, bool)> + use<> {
        let last = self.files.len();
        let ids: Vec<_> = self.files.iter().map(|(name, _)| FileId(name.file)).collect();
        ids.into_iter().enumerate().map(move |(n, id)| (id, n + 1 < last))
    }

    /// Gives each whole record of a file to `each`, in order, until that breaks. One file is read into memory at a time.
    ///
    /// # Errors
    /// When it can't be opened. One that went meanwhile has made room, which is counted elsewhere: nothing is in it.
    pub fn records(
        &mut self,
        file: FileId,
        mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let Some(at) = self.files.iter().position(|(name, _)| name.file == file.0) else {
            return Ok(ControlFlow::Continue(()));
        };
        let name = self.files[at].0;
        let until = self.files.get(at + 1).map(|(next, _)| next.base);
        let bytes = match whole(&self.disk, Priority::Bulk, name, u64::MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ControlFlow::Continue(())),
            bytes => bytes?,
        };
        let mut going = ControlFlow::Continue(());
        let mut next = self.next;
        let found = scan(&bytes, name, Bounds { until, ..Bounds::default() }, |number, _, record| {
            if going.is_continue() && number >= next {
                next = number + 1;
                going = each(record);
            }
        });
        self.next = next;
        // One that was just made has nothing in it yet.
        self.lost += if bytes.is_empty() { 0 } else { found.lost };
        Ok(going)
    }

    /// Records that damage has cost the files that were read.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

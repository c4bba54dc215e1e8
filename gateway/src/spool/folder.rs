//! A spool's folder: there, and one process's alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::SpoolError;
use crate::whole_file;

/// The lock's name in the folder.
pub(super) const LOCK: &str = "lock";

/// Takes the folder. On a disk that can only be read, a lock that is there will do.
pub(super) fn lock(folder: &Path) -> Result<File, SpoolError> {
    let path = folder.join(LOCK);
    let writing = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = writing.or_else(|error| File::open(&path).map_err(|_| error));
    let file = file.map_err(|why| SpoolError::Folder { folder: folder.to_owned(), why })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::Locked { folder: folder.to_owned() }),
        Err(TryLockError::Error(why)) => Err(SpoolError::Folder { folder: folder.to_owned(), why }),
    }
}

/// Makes the folder, and has its name and that of the folder of all spools outlast a power cut, without which nothing in
/// it would. The names of one that is there already may be the kernel's alone too, after a kill; but a disk that can only
/// be read has no need of it.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let there = folder.is_dir();
    std::fs::create_dir_all(folder)?;
    let synced = folder.ancestors().take(2).try_for_each(whole_file::sync_folder);
    if there { Ok(()) } else { synced }
}

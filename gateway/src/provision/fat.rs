//! Files on the boot partition, which is FAT: no owners, no modes, and read with a laptop.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::whole_file::{beside, sync_folder};

/// What a file is called that has been taken and has no secret in it.
const DONE: &str = ".done";

/// Puts a text in the place of a file, its lines ending as a laptop's editor wants them, unless it is there already.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    write_raw(path, &text.replace('\n', "\r\n")).map(drop)
}

/// The same as it is. Says whether it differs from what was there.
pub(super) fn write_raw(path: &Path, text: &str) -> io::Result<bool> {
    // A card wears out by writing.
    let as_long = fs::metadata(path).is_ok_and(|there| there.is_file() && there.len() == text.len() as u64);
    if as_long && fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(false);
    }
    let new = beside(path);
    remove(&new)?;
    let written = File::create_new(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        let _ = remove(&new);
        return Err(error);
    }
    sync_folder(path)?;
    Ok(true)
}

/// Sees that nothing is there, for good.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes zeros over all of a file, waits until they are on the disk, and removes it. A card's own electronics may keep a copy
/// elsewhere all the same.
pub(super) fn wipe(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    while left > 0 {
        let piece = left.min(4096);
        file.write_all(&vec![0; usize::try_from(piece).unwrap_or(0)])?;
        left -= piece;
    }
    file.sync_all()?;
    remove(path)
}

/// Gives a file a name by which it is not read again.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    let mut done = path.as_os_str().to_owned();
    done.push(DONE);
    fs::rename(path, done)?;
    sync_folder(path)
}

//! A folder that is this user's alone, and files in it that are too. Every file is reached through the open folder, so
//! that what was checked is what is used.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, fsync, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Bounds;

/// What the names of half-written files begin with. They are left behind by a gateway that was killed.
const HALF: &str = "half-";

/// The largest entry that is read, in bytes.
const ENTRY_MAX_BYTES: u64 = 513 << 20;

/// The open folder.
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Makes the folder where it is not there, and opens it.
    ///
    /// # Errors
    /// In words, when it can't be, or is somebody else's too.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        make(path).map_err(|error| format!("it can't be made: {error}"))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => "it is no folder, or a link to one".to_owned(),
            error => format!("it can't be opened: {error}"),
        })?;
        let stat = fstat(&folder).map_err(|error| error.to_string())?;
        ours_alone(&stat)?;
        Ok(Self(folder))
    }

    /// The bytes of a file; none if it is not there.
    ///
    /// # Errors
    /// In words, when it can't be read or somebody else could have written it.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err("it is a symbolic link".into()),
            Err(error) => return Err(format!("it can't be opened: {error}")),
        };
        let stat = fstat(&file).map_err(|error| error.to_string())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("it is no regular file".into());
        }
        ours_alone(&stat)?;
        let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or_default());
        File::from(file).take(ENTRY_MAX_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(Some(bytes))
    }

    /// Writes a file so that it is there as a whole or not at all, whenever the power goes.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        let half = half_name(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.0, &*half, flags, Mode::RUSR | Mode::WUSR)?);
        let written = parts.iter().try_for_each(|part| file.write_all(part)).and_then(|()| file.sync_all());
        let moved = written.and_then(|()| Ok(renameat(&self.0, &*half, &self.0, name)?));
        if moved.is_err() {
            self.remove(&half);
        }
        moved.and_then(|()| Ok(fsync(&self.0)?))
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) {
        // What can't be removed is not trusted the next time either.
        let _ = unlinkat(&self.0, name, AtFlags::empty());
    }

    /// Removes what is beyond the bounds, oldest first but never `keep`, and what was left half-written.
    pub(super) fn shrink(&self, bounds: Bounds, keep: &str) {
        let mut entries = self.entries();
        entries.retain(|entry| {
            let half = entry.name.starts_with(HALF);
            // Those of this process may be on their way.
            if half && !entry.name.starts_with(&half_name("")) {
                self.remove(&entry.name);
            }
            !half
        });
        // The newest first; the one to keep before all.
        entries.sort_by_key(|entry| (entry.name != keep, std::cmp::Reverse(entry.written)));
        let mut bytes = 0;
        for (count, entry) in entries.iter().enumerate() {
            bytes += entry.bytes;
            if entry.name != keep && (count >= bounds.entries || bytes > bounds.bytes) {
                self.remove(&entry.name);
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let Ok(listing) = Dir::read_from(&self.0) else { return Vec::new() };
        let names = listing.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        names
            .filter_map(|name| {
                let stat = statat(&self.0, &*name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
                let folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                let written = (i128::from(stat.st_mtime), i128::from(stat.st_mtime_nsec));
                let bytes = u64::try_from(stat.st_size).unwrap_or_default();
                (!folder).then_some(Entry { name, written, bytes })
            })
            .collect()
    }
}

/// What a file is called until it is whole.
fn half_name(name: &str) -> String {
    format!("{HALF}{}-{name}", std::process::id())
}

struct Entry {
    name: String,
    written: (i128, i128),
    bytes: u64,
}

/// Makes the folder and those above it, for this user alone.
fn make(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether nobody but this user, and root, can have written it.
fn ours_alone(stat: &Stat) -> Result<(), String> {
    if stat.st_uid != geteuid().as_raw() {
        return Err(format!("it belongs to user {}", stat.st_uid));
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        return Err(format!("others have rights to it: mode {:04o}", mode.as_raw_mode() & 0o7777));
    }
    Ok(())
}

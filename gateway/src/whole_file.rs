//! Writing a file whole or not at all, also when the power fails in between.
//!
//! Owns how that is done, and to whom the file then belongs. Never knows what it is for.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

/// Puts `bytes` in the place of the file at `path`, with this mode. Made by root, it belongs to whoever `model` belongs to:
/// it is for the gateway to read. Made by another, it has the group of `model` where that user is in it.
///
/// # Errors
/// What the system says; the file is what it was.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32, model: &Path) -> io::Result<()> {
    write_after(path, bytes, mode, model, || Ok(()))
}

/// The same. `before` is done when all of it is on the disk, right before it takes its place.
///
/// # Errors
/// What the system or `before` says; the file is what it was.
pub(crate) fn write_after(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    model: &Path,
    before: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let new = beside(path);
    // What a cut-off run left behind may have other rights.
    remove(&new)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = give(&file, model)
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| before())
        .and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        // On a full disk it would be in the way of what is smaller.
        let _ = remove(&new);
        return Err(error);
    }
    sync_folder(path)
}

/// Changes a text file of its owner's alone: `change` reads it and gives the new text. Whoever changes a file of the same
/// folder at the same time waits.
///
/// # Errors
/// What `change` says, or why it can't be written. Then it is what it was.
pub(crate) fn change(path: &Path, change: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
    let explain = |error: io::Error| {
        let remedy = "run it as root, or as the gateway's own user: sudo -u stile stile ...";
        format!("{}: {error}; {remedy}", path.display())
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The folder itself: whoever owns it could make a file for this a link to any file of root's.
    let lock = File::open(folder).map_err(explain)?;
    // Held until it is dropped; the system lets it go with a process that dies.
    lock.lock().map_err(explain)?;
    let text = change()?;
    // The gateway's user may change it too.
    write(path, text.as_bytes(), 0o600, folder).map_err(explain)
}

/// Makes a folder where there is none, with the rights and for the owner of `model`; without one, for this user.
pub(crate) fn make_folder(path: &Path, model: Option<&Path>) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => return Ok(()),
        // Root must not be led elsewhere by whoever owns the folder above.
        Ok(_) if model.is_some() => return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder")),
        Ok(_) => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let Some(model) = model else { return DirBuilder::new().recursive(true).mode(0o700).create(path) };
    let owner = fs::metadata(model)?;
    DirBuilder::new().mode(owner.mode() & 0o777).create(path)?;
    if fs::symlink_metadata(path)?.uid() == 0 {
        lchown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// What a file is called until it is whole.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Sees that nothing is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes what was renamed in the folder of `path` outlast a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Only for a file that was just made: whoever owns the folder could put a link to any other in its place.
fn give(file: &File, model: &Path) -> io::Result<()> {
    let (own, owner) = (file.metadata()?, fs::metadata(model)?);
    if own.uid() == 0 {
        return fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
    if own.gid() != owner.gid() {
        // Refused where this user is not in the group; then it is only his own that may read.
        let _ = fchown(file, None, Some(owner.gid()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_its_mode_whatever_was_left_behind_and_a_link_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (dir.path().join("a.toml"), dir.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, beside(&path)).unwrap();
        for (text, mode) in [("one", 0o640), ("two", 0o600)] {
            write(&path, text.as_bytes(), mode, dir.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
        }
        assert!(!elsewhere.exists() && !beside(&path).exists());
        assert!(write(&path, b"three", 0o600, &elsewhere).is_err());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), beside(&path).exists()), ("two", false));
    }
}

//! Writing a file whole or not at all, also when the power fails in between.
//!
//! Owns how that is done, and to whom the file then belongs. Never knows what it is for.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a lock that another holds is waited for, and between two tries.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

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

/// Has whoever changes something in the folder at the same time wait, for as long as what is given is held; the system lets it go
/// with a process that dies. It is the folder itself: whoever owns it could make a file for this a link to any file of root's.
///
/// # Errors
/// What the system says; [`WouldBlock`](io::ErrorKind::WouldBlock) where another has held it for five seconds.
pub(crate) fn lock(folder: &Path) -> io::Result<File> {
    let lock = File::open(folder)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let why = "something else is being changed there; try again";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, why));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Changes a text file of its owner's alone: `change` reads it and gives the new text. Whoever changes a file of the same
/// folder at the same time waits, but not for ever.
///
/// # Errors
/// What `change` says, or why it can't be written. Then it is what it was.
pub(crate) fn change(path: &Path, change: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
    let explain = |path: &Path, error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock => format!("{}: {error}", path.display()),
        _ => format!(
            "{}: {error}; run it as root, or as the gateway's own user: sudo -u stile stile ...",
            path.display()
        ),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _held = lock(folder).map_err(|error| explain(folder, error))?;
    let text = change()?;
    // The gateway's user may change it too.
    write(path, text.as_bytes(), 0o600, folder).map_err(|error| explain(path, error))
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
    fn a_lock_that_another_holds_is_waited_for_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        let held = lock(dir.path()).unwrap();
        let (began, changed) = (Instant::now(), change(&path, || Ok("one".to_owned())));
        assert!(changed.unwrap_err().ends_with("something else is being changed there; try again"));
        assert!(began.elapsed() >= LOCK_PATIENCE && !path.exists());
        let waits = std::thread::spawn({
            let path = path.clone();
            move || change(&path, || Ok("two".to_owned()))
        });
        std::thread::sleep(10 * LOCK_PAUSE);
        drop(held);
        assert_eq!((waits.join().unwrap(), fs::read_to_string(&path).unwrap().as_str()), (Ok(()), "two"));
    }

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

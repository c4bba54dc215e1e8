//! A bundle that is sent to the gateway: a file in the data folder until it is installed, and gone then, however that ends.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Its folder in the data folder.
const FOLDER: &str = "update";
/// What a bundle's file system begins with: squashfs 4.0, `s_magic` in little-endian order. RAUC's manual, chapter "Reference",
/// section "Bundle Formats": plain and verity bundles begin with it, and the image takes verity ones alone.
const MAGIC: &[u8] = b"hsqs";

/// As many bytes of a file as [`check_bundle`] looks at.
pub(crate) const BEGINNING: usize = 8;

/// Whether `bytes` begin like a bundle. Who has signed it, RAUC finds out.
///
/// # Errors
/// What they are instead and what to do about it, in one line.
pub(crate) fn check_bundle(bytes: &[u8]) -> Result<(), String> {
    Err(match bytes {
        _ if bytes.starts_with(MAGIC) => return Ok(()),
        [] => "it is empty".to_owned(),
        [b'P', b'K', 3 | 5, ..] | [0x1f, 0x8b, ..] | [0xfd, b'7', b'z', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            "it is packed, or the image for a whole card; an update is a bundle, a file that ends in .raucb".to_owned()
        }
        _ => "it is no bundle; that is a file that ends in .raucb, as it was made".to_owned(),
    })
}

/// Where bundles are sent to, one at a time.
#[derive(Debug)]
pub(crate) struct Landing {
    folder: PathBuf,
    one: Arc<Mutex<()>>,
}

/// Why there is no place for one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPlace {
    #[error("somebody else sends an update, or one that was sent is being installed; wait for its end")]
    Taken,
    #[error("{0}: {1}; check its rights and its disk")]
    Disk(PathBuf, io::Error),
}

impl Landing {
    /// In this data folder. What an upload that was cut off by the end of the process has left there is removed.
    pub(crate) fn new(data_dir: &Path) -> Self {
        let folder = data_dir.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = folder.display();
                log::warn!(path:% = path, error:% = error; "what was left of an update that was sent can't be removed");
            }
            _ => {}
        }
        Self { folder, one: Arc::default() }
    }

    /// A place for a bundle, and the file there to write to. RAUC wants that file closed: it takes none that somebody could still
    /// write to. Waits for the disk.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub(crate) fn place(&self) -> Result<(Sent, File), NoPlace> {
        let only = Arc::clone(&self.one).try_lock_owned().map_err(|_| NoPlace::Taken)?;
        let explain = |error| NoPlace::Disk(self.folder.clone(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(explain)?;
        // RAUC has a folder of its own: it needs the whole path.
        let folder = fs::canonicalize(&self.folder).map_err(explain)?;
        let file = tempfile::Builder::new().suffix(".raucb").tempfile_in(folder).map_err(explain)?;
        let (file, path) = file.into_parts();
        Ok((Sent(Some((path, only))), file))
    }
}

/// A file for a bundle, which its owner alone may read (and root, as whom RAUC runs). It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Sent(Option<(TempPath, OwnedMutexGuard<()>)>);

impl Sent {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0.as_ref().expect("it is there until it is dropped").0
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let whole = self.0.take();
        // To remove some hundred megabytes takes a card a while. What does not come to its end with the process, the next start
        // removes.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(whole))),
            Err(_) => drop(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_bundle_is_told_from_what_is_none() {
        assert_eq!(check_bundle(b"hsqs\x07\0\0\0"), Ok(()));
        for (bytes, said) in [
            (&b""[..], "empty"),
            (b"\x1f\x8b\x08\0\0\0\0\0", "packed"),
            (b"\xfd7zXZ\0\0\x04", "whole card"),
            (b"PK\x03\x04\0\0\0\0", "packed"),
            (b"\xfa\xb8\0\x10\x8e\xd0\xbc\0", ".raucb"),
            (b"hsq", ".raucb"),
        ] {
            let wrong = check_bundle(bytes).unwrap_err();
            assert!(wrong.contains(said), "{wrong}");
        }
    }

    #[test]
    fn one_is_sent_at_a_time_for_its_owner_alone_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(dir.path().join(FOLDER)).map(Iterator::count);
        let landing = Landing::new(dir.path());
        assert!(names().is_err(), "where nothing is sent there is no folder");
        let (sent, mut file) = landing.place().unwrap();
        file.write_all(b"hsqs").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(sent.path()), mode(sent.path().parent().unwrap())), (0o600, 0o700));
        assert!(sent.path().is_absolute() && sent.path().extension().unwrap() == "raucb");
        assert!(matches!(landing.place(), Err(NoPlace::Taken)));
        drop(sent);
        assert_eq!(names().unwrap(), 0);
        // The power goes away.
        std::mem::forget(landing.place().unwrap());
        assert_eq!(names().unwrap(), 1);
        let landing = Landing::new(dir.path());
        assert!(names().is_err());
        drop(landing.place().unwrap());
    }
}

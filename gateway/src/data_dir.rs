//! The data folder: there, and this process's alone.
//!
//! Owns the lock on it. Never knows what is kept there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Its name in the folder. It stays there; what counts is the lock on it, which ends with the process, however that ends.
pub(crate) const LOCK: &str = "stile.lock";

/// Keeps the folder while it is there.
#[derive(Debug)]
pub(crate) struct DataDir {
    _lock: File,
}

impl DataDir {
    /// Makes the folder where it is not there, and takes it.
    ///
    /// # Errors
    /// In words, when it can't be made or another gateway has it.
    pub(crate) fn take(path: &Path) -> Result<Self, String> {
        fs::create_dir_all(path)
            .map_err(|error| format!("can't make {}: {error}; set `gateway.data-dir`", path.display()))?;
        let file = path.join(LOCK);
        let explain = |error: io::Error| {
            format!("can't lock {}: {error}; check `gateway.data-dir` and its rights", file.display())
        };
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(explain)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = holder(&mut lock);
                return Err(format!(
                    "{} belongs to another gateway that runs{holder}; stop that one, or set another `gateway.data-dir`",
                    path.display()
                ));
            }
            Err(error) => return Err(explain(error.into())),
        }
        // For whoever finds it taken; nothing else rests on it, and on a full disk it can't be written.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        Ok(Self { _lock: lock })
    }
}

/// Who wrote its number into the lock, in words; nothing where it could not be read.
fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    let read = lock.rewind().and_then(|()| lock.take(32).read_to_string(&mut text));
    match (read, text.parse::<u32>()) {
        (Ok(_), Ok(process)) => format!(" as process {process}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_free_again_when_its_holder_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        fs::create_dir(&path).unwrap();
        // What a killed gateway with a longer number left behind.
        fs::write(path.join(LOCK), "99999999").unwrap();
        let holder = DataDir::take(&path).unwrap();
        let refused = DataDir::take(&path).unwrap_err();
        assert!(refused.contains(&format!("as process {};", std::process::id())), "{refused}");
        drop(holder);
        DataDir::take(&path).unwrap();
    }
}

//! Emptying the data folder, when an admin has asked for that.
//!
//! Owns the marker that asks for it, and what stays. The marker is written first and goes last, and each start looks for
//! it: whatever a power cut leaves half done is done then. Never touches the settings.

use std::fs;
use std::io;
use std::path::Path;

use crate::data_dir::{DataDir, LOCK};
use crate::whole_file;

/// The marker, in the data folder.
const MARKER: &str = "factory-reset";
/// What stays beside it: who may connect by MQTT and the plugins' files, without which the settings would not be good any
/// more; which PINs SIM cards were told, so that a wrong one of the settings is not tried again; the lock, which is held;
/// and what is the file system's own where the folder is a disk of its own.
const STAYS: [&str; 5] = ["users.toml", "plugins", "cellular", LOCK, "lost+found"];

/// Whether the file at `path` would go.
pub(crate) fn takes(data_dir: &Path, path: &Path) -> bool {
    let first = path.strip_prefix(data_dir).ok().and_then(|below| below.components().next());
    first.is_some_and(|first| STAYS.iter().all(|name| first.as_os_str() != *name))
}

/// Has the next start empty this data folder. Waits for the disk.
///
/// # Errors
/// Why the marker can't be written; then nothing happens.
pub(crate) fn ask(data_dir: &Path) -> Result<(), String> {
    let path = data_dir.join(MARKER);
    let text = b"The next start of the gateway removes all else in here, but for users.toml and plugins.\n";
    whole_file::write(&path, text, 0o600, data_dir)
        .map_err(|error| format!("can't write {}: {error}; nothing was removed", path.display()))
}

/// Does what was asked for, if it was. Says whether it was.
///
/// # Errors
/// What can't be removed. The marker stays, and the next start tries again.
pub(crate) fn finish(data_dir: &Path) -> Result<bool, String> {
    let marker = data_dir.join(MARKER);
    // What can't be looked at is told of by whoever takes the folder.
    if !marker.try_exists().unwrap_or(false) {
        return Ok(false);
    }
    let _taken = DataDir::take(data_dir)?;
    let explain = |error: io::Error| {
        format!("the factory reset can't be finished: {error}; empty {} by hand", data_dir.display())
    };
    empty(data_dir).map_err(explain)?;
    // All else is gone for good before the marker goes.
    whole_file::sync_folder(&marker).map_err(explain)?;
    whole_file::remove(&marker).and_then(|()| whole_file::sync_folder(&marker)).map_err(explain)?;
    log::warn!("the factory reset is done; the data folder begins anew");
    Ok(true)
}

fn empty(data_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(data_dir)? {
        let entry = entry?;
        if entry.file_name() == MARKER || STAYS.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        // Of a link the link alone.
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn filled() -> (tempfile::TempDir, tempfile::TempDir) {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("file"), "").unwrap();
        for file in ["people.toml", "stile.db", "stile.db-wal", "users.toml"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        for folder in ["tls", "spool/cloud", "plugins", "cellular", "lost+found"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("file"), "").unwrap();
        }
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("link")).unwrap();
        (dir, elsewhere)
    }

    #[test]
    fn nothing_goes_unless_it_was_asked_for_and_then_all_but_what_the_settings_need() {
        let (dir, elsewhere) = filled();
        let before = names(dir.path());
        assert_eq!(finish(dir.path()), Ok(false));
        assert_eq!(names(dir.path()), before);
        ask(dir.path()).unwrap();
        assert_eq!(finish(dir.path()), Ok(true));
        assert_eq!(names(dir.path()), ["cellular", "lost+found", "plugins", LOCK, "users.toml"]);
        for folder in ["cellular", "lost+found", "plugins"] {
            assert_eq!(names(&dir.path().join(folder)), ["file"]);
        }
        assert_eq!(names(elsewhere.path()), ["file"], "a link leads nowhere");
        assert_eq!(finish(dir.path()), Ok(false), "and once");
    }

    #[test]
    fn what_would_go_is_known_before() {
        let data_dir = Path::new("/var/lib/stile");
        for (path, goes) in [
            ("/var/lib/stile/tls/server.pem", true),
            ("/var/lib/stile/cloud.password", true),
            ("/var/lib/stile/plugins/a.wasm", false),
            ("/var/lib/stile", false),
            ("/var/lib/stile-other/a", false),
            ("/etc/stile/server.pem", false),
        ] {
            assert_eq!(takes(data_dir, Path::new(path)), goes, "{path}");
        }
    }

    #[test]
    fn what_was_cut_off_is_finished_by_the_next_start() {
        let (dir, _elsewhere) = filled();
        ask(dir.path()).unwrap();
        // Somebody has the folder: nothing is begun, and nothing forgotten.
        let holder = DataDir::take(dir.path()).unwrap();
        assert!(finish(dir.path()).unwrap_err().contains("belongs to another gateway"));
        drop(holder);
        // A part is gone already.
        fs::remove_file(dir.path().join("people.toml")).unwrap();
        fs::remove_dir_all(dir.path().join("tls")).unwrap();
        assert_eq!(finish(dir.path()), Ok(true));
        assert!(!dir.path().join("stile.db").exists() && !dir.path().join(MARKER).exists());
    }
}

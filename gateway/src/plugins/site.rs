//! A gateway's plugins at rest: the settings that name them, and the folder that has their components. Whether a gateway runs
//! there does not matter.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::component::{plain, read};
use crate::config::{self, Loaded};
use crate::whole_file::{self, make_folder};

/// See the module's head.
#[derive(Debug)]
pub struct Site {
    /// The settings as they stand in the files.
    pub loaded: Loaded,
    /// The data folder; absolute.
    pub data_dir: PathBuf,
}

impl Site {
    /// Where these settings are for, with another data folder than theirs if one is given.
    pub fn of(loaded: Loaded, data_dir: Option<PathBuf>) -> Self {
        let data_dir = data_dir.unwrap_or_else(|| loaded.settings.gateway.data_dir.clone());
        // It is written into settings, whose paths begin elsewhere. It fails for an empty path alone.
        let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
        Self { loaded, data_dir }
    }

    /// The plugin with this name in the settings.
    pub fn plugin(&self, name: &str) -> Option<&config::Plugin> {
        self.loaded.settings.plugin.iter().find(|plugin| plugin.name == name)
    }

    /// The same.
    ///
    /// # Errors
    /// That there is none, and what to do about it.
    pub fn need(&self, name: &str) -> Result<&config::Plugin, String> {
        self.plugin(name).ok_or_else(|| {
            format!("there is no plugin `{}` in the settings; `stile plugin list` names them", plain(name))
        })
    }

    /// The main file of the settings.
    pub fn main(&self) -> &Path {
        self.loaded.files.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Where an installed component is.
    pub fn component(&self, name: &str) -> PathBuf {
        self.data_dir.join("plugins").join(format!("{name}.wasm"))
    }

    /// Whether a plugin's component is the one that is installed.
    pub fn has_installed(&self, plugin: &config::Plugin) -> bool {
        std::path::absolute(&plugin.file).is_ok_and(|file| file == self.component(&plugin.name))
    }

    /// Where the one before it is.
    pub fn previous(&self, name: &str) -> PathBuf {
        self.data_dir.join("plugins").join(format!("{name}.previous.wasm"))
    }

    /// Whoever changes plugins at the same time waits, for as long as the file is held, but not for ever.
    ///
    /// # Errors
    /// In words, when the data folder can't be opened or another holds it for too long.
    pub fn lock(&self) -> Result<File, String> {
        make_folder(&self.data_dir, None).map_err(|error| explain(&self.data_dir, &error))?;
        whole_file::lock(&self.data_dir).map_err(|error| explain(&self.data_dir, &error))
    }

    /// Puts a component in its place, and the one that was there beside it. Says whether one was. At no moment of it a power
    /// cut leaves the gateway without a whole component.
    ///
    /// # Errors
    /// In words; then what was there is still there.
    pub fn put(&self, component: &[u8], name: &str) -> Result<bool, String> {
        let (path, previous) = (self.component(name), self.previous(name));
        let at_path = |error| explain(&path, &error);
        make_folder(path.parent().unwrap_or(&self.data_dir), Some(&self.data_dir)).map_err(at_path)?;
        let old = regular(&path)?;
        let changes = old.as_deref() != Some(component);
        let keeps = old.is_some() && changes;
        if changes {
            // Where there is no room for the new one, the one before the old one is still kept.
            let before = || if keeps { keep(&path, &previous) } else { Ok(()) };
            whole_file::write_after(&path, component, 0o600, &self.data_dir, before).map_err(at_path)?;
        }
        Ok(keeps)
    }
}

/// The component at `path`; `None` where nothing is. The gateway's user may have put anything there, and root must not be
/// led elsewhere by a link, or wait for a pipe.
///
/// # Errors
/// In words, when something else is there.
pub fn regular(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(explain(path, &error)),
        Ok(there) if !there.is_file() => Err(format!("{}: it is no regular file; remove it", path.display())),
        Ok(_) => read(path).map(Some).map_err(|error| format!("{}: {error}", path.display())),
    }
}

/// The file at `path` is also the one at `previous` from now on.
fn keep(path: &Path, previous: &Path) -> io::Result<()> {
    let link = whole_file::beside(previous);
    whole_file::remove(&link)?;
    fs::hard_link(path, &link)?;
    fs::rename(&link, previous)?;
    whole_file::sync_folder(previous)
}

/// What to do about a path that can't be used.
pub fn explain(path: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => "; run it as root, or as the gateway's own user: sudo -u stile stile ...",
        _ => "",
    };
    format!("{}: {error}{remedy}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_can_not_be_written_drives_out_none_that_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let settings = dir.path().join("stile.toml");
        fs::write(&settings, "").unwrap();
        let loaded = config::load_before_users(&settings, []).unwrap();
        let site = Site::of(loaded, Some(dir.path().to_owned()));
        let there = || [site.component("a"), site.previous("a")].map(|path| fs::read(path).unwrap());
        assert_eq!(site.put(b"one", "a"), Ok(false));
        assert_eq!(site.put(b"two", "a"), Ok(true));
        assert_eq!(there(), [&b"two"[..], b"one"]);
        let blocked = whole_file::beside(&site.component("a"));
        fs::create_dir(&blocked).unwrap();
        assert!(site.put(b"three", "a").is_err());
        assert_eq!(there(), [&b"two"[..], b"one"]);
        fs::remove_dir(&blocked).unwrap();
        assert_eq!(site.put(b"three", "a"), Ok(true));
        assert_eq!(there(), [&b"three"[..], b"two"]);
    }
}

//! The settings as a whole: files on disk in, settings or problems out.

mod accepted;
mod plugins;
mod refused;
mod robust;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Loaded, Problems, load};

/// A folder with `stile.toml` and what else a test puts beside it.
struct Folder(TempDir);

impl Folder {
    fn new(main: impl AsRef<[u8]>) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.with("stile.toml", main)
    }

    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load_with(&self, env: &[(&str, &str)]) -> Result<Loaded, Problems> {
        load(&self.path("stile.toml"), env.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    fn load(&self) -> Result<Loaded, Problems> {
        self.load_with(&[])
    }

    /// The problems with the folder's own name taken out.
    fn problems(&self, env: &[(&str, &str)]) -> Vec<String> {
        let problems = self.load_with(env).unwrap_err();
        let folder = format!("{}/", self.0.path().display());
        problems.0.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

//! The files of the settings, by name: read, written, and what is wrong with that in words.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Wanted, folder_of};
use crate::config::{self, Texts};
use crate::whole_file;

/// Where small files of settings are.
const FOLDER: &str = "conf.d";

/// Rights of a file that is new.
const MODE: u32 = 0o640;

/// Where the settings are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    main: PathBuf,
    name: String,
}

impl Place {
    pub(super) fn of(main: &Path) -> Self {
        let name = main.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { main: main.to_owned(), name }
    }

    pub(super) fn main(&self) -> &Path {
        &self.main
    }

    pub(super) fn main_name(&self) -> &str {
        &self.name
    }

    /// The main file itself, also where a link leads to it.
    pub(super) fn real_main(&self) -> PathBuf {
        fs::canonicalize(&self.main).unwrap_or_else(|_| self.main.clone())
    }

    /// The names of the files that are read now.
    pub(super) fn names(&self) -> Vec<String> {
        let small = config::files_of(&self.main).into_iter().skip(1);
        let small = small.filter_map(|path| Some(format!("{FOLDER}/{}", path.file_name()?.to_str()?)));
        std::iter::once(self.name.clone()).chain(small).collect()
    }

    /// Where a file with this name is, as `config` would name it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        if name == self.name { self.main.clone() } else { self.main.parent().unwrap_or(Path::new("")).join(name) }
    }

    /// The name of the file with this path.
    pub(super) fn name_of(&self, path: &Path) -> String {
        let beside = self.main.parent().and_then(|folder| path.strip_prefix(folder).ok());
        if path == self.main { self.name.clone() } else { beside.unwrap_or(path).display().to_string() }
    }

    /// The same texts by paths. Names that no file of the settings can have are refused.
    pub(super) fn instead(&self, wanted: &Wanted) -> Result<Texts, String> {
        let mut texts = Texts::new();
        for (name, text) in wanted {
            if !self.is_name(name) {
                return Err(format!("`{name}` is no file of the settings: name {} or {FOLDER}/NAME.toml", self.name));
            }
            if *name == self.name && text.is_none() {
                return Err(format!("{name} is the main file and can't go"));
            }
            texts.insert(self.path(name), text.clone());
        }
        Ok(texts)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        let small = name.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/'));
        name == self.name
            || small.is_some_and(|small| {
                let plain = small.chars().all(|c| c != '/' && !c.is_control());
                plain
                    && small.len() <= 128
                    && small.len() > ".toml".len()
                    && small.ends_with(".toml")
                    && !small.starts_with('.')
            })
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<String>, String> {
        let path = self.path(name);
        config::read_text(&path).map_err(|error| explain(&path, &error))
    }

    /// Puts a text in the place of the file, whole or not at all, or takes the file away. What a link leads to is changed,
    /// and not the link.
    pub(super) fn write(&self, name: &str, text: Option<&str>) -> Result<(), String> {
        let path = self.path(name);
        let done = match text {
            Some(text) => put(&path, text),
            None => whole_file::remove(&path).and_then(|()| whole_file::sync_folder(&path)),
        };
        done.map_err(|error| explain(&path, &error))
    }
}

/// The name of a small file.
pub(super) fn small(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&real);
    // One that is there may be a link.
    let folder = fs::canonicalize(&folder).unwrap_or(folder);
    let (mode, model) = match fs::metadata(&real) {
        Ok(there) => (there.mode() & 0o7777, real.clone()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            whole_file::make_folder(&folder, Some(&folder_of(&folder)))?;
            whole_file::sync_folder(&folder)?;
            (MODE, folder)
        }
        Err(error) => return Err(error),
    };
    whole_file::write(&real, text.as_bytes(), mode, &model)
}

/// What to do about a path that can't be used.
pub(super) fn explain(path: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; the gateway's service may not write settings: run it as root, sudo stile config ..."
        }
        io::ErrorKind::StorageFull => "; make room on the disk",
        _ => "",
    };
    format!("{}: {error}{remedy}", path.display())
}

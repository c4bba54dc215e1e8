//! One change, and the folder with all of them: a file each, written whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::place::{self, Place};
use super::trial::Trial;
use super::{CHANGE_MAX_BYTES, folder_of};
use crate::whole_file;

/// Changes that are kept.
const ENTRIES_MAX: usize = 50;
/// What they may weigh together on disk.
const ENTRIES_MAX_BYTES: u64 = 8 << 20;
/// The longest file taken: in JSON a byte of text may become six.
const FILE_MAX_BYTES: u64 = 6 * CHANGE_MAX_BYTES as u64 + (1 << 20);
/// Files that are looked at in the folder.
const LISTED_MAX: usize = 10_000;

/// More changes than anybody makes.
const NUMBER_MAX: u64 = 1_000_000_000;

const SUFFIX: &str = ".json";

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has not: it is on trial, or was when the power failed.
    Pending,
    /// It stays.
    Kept,
    /// The old settings came back.
    Returned,
    /// The gateway did not take it, or it could not be written.
    Refused,
}

impl State {
    /// The word for lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "on trial",
            Self::Kept => "kept",
            Self::Returned => "returned",
            Self::Refused => "refused",
        }
    }
}

/// What happened to one file. `None` is no file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What it said before.
    pub old: Option<String>,
    /// What it said then.
    pub new: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts the changes, from 1.
    pub number: u64,
    /// Who made it.
    pub by: String,
    /// When, in RFC 3339, by the wall clock.
    pub made: String,
    /// How it ended.
    pub state: State,
    /// By whom or why.
    pub note: String,
    pub(super) trial: Option<Trial>,
    /// The files by name.
    pub files: BTreeMap<String, Edit>,
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Book {
    main: PathBuf,
    folder: PathBuf,
    beside: PathBuf,
}

impl Book {
    pub(super) fn of(place: &Place) -> Self {
        let main = place.real_main();
        let mut name = main.file_name().unwrap_or_default().to_owned();
        name.push(".changes");
        Self { folder: main.with_file_name(name), beside: folder_of(&main), main }
    }

    /// The folder that it is in.
    pub(super) fn beside(&self) -> &Path {
        &self.beside
    }

    /// Whether anything was ever changed.
    pub(super) fn is_there(&self) -> bool {
        self.folder.try_exists().unwrap_or(true)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}{SUFFIX}"))
    }

    /// The numbers of all entries, the oldest first.
    pub(super) fn numbers(&self) -> Result<Vec<u64>, String> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(place::explain(&self.folder, &error)),
        };
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(SUFFIX)?.parse().ok();
        let is_one = |number: &u64| (1..=NUMBER_MAX).contains(number);
        let mut numbers: Vec<u64> = entries.take(LISTED_MAX).flatten().filter_map(number).filter(is_one).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(super) fn newest(&self) -> Result<Option<u64>, String> {
        Ok(self.numbers()?.pop())
    }

    /// `None` where there is no such entry.
    pub(super) fn read(&self, number: u64) -> Result<Option<Entry>, String> {
        let path = self.path(number);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut bytes)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(place::explain(&path, &error)),
            Ok(_) => {}
        }
        let entry: Entry = serde_json::from_slice(&bytes)
            .map_err(|error| format!("{}: it is damaged ({error}); move it away", path.display()))?;
        Ok(Some(Entry { number, ..entry }))
    }

    /// Who may read the settings may read it, and no one else: it has their texts.
    pub(super) fn write(&self, entry: &Entry) -> Result<(), String> {
        let explain = |error: io::Error| place::explain(&self.folder, &error);
        whole_file::make_folder(&self.folder, Some(&self.beside)).map_err(explain)?;
        whole_file::sync_folder(&self.folder).map_err(explain)?;
        let there = fs::metadata(&self.main).ok();
        let mode = there.as_ref().map_or(0o600, |main| main.mode() & 0o666);
        let model = if there.is_some() { &self.main } else { &self.beside };
        let text = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
        whole_file::write(&self.path(entry.number), &text, mode, model).map_err(explain)
    }

    /// Takes the oldest away, as long as there are too many; never the newest.
    pub(super) fn prune(&self) {
        let numbers = self.numbers().unwrap_or_default();
        let (mut kept, mut bytes) = (0, 0);
        for (place, number) in numbers.into_iter().rev().enumerate() {
            let path = self.path(number);
            bytes += fs::metadata(&path).map_or(0, |file| file.len());
            kept += 1;
            if place > 0 && (kept > ENTRIES_MAX || bytes > ENTRIES_MAX_BYTES) {
                // Tried again after the next change.
                let _ = whole_file::remove(&path);
            }
        }
    }
}

//! Changes of the settings: checked, written whole, on trial until somebody confirms them, and kept for later.
//!
//! Owns the folder `<settings>.changes` beside the main file, with an [`Entry`] for each change. It is there and not in
//! the data folder because it must be found before the settings are read, which name that one, and because whoever may
//! write the settings may write there. How a gateway is told to read its settings again,
//! whoever applies says.
//!
//! A power cut may come at any line. The entry says `pending` and has the old texts before the first file is touched; it is
//! confirmed, or given back, by one write of the entry. So a start that finds it pending gives it back, however far the
//! writing had come. What somebody changed by hand meanwhile is left alone.
//!
//! `ending.rs` confirms changes and gives them back. `entry.rs` is an entry and the folder of them, `place.rs` the files of the
//! settings, `trial.rs` the time that a change has, `difference.rs` says what a change does to a text.

mod difference;
mod ending;
mod entry;
mod place;
#[cfg(test)]
mod tests;
mod trial;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, access};

pub use self::difference::{difference, stamp};
use self::entry::Book;
pub use self::entry::{Edit, Entry, State};
use self::place::Place;
use self::trial::Trial;
use crate::config::{self, Change, Loaded, Problem, Problems, Settings, Texts};
use crate::whole_file;

/// How long a change is on trial where nobody says otherwise.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(90);
/// The shortest and the longest trial.
pub const TRIAL: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(3600);

/// What all texts of a change may weigh together, old and new.
const CHANGE_MAX_BYTES: usize = 4 << 20;
/// The longest name of who changed something, in characters.
const BY_MAX: usize = 64;

/// Texts by the names of files: that of the main one, or `conf.d/<name>.toml`. With `None` a file is to go.
pub type Wanted = BTreeMap<String, Option<String>>;

/// The changes of one set of settings.
#[derive(Debug, Clone)]
pub struct Changes {
    place: Place,
    book: Book,
    /// The variables that are laid over the files.
    env: Vec<(String, String)>,
}

/// What a candidate would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What is odd but can be used.
    pub warnings: Vec<Problem>,
    /// The units that differ from the settings in the files; `None` where those are wrong.
    pub changes: Option<Vec<Change>>,
    /// The keys that differ and take effect at the next start alone.
    pub at_next_start: Vec<&'static str>,
    /// The settings that it would make.
    pub settings: Settings,
}

/// Why a change was not made. Nothing is different then.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The settings would be wrong.
    #[error("{0}")]
    Wrong(Problems),
    /// Another one waits.
    #[error(
        "change {number} by {by} is on trial; `stile config confirm` keeps it, `stile config return` gives it back"
    )]
    OnTrial {
        /// Its number.
        number: u64,
        /// Who made it.
        by: String,
    },
    /// The files are not what whoever wants the change has seen.
    #[error("somebody else has changed the settings meanwhile; look at what they say now, and make the change anew")]
    Overtaken,
    /// In words, with a remedy.
    #[error("{0}")]
    Other(String),
}

impl From<String> for ChangeError {
    fn from(words: String) -> Self {
        Self::Other(words)
    }
}

/// What came of looking for a change that is to be given back.
#[derive(Debug, Default)]
pub struct Settled {
    /// What is to be read in the place of files that could not be written.
    pub instead: Texts,
    /// The change that was given back just now, or whose old settings are read instead.
    pub returned: Option<Entry>,
    /// Files that somebody has changed since; they are as they were left.
    pub changed_since: Vec<String>,
    /// Why files, or the entry, could not be written.
    pub error: Option<String>,
    /// The change that is on trial.
    pub on_trial: Option<OnTrial>,
}

/// A change that is on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnTrial {
    /// Its number.
    pub number: u64,
    /// Who made it.
    pub by: String,
    /// How long it still has.
    pub left: Duration,
}

impl Changes {
    /// Those of the settings whose main file is this one, whether or not it is there, with the `STILE_*` variables of `env`.
    pub fn of(main: &Path, env: Vec<(String, String)>) -> Self {
        let place = Place::of(main);
        let book = Book::of(&place);
        Self { place, book, env }
    }

    /// The name of the main file among [`Wanted`].
    pub fn main_name(&self) -> &str {
        self.place.main_name()
    }

    /// The settings as they stand in the files; that nobody may connect yet is no problem.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn loaded(&self) -> Result<Loaded, Problems> {
        config::load_before_users(self.place.main(), self.env.clone())
    }

    /// The files and what they say.
    ///
    /// # Errors
    /// Which one can't be read.
    pub fn texts(&self) -> Result<BTreeMap<String, String>, String> {
        let mut texts = BTreeMap::new();
        for name in self.place.names() {
            if let Some(text) = self.place.read(&name)? {
                texts.insert(name, text);
            }
        }
        Ok(texts)
    }

    /// Checks what would be wanted, all problems at once. Writes nothing.
    ///
    /// # Errors
    /// All that would be wrong; the files of problems are named as if they were written.
    pub fn check(&self, wanted: &Wanted) -> Result<Checked, ChangeError> {
        let instead = self.place.instead(wanted)?;
        let new = config::load_instead(self.place.main(), self.env.clone(), &instead).map_err(ChangeError::Wrong)?;
        let old = config::load(self.place.main(), self.env.clone()).ok().map(|old| old.settings);
        let changes = old.as_ref().map(|old| config::diff(old, &new.settings));
        let at_next_start = old.map(|old| config::at_next_start(&old, &new.settings)).unwrap_or_default();
        Ok(Checked { warnings: new.warnings, changes, at_next_start, settings: new.settings })
    }

    /// The name of the file that a problem is in, as [`Wanted`] has it.
    pub fn name_of(&self, path: &Path) -> String {
        self.place.name_of(path)
    }

    /// Whether this process may write the settings.
    ///
    /// # Errors
    /// Why it may not, with a remedy.
    pub fn may_write(&self) -> Result<(), String> {
        let folder = self.book.beside();
        let may = access(folder, Access::WRITE_OK | Access::EXEC_OK);
        may.map_err(|error| place::explain(folder, &error.into()))
    }

    /// All files as they are to be, where these are all: those of now that are not among them go.
    ///
    /// # Errors
    /// When the folder of small files can't be read.
    pub fn all(&self, main: &str, small: &BTreeMap<String, String>) -> Result<Wanted, String> {
        let mut wanted: Wanted = self.texts()?.into_keys().map(|name| (name, None)).collect();
        wanted.insert(self.main_name().to_owned(), Some(main.to_owned()));
        wanted.extend(small.iter().map(|(name, text)| (place::small(name), Some(text.clone()))));
        Ok(wanted)
    }

    /// Whether a file of these settings can have this name.
    pub fn is_name(&self, name: &str) -> bool {
        self.place.is_name(name)
    }

    /// The data folder that the files would name; that nobody may connect yet is no problem.
    ///
    /// # Errors
    /// All that would be wrong.
    pub fn data_dir_of(&self, wanted: &Wanted) -> Result<PathBuf, String> {
        let instead = self.place.instead(wanted)?;
        let loaded = config::load_before_users_instead(self.place.main(), self.env.clone(), &instead);
        Ok(loaded.map_err(|problems| problems.to_string())?.settings.gateway.data_dir)
    }

    /// Checks and writes. With `within` it is on trial for so long from now; without, it is kept at once.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn apply(&self, wanted: &Wanted, by: &str, within: Option<Duration>) -> Result<(Entry, Checked), ChangeError> {
        self.apply_to(None, wanted, by, within)
    }

    /// The same, if the files still are those with the [`stamp`] `base`.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn apply_to(
        &self,
        base: Option<&str>,
        wanted: &Wanted,
        by: &str,
        within: Option<Duration>,
    ) -> Result<(Entry, Checked), ChangeError> {
        let _lock = self.lock()?;
        self.nothing_on_trial()?;
        if let Some(base) = base
            && base != stamp(&self.texts()?)
        {
            return Err(ChangeError::Overtaken);
        }
        let checked = self.check(wanted)?;
        if checked.changes.is_none() && within.is_some() {
            let why =
                "the settings that are there are wrong, so there is nothing to return to; apply it without a trial";
            return Err(ChangeError::Other(why.to_owned()));
        }
        let mut files = BTreeMap::new();
        for (name, new) in wanted {
            let old = self.place.read(name)?;
            if old != *new {
                files.insert(name.clone(), Edit { old, new: new.clone() });
            }
        }
        let weight = |edit: &Edit| [&edit.old, &edit.new].into_iter().flatten().map(String::len).sum::<usize>();
        match files.values().map(weight).sum::<usize>() {
            0 if files.is_empty() => return Err(ChangeError::Other("the files say that already".to_owned())),
            weight if weight > CHANGE_MAX_BYTES => {
                return Err(ChangeError::Other(format!("the change is larger than {CHANGE_MAX_BYTES} bytes")));
            }
            _ => {}
        }
        let mut entry = Entry {
            number: self.book.newest()?.map_or(1, |newest| newest + 1),
            by: by.chars().filter(|character| !character.is_control()).take(BY_MAX).collect(),
            made: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            state: State::Pending,
            note: String::new(),
            trial: Some(Trial::of(within.unwrap_or(*TRIAL.end()))),
            files,
        };
        self.book.write(&entry)?;
        let write = |(name, edit): (&String, &Edit)| self.place.write(name, edit.new.as_deref());
        if let Err(error) = entry.files.iter().try_for_each(write) {
            let settled = self.give_back(&mut entry, State::Refused, &error);
            let rest = settled.error.map(|error| format!("; nor could it be undone: {error}")).unwrap_or_default();
            return Err(ChangeError::Other(format!("{error}{rest}")));
        }
        if within.is_none() {
            self.keep(&mut entry)?;
        }
        // What is too old is no reason to fail.
        self.book.prune();
        Ok((entry, checked))
    }

    /// The change that is on trial, or would be if it could have been given back.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn pending(&self) -> Result<Option<Entry>, String> {
        let Some(newest) = self.book.newest()? else { return Ok(None) };
        Ok(self.book.read(newest)?.filter(|entry| entry.state == State::Pending))
    }

    /// All changes that are kept, the newest first. What can't be read is left out and counted.
    ///
    /// # Errors
    /// When the folder can't be listed.
    pub fn history(&self) -> Result<(Vec<Entry>, usize), String> {
        let numbers = self.book.numbers()?;
        let entries: Vec<Entry> = numbers.iter().rev().filter_map(|number| self.book.read(*number).ok()?).collect();
        let unreadable = numbers.len() - entries.len();
        Ok((entries, unreadable))
    }

    /// What the files said after change `number`; 0 is before the first that is kept. Files that were changed by hand
    /// in between are as the next change found them.
    ///
    /// # Errors
    /// When there is no such change any more, or one behind it can't be read.
    pub fn as_after(&self, number: u64) -> Result<Wanted, String> {
        let numbers = self.book.numbers()?;
        if number != 0 && !numbers.contains(&number) {
            return Err(format!("there is no change {number}; `stile config history` lists them"));
        }
        let mut wanted = Wanted::new();
        for later in numbers.into_iter().rev().filter(|later| *later > number) {
            let entry = self.book.read(later)?.ok_or_else(|| format!("change {later} is gone"))?;
            if entry.state == State::Kept {
                wanted.extend(entry.files.into_iter().map(|(name, edit)| (name, edit.old)));
            }
        }
        // What it wrote itself counts where no later change did.
        if let Some(entry) = self.book.read(number)?.filter(|entry| entry.state == State::Kept) {
            for (name, edit) in entry.files {
                wanted.entry(name).or_insert(edit.new);
            }
        }
        Ok(wanted)
    }

    /// Whoever changes the settings at the same time waits, for as long as it is held, but not for ever.
    fn lock(&self) -> Result<File, String> {
        let folder = self.book.beside();
        whole_file::lock(folder).map_err(|error| place::explain(folder, &error))
    }
}

/// The folder of a path, as something that can be opened.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

//! Where a value stands, and the list that every check writes its problems to. Never reads a file.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problem::{Place, Problem, Severity};
use super::secret::Secret;

/// More problems than this are not listed: whoever has these does not read on.
const PROBLEMS_MAX: usize = 1000;

/// The text of one file.
#[derive(Debug, PartialEq)]
pub(super) struct Source {
    /// As the caller gave it.
    pub(super) path: PathBuf,
    /// Valid UTF-8; bytes that were not are replaced.
    pub(super) text: String,
}

/// Where something stands. Cheap to make and to clone: lines are counted only when a problem is reported.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spot {
    /// A byte offset in a file.
    File(Arc<Source>, usize),
    /// An environment variable, by name.
    Environment(Arc<str>),
}

impl Spot {
    /// The spot in line and column.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::File(source, offset) => {
                let before = source.text.get(..*offset).unwrap_or(&source.text);
                // A byte order mark is no column.
                let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                let line = before.get(line_start..).unwrap_or_default().trim_start_matches('\u{feff}');
                Place::At {
                    file: source.path.clone(),
                    line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
                    column: line.chars().count() + 1,
                }
            }
            Self::Environment(name) => Place::Environment(name.as_ref().into()),
        }
    }

    /// What relative paths in this spot's value start from.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::File(source, _) => source.path.parent().unwrap_or(Path::new("")),
            Self::Environment(_) => Path::new(""),
        }
    }

    /// `key` as it is written here: `max-frame` in a file, `MAX_FRAME` in the name of a variable.
    pub(super) fn spell(&self, key: &str) -> String {
        match self {
            Self::File(..) => key.into(),
            Self::Environment(_) => in_variable(key),
        }
    }
}

/// How a key or name is written in the name of an environment variable.
pub(super) fn in_variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// The problems found so far. Shared by all checks, hence the cells.
#[derive(Default)]
pub(super) struct Notes {
    problems: RefCell<Vec<Problem>>,
    /// Files of which nothing is sure from this offset on, because the parser lost its way there.
    lost: RefCell<Vec<(Arc<Source>, usize)>>,
    /// Files with syntax errors: what is absent there may stand on a bad line.
    broken: RefCell<Vec<Arc<Source>>>,
    /// Some file could not be read in full: what is absent may stand there.
    incomplete: Cell<bool>,
    /// What files will hold that are not there yet.
    pub(super) secrets: BTreeMap<PathBuf, Secret>,
}

impl Notes {
    /// As if files held these secrets.
    pub(super) fn with_secrets(secrets: BTreeMap<PathBuf, Secret>) -> Self {
        Self { secrets, ..Self::default() }
    }

    /// `place` costs a walk through the file, so it is asked only for problems that are listed.
    fn push(&self, place: impl FnOnce() -> Place, severity: Severity, what: String, remedy: String) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < PROBLEMS_MAX {
            problems.push(Problem { place: place(), what, remedy, severity });
        }
    }

    /// Whether the parser had lost its way before `spot`.
    fn doubtful(&self, spot: &Spot) -> bool {
        let Spot::File(source, offset) = spot else { return false };
        self.lost.borrow().iter().any(|(lost, from)| Arc::ptr_eq(lost, source) && offset >= from)
    }

    /// Something at `spot` makes the settings unusable.
    pub(super) fn error(&self, spot: &Spot, what: impl Into<String>, remedy: impl Into<String>) {
        if !self.doubtful(spot) {
            self.push(|| spot.place(), Severity::Error, what.into(), remedy.into());
        }
    }

    /// Something at `spot` is odd but can be used.
    pub(super) fn warning(&self, spot: &Spot, what: impl Into<String>, remedy: impl Into<String>) {
        if !self.doubtful(spot) {
            self.push(|| spot.place(), Severity::Warning, what.into(), remedy.into());
        }
    }

    /// The table at `spot` lacks a key. Held back when its file has syntax errors.
    pub(super) fn missing(&self, spot: &Spot, what: impl Into<String>, remedy: impl Into<String>) {
        let broken = match spot {
            Spot::File(source, _) => self.broken.borrow().iter().any(|broken| Arc::ptr_eq(broken, source)),
            Spot::Environment(_) => false,
        };
        if !broken {
            self.error(spot, what, remedy);
        }
    }

    /// Something that any file could have is in none. Held back when some file could not be read in full.
    pub(super) fn nowhere(&self, spot: &Spot, what: impl Into<String>, remedy: impl Into<String>) {
        if !self.incomplete.get() {
            self.error(spot, what, remedy);
        }
    }

    /// Text that is no TOML. Whatever follows is checked as far as it can be.
    pub(super) fn syntax(&self, source: &Arc<Source>, offset: usize, what: impl Into<String>, remedy: &str) {
        self.incomplete.set(true);
        let mut broken = self.broken.borrow_mut();
        if !broken.last().is_some_and(|last| Arc::ptr_eq(last, source)) {
            broken.push(Arc::clone(source));
        }
        let spot = Spot::File(Arc::clone(source), offset);
        self.push(|| spot.place(), Severity::Error, what.into(), remedy.into());
    }

    /// Of `source`, nothing is sure from `offset` on: only syntax errors are reported from there.
    pub(super) fn lose(&self, source: &Arc<Source>, offset: usize) {
        self.lost.borrow_mut().push((Arc::clone(source), offset));
    }

    /// A file or folder as a whole cannot be used.
    pub(super) fn file(&self, path: &Path, what: impl Into<String>, remedy: impl Into<String>) {
        self.incomplete.set(true);
        self.push(|| Place::Whole(path.into()), Severity::Error, what.into(), remedy.into());
    }

    /// All problems: those of whole files, then by file in the order of `files`, line and column, then variables.
    pub(super) fn into_sorted(self, files: &[PathBuf]) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_cached_key(|problem| match &problem.place {
            Place::Whole(path) => (0, None, 0, 0, path.to_string_lossy().into_owned()),
            Place::At { file, line, column } => {
                (1, files.iter().position(|known| known == file), *line, *column, String::new())
            }
            Place::Environment(name) => (2, None, 0, 0, name.clone()),
        });
        problems
    }
}

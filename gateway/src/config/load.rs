//! From a file name to checked settings: find, read, merge, override, type. Reads files, but no environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::notes::{Notes, Source};
use super::problem::{Problem, Problems};
use super::secret::Secret;
use super::settings::Settings;
use super::tree::Table;
use super::written::Written;
use super::{environment, files, read, tree};

/// Settings that can be used, and what was noticed on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings, checked.
    pub settings: Settings,
    /// What is odd but can be used.
    pub warnings: Vec<Problem>,
    /// The files they come from, in order; the main file first.
    pub files: Vec<PathBuf>,
    /// Where each plugin is written, in the order of `settings.plugin`.
    pub plugins: Vec<Written>,
}

/// Texts that stand in the place of files, by the path that [`load`] would read; with `None` there is no such file.
pub type Texts = BTreeMap<PathBuf, Option<String>>;

/// Reads `file`, then `conf.d/*.toml` beside it in name order, then the `STILE_*` variables among `env`, and checks
/// the whole.
///
/// Tables merge key by key, what comes later wins; `[[radio]]`, `[[plugin]]`, `[[uplink]]` and `[[broker.user]]` add up.
///
/// # Errors
/// All problems at once, warnings included, when there is an error among them.
pub fn load(file: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, Problems> {
    load_with(file, env, &Texts::new(), Notes::default(), files::has_users)
}

/// As [`load`], as if these texts stood in the files: settings that are not written yet, or not to be used.
///
/// # Errors
/// As those of [`load`].
pub fn load_instead(
    file: &Path,
    env: impl IntoIterator<Item = (String, String)>,
    instead: &Texts,
) -> Result<Loaded, Problems> {
    load_with(file, env, instead, Notes::default(), files::has_users)
}

/// Both: as [`load_before_users`], as if these texts stood in the files.
///
/// # Errors
/// As those of [`load`].
pub fn load_before_users_instead(
    file: &Path,
    env: impl IntoIterator<Item = (String, String)>,
    instead: &Texts,
) -> Result<Loaded, Problems> {
    load_with(file, env, instead, Notes::default(), |_| true)
}

/// As [`load_instead`] without variables, as if these secrets stood in the files that `password-file` names: those that systemd will
/// hand over.
///
/// # Errors
/// As those of [`load`].
pub fn load_provisioned(file: &Path, instead: &Texts, secrets: BTreeMap<PathBuf, Secret>) -> Result<Loaded, Problems> {
    load_with(file, std::iter::empty(), instead, Notes::with_secrets(secrets), files::has_users)
}

/// The files that [`load`] reads, the main one first, whether or not it is there.
pub fn files_of(file: &Path) -> Vec<PathBuf> {
    files::find(file, &Texts::new(), &Notes::default())
}

/// As [`load`], for whoever is about to make users: that nobody may connect yet is no problem.
///
/// # Errors
/// As those of [`load`].
pub fn load_before_users(file: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, Problems> {
    load_with(file, env, &Texts::new(), Notes::default(), |_| true)
}

/// `has_users` says whether the data folder has users.
fn load_with(
    file: &Path,
    env: impl IntoIterator<Item = (String, String)>,
    instead: &Texts,
    notes: Notes,
    has_users: fn(&Path) -> bool,
) -> Result<Loaded, Problems> {
    let files = files::find(file, instead, &notes);
    let mut root = Table::new();
    let mut main = Arc::new(Source { path: file.into(), text: String::new() });
    for path in &files {
        if let Some(source) = files::read(path, file, instead, &notes) {
            tree::merge(&mut root, tree::parse(&source, &notes));
            if path == file {
                main = source;
            }
        }
    }
    environment::apply(&mut root, env, &notes);
    let (settings, plugins) = read::settings(root, &main, &notes, has_users);
    let problems = Problems(notes.into_sorted(&files));
    if problems.errors() > 0 {
        return Err(problems);
    }
    Ok(Loaded { settings, warnings: problems.0, files, plugins })
}

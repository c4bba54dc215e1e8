//! Cases in files: messages in, with their times, and what is to become of each. `docs/write-a-filter.md` shows one.
//!
//! `file.rs` reads them, `check.rs` plays one against anything that can be asked ([`Subject`]) and says what differs,
//! `native.rs` is a filter as such a thing. So the same files can be played against the finished component.

mod check;
mod file;
mod native;

use std::path::{Path, PathBuf};

pub use check::{Subject, check};
pub use file::{Case, Expected, Shown, Step, What};

use crate::Filter;

/// Plays each `cases/*.json` in the folder of a filter, natively: `cases::play::<Deadband>(env!("CARGO_MANIFEST_DIR"))`.
///
/// # Panics
/// With all that differs.
#[expect(clippy::panic, reason = "it is a test")]
pub fn play<F: Filter>(folder: &str) {
    let files = files(&Path::new(folder).join("cases")).unwrap_or_else(|error| panic!("{error}"));
    assert!(!files.is_empty(), "{folder}/cases has no *.json");
    let mut wrong = Vec::new();
    for file in &files {
        let outcome = Case::read(file).and_then(|case| check(&case, &mut native::Native::<F>::new(&case)));
        wrong.extend(outcome.err().map(|what| format!("{}: {what}", file.display())));
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

/// The `*.json` of a folder, by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect();
    found.sort();
    Ok(found)
}

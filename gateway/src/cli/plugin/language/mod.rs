//! The languages that plugins are written in: what a new project has, and how one becomes a component.
//!
//! One file a language, with its templates in `templates/<language>/`. Another one is another file with a [`Language`] and
//! its line in [`ALL`].

mod rust;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One language.
pub(super) struct Language {
    /// As it is named on the command line.
    pub(super) name: &'static str,
    /// The file by which a project in it is known.
    pub(super) mark: &'static str,
    /// What a new project has: paths below its folder, and texts. `{{name}}` and `{{sdk}}` stand for what [`Language::sdk`]
    /// and the author say.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// How a project names what it stands on: the repository of this version of Stile, or a clone of it at this path.
    pub(super) sdk: fn(Option<&Path>) -> String,
    /// Makes a component of the project in a folder. The error says what is missing and how to install it.
    pub(super) build: fn(&Path, &Options) -> Result<PathBuf, String>,
}

/// What only some routes ask for.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// For Rust: where the standard library for WebAssembly is, if the toolchain has none (see plugins/toolchain.sh)
    #[arg(long, value_name = "DIR")]
    pub(super) sysroot: Option<PathBuf>,
}

/// All of them.
pub(super) const ALL: &[&Language] = &[&rust::RUST];

/// The language with this name.
pub(super) fn named(name: &str) -> Result<&'static Language, String> {
    let names = || ALL.iter().map(|language| language.name).collect::<Vec<_>>().join(", ");
    ALL.iter().copied().find(|language| language.name == name).ok_or_else(|| format!("there are {}", names()))
}

/// The language of the project in a folder.
pub(super) fn of(folder: &Path) -> Result<&'static Language, String> {
    let found = ALL.iter().copied().find(|language| folder.join(language.mark).is_file());
    found.ok_or_else(|| {
        let marks = ALL.iter().map(|language| format!("{} ({})", language.mark, language.name)).collect::<Vec<_>>();
        format!("{}: no project of a plugin; it would have {}", folder.display(), marks.join(" or "))
    })
}

/// Runs a program of the route and gives what it prints; its complaints go to the terminal. `remedy`: how to install it.
fn run(command: &mut Command, remedy: &str) -> Result<Vec<u8>, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stderr(std::process::Stdio::inherit());
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!("`{program}` ended with {}; see above", output.status)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!("`{program}` is not there; {remedy}")),
        Err(error) => Err(format!("`{program}`: {error}")),
    }
}

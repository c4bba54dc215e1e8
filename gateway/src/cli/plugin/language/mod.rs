//! The languages that plugins are written in: what a new project has, and how one becomes a component.
//!
//! One file a language, with its templates in `templates/<language>/`; what they share is beside these folders, and
//! the authors' layers are those of `plugins/threshold`. Another one is another file with a [`Language`] and its line
//! in [`ALL`].

mod c;
mod js;
mod python;
mod rust;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::component::custom_section;

/// One language.
pub(super) struct Language {
    /// As it is named on the command line.
    pub(super) name: &'static str,
    /// The file by which a project in it is known.
    pub(super) mark: &'static str,
    /// What a new project has. `{{name}}` and `{{sdk}}` stand for what [`Language::sdk`] and the author say.
    pub(super) files: &'static [File],
    /// How a project names the SDK: in the repository of this version of Stile, or in a clone of it at this path. Projects
    /// without one have all that they need beside their source.
    pub(super) sdk: Option<fn(Option<&Path>) -> String>,
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
pub(super) const ALL: &[&Language] = &[&rust::RUST, &js::JS, &python::PYTHON, &c::C];

/// A path below the project's folder, and a text.
type File = (&'static str, &'static str);

// The filter of a new project is the same in each language.
const MANIFEST: File = ("manifest.json", include_str!("../templates/manifest.json.in"));
const CASE: File = ("cases/low-readings-end-here.json", include_str!("../templates/low-readings-end-here.json.in"));
const REFUSAL: File = ("cases/refused-no-limit.json", include_str!("../templates/refused-no-limit.json.in"));
const WORLD: File = ("wit/world.wit", include_str!("../templates/world.wit.in"));
const INTERFACE: File = ("wit/deps/stile-filter/filter.wit", include_str!("../../../../../wit/filter.wit"));

/// The folder of a project that what its tools make goes into.
const MADE: &str = "build";

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

/// A program of the route: that of the project, where it has one at this path, else the one on the PATH.
fn program(project: &Path, own: &str) -> Command {
    let own = project.join(own);
    let name = own.file_name().unwrap_or(own.as_os_str()).to_owned();
    let mut command = Command::new(if own.is_file() { own.into_os_string() } else { name });
    command.current_dir(project);
    command
}

/// The project's folder, whole: programs that run inside of it are told of it. [`MADE`] is there afterwards.
fn prepared(folder: &Path) -> Result<PathBuf, String> {
    let explain = |error| format!("{}: {error}", folder.display());
    let project = folder.canonicalize().map_err(explain)?;
    fs::create_dir_all(project.join(MADE)).map_err(explain)?;
    Ok(project)
}

/// Adds the project's manifest to a component that was made without one.
fn with_manifest(project: &Path, component: PathBuf) -> Result<PathBuf, String> {
    let manifest = project.join(MANIFEST.0);
    let text = fs::read(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let section = custom_section(crate::component::MANIFEST, &text);
    let added = OpenOptions::new().append(true).open(&component).and_then(|mut file| file.write_all(&section));
    added.map_err(|error| format!("{}: {error}", component.display()))?;
    Ok(component)
}

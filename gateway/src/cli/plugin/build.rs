//! `stile plugin build`: a project to a component, by the route of its language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::figures::size;
use super::language::{self, Options};
use crate::cli::{fail, say};
use crate::component::{check_component, read};
use crate::plugins::install::manifest;

/// Make a component of a plugin's project
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The language is told by the project's files: Cargo.toml (Rust), package.json (JavaScript), app.py (Python) or stile.h (C).
What a route needs and is not there is named, with how to install it. JavaScript's tool is that of the project's
node_modules, Python's that of its .venv; without these, those on the PATH.

Examples:
  stile plugin build                        the project in this folder
  stile plugin build parking --out parking.wasm")]
pub(super) struct Arguments {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The component; without it, DIR/NAME.wasm
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match build(arguments) {
        Ok(said) => {
            say(&said);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn build(arguments: &Arguments) -> Result<String, String> {
    let language = language::of(&arguments.dir)?;
    let built = (language.build)(&arguments.dir, &arguments.options)?;
    let explain = |error| format!("{}: {error}", built.display());
    let component = read(&built).map_err(explain)?;
    check_component(&component).map_err(explain)?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => arguments.dir.join(format!("{}.wasm", name(&component, &built).map_err(explain)?)),
    };
    put(&component, &out).map_err(|error| format!("{}: {error}", out.display()))?;
    Ok(format!("{}: {}", out.display(), size(component.len())))
}

/// The plugin's name by its manifest; without one, that of the file.
fn name(component: &[u8], built: &Path) -> Result<String, String> {
    let named = manifest(component)?.map(|manifest| manifest.name);
    // It becomes the name of a file.
    let good = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    Ok(named.filter(good).unwrap_or_else(|| built.file_stem().unwrap_or_default().to_string_lossy().into_owned()))
}

/// Beside it and then into its place: a gateway may be reading the old one.
fn put(component: &[u8], out: &Path) -> std::io::Result<()> {
    let mut new = out.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, component)?;
    fs::rename(new, out)
}

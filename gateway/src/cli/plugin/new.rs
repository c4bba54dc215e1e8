//! `stile plugin new`: a small project that works, to begin from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::language::{self, Language};
use crate::cli::{fail, say};

/// Begin a plugin: a small project with cases, that builds and passes them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile plugin new parking
  stile plugin new parking --lang js        in JavaScript; there are rust, js, python and c
  stile plugin new parking --lang rust --dir ~/plugins/parking
  stile plugin new parking --sdk ~/stile    with the SDK of a clone of the repository")]
pub(super) struct Arguments {
    /// The plugin's name: small letters, digits and `-`, a letter first
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// The language: rust, js, python or c
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = language)]
    lang: &'static str,
    /// The new folder; without it, NAME here
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// For Rust: a clone of Stile's repository with the SDK; without it, the repository of this version
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// Fit for the settings, for a crate and for a package of any registry.
fn name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-');
    if ends && text.len() <= 64 && text.chars().all(good) {
        return Ok(text.to_owned());
    }
    Err("a name has 1 to 64 small letters, digits and `-`, and begins with a letter".to_owned())
}

fn language(text: &str) -> Result<&'static str, String> {
    language::named(text).map(|language| language.name)
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let folder = arguments.dir.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    match language::named(arguments.lang).and_then(|language| make(arguments, language, &folder)) {
        Ok(()) => {
            let (folder, name) = (folder.display(), &arguments.name);
            say(&format!(
                "{folder}: made\n\nNext, as {folder}/README.md says:\n  \
                 stile plugin build {folder}\n  stile plugin test {folder}/{name}.wasm"
            ));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn make(arguments: &Arguments, language: &Language, folder: &Path) -> Result<(), String> {
    let sdk = sdk(arguments, language)?;
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(|error| explain(parent, &error))?;
    }
    // Never into a folder that is there: nothing of anybody's is overwritten.
    fs::create_dir(folder).map_err(|error| explain(folder, &error))?;
    for (path, text) in language.files {
        let file = folder.join(path);
        let text = text.replace("{{name}}", &arguments.name).replace("{{sdk}}", &sdk);
        let parent = file.parent().unwrap_or(folder);
        fs::create_dir_all(parent).and_then(|()| fs::write(&file, text)).map_err(|error| explain(&file, &error))?;
    }
    Ok(())
}

/// How the project names the SDK; nothing where it needs none.
fn sdk(arguments: &Arguments, language: &Language) -> Result<String, String> {
    match (language.sdk, &arguments.sdk) {
        (Some(named), None) => Ok(named(None)),
        (Some(named), Some(clone)) if clone.join("plugins/sdk").is_dir() => {
            clone.canonicalize().map(|clone| named(Some(&clone))).map_err(|error| explain(clone, &error))
        }
        (Some(_), Some(other)) => {
            Err(format!("{}: no clone of Stile's repository; plugins/sdk is not there", other.display()))
        }
        (None, None) => Ok(String::new()),
        (None, Some(_)) => Err(format!("a project in {} stands on no SDK; leave --sdk out", language.name)),
    }
}

fn explain(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_fit_for_every_place_that_it_stands_in() {
        for good in ["a", "parking", "co2-limit", "x9"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for wrong in ["", "9x", "-a", "a-", "A", "a_b", "a/b", "..", "ä", &"a".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}

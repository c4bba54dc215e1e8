//! `stile plugin enable` and `disable`: one setting, changed where it stands.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use super::place::{Place, tell};
use crate::cli::{fail, say, wrong_settings};
use crate::plugins::edit;
use crate::plugins::site::{Site, explain};
use crate::whole_file;

/// Put a plugin on the messages' way
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`enabled` is changed in the file in which the plugin stands; comments stay. A running gateway takes it at once.

Example:
  stile plugin enable parking")]
pub(super) struct Enable {
    #[command(flatten)]
    named: Named,
}

/// Have messages go past a plugin
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`enabled` is changed in the file in which the plugin stands; comments stay. A running gateway takes it at once.

Example:
  stile plugin disable parking")]
pub(super) struct Disable {
    #[command(flatten)]
    named: Named,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn enable(arguments: &Enable) -> ExitCode {
    run(&arguments.named, true)
}

pub(super) fn disable(arguments: &Disable) -> ExitCode {
    run(&arguments.named, false)
}

fn run(named: &Named, enabled: bool) -> ExitCode {
    let done = match named.place.find_locked() {
        Ok(found) => found.and_then(|(site, _lock)| {
            switch(&named.name, enabled, &site)?;
            tell(&site, &named.name)
        }),
        Err(problems) => return wrong_settings(&problems),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn switch(name: &str, enabled: bool, site: &Site) -> Result<(), String> {
    let word = if enabled { "enabled" } else { "disabled" };
    if site.need(name)?.enabled == enabled {
        say(&format!("{name}: {word} already"));
        return Ok(());
    }
    for file in &site.loaded.files {
        if change(file, name, enabled)? {
            say(&format!("{name}: {word} in {}", file.display()));
            return Ok(());
        }
    }
    Err(format!("no file of the settings has the plugin `{name}` any more"))
}

/// Changes the plugin's `enabled` in a file. Whether the plugin stands there.
fn change(file: &Path, name: &str, enabled: bool) -> Result<bool, String> {
    let explain = |error| explain(file, &error);
    // What a link leads to is changed, and not the link.
    let file = file.canonicalize().map_err(explain)?;
    let text = fs::read_to_string(&file).map_err(explain)?;
    let Some(changed) = edit::enabled(&text, name, enabled).map_err(|error| format!("{}: {error}", file.display()))?
    else {
        return Ok(false);
    };
    let mode = fs::metadata(&file).map_err(explain)?.mode() & 0o7777;
    whole_file::write(&file, changed.as_bytes(), mode, &file).map_err(explain)?;
    Ok(true)
}

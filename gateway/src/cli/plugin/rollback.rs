//! `stile plugin rollback`: back to the version that was installed before.

use std::fs;
use std::io;
use std::process::ExitCode;

use super::install::keep;
use super::place::{Gateway, Place, explain};
use crate::cli::{fail, say, wrong_settings};
use crate::component::{fingerprint, read};
use crate::whole_file;

/// Go back to the version of a plugin that was installed before
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The two versions change places, so that doing it again goes forward. Settings stay as they are.

Example:
  stile plugin rollback parking")]
pub(super) struct Arguments {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let gateway = match arguments.place.find() {
        Ok(gateway) => gateway,
        Err(problems) => return wrong_settings(&problems),
    };
    match rollback(&arguments.name, &gateway) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn rollback(name: &str, gateway: &Gateway) -> Result<(), String> {
    let plugin = gateway.need(name)?;
    let (path, previous) = (gateway.component(name), gateway.previous(name));
    if plugin.file != path || !previous.exists() {
        return Err(format!("no version of `{name}` from before is kept; `stile plugin install` keeps one"));
    }
    let _lock = gateway.lock()?;
    let exchanged = || -> io::Result<()> {
        let aside = whole_file::beside(&path);
        // Cut off in between, the gateway has the version that was asked for, and the other one is lost at worst.
        keep(&path, &aside)?;
        fs::rename(&previous, &path)?;
        fs::rename(&aside, &previous)?;
        whole_file::sync_folder(&path)
    };
    exchanged().map_err(|error| explain(&path, &error))?;
    let component = read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    say(&format!("{name}: back to {}", fingerprint(&component)));
    gateway.tell(name)
}

//! `stile plugin rollback`: back to the version that was installed before.

use std::process::ExitCode;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::install::{regular, starts};
use super::place::{Gateway, Place, explain};
use crate::cli::{fail, say, wrong_settings};
use crate::component::fingerprint;
use crate::whole_file;

/// Go back to the version of a plugin that was installed before
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The two versions change places, so that doing it again goes forward. Settings stay as they are; a version that would not
start with them, or that nobody who is trusted signed, is not gone back to.

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
    let done = match arguments.place.find_locked() {
        Ok(found) => found.and_then(|(gateway, _lock)| rollback(&arguments.name, &gateway)),
        Err(problems) => return wrong_settings(&problems),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn rollback(name: &str, gateway: &Gateway) -> Result<(), String> {
    let plugin = gateway.need(name)?;
    let (path, previous) = (gateway.component(name), gateway.previous(name));
    let kept = regular(&previous)?;
    let Some(kept) = kept.filter(|_| gateway.has_installed(plugin)) else {
        return Err(format!("no version of `{name}` from before is kept; `stile plugin install` keeps one"));
    };
    let why_not = starts(&kept, plugin, gateway).map_or_else(Some, Result::err);
    if let Some(why) = why_not.as_ref().filter(|_| plugin.enabled) {
        return Err(format!("the version before does not start: {why}; nothing has changed"));
    }
    // In one step: cut off anywhere, both are there.
    let exchanged = renameat_with(CWD, &path, CWD, &previous, RenameFlags::EXCHANGE);
    exchanged
        .map_err(Into::into)
        .and_then(|()| whole_file::sync_folder(&path))
        .map_err(|error| explain(&path, &error))?;
    say(&format!("{name}: back to {}", fingerprint(&kept)));
    if let Some(why) = why_not {
        say(&format!("it is not enabled, and would not start: {why}"));
    }
    gateway.tell(name)
}

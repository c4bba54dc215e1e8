//! `stile plugin rollback`: back to the version that was installed before.

use std::process::ExitCode;

use super::candidate;
use super::place::{Place, tell};
use crate::cli::{fail, say, wrong_settings};
use crate::plugins::install::roll_back;
use crate::plugins::site::Site;

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
        Ok(found) => found.and_then(|(site, _lock)| rollback(&arguments.name, &site)),
        Err(problems) => return wrong_settings(&problems),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn rollback(name: &str, site: &Site) -> Result<(), String> {
    let back = roll_back(name, site, &candidate::load)?;
    say(&format!("{name}: back to {}", back.hash));
    if let Some(why) = back.why_not {
        say(&format!("it is not enabled, and would not start: {why}"));
    }
    tell(site, name)
}

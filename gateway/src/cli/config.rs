//! `stile config`: what the settings are and could be, and changes of them.

mod apply;
mod history;
mod setup;

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, complain, say, wrong_settings};
use crate::config;

/// Print an example of the settings, or those in effect
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile config example > /etc/stile/stile.toml
  stile config show --effective
  stile config apply new.toml --confirm-within 90s
  stile config confirm
  stile config history
  stile config export > set-up.json")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A commented file with every setting; it passes `stile check`
    Example,
    /// The settings of this machine
    Show(Show),
    Apply(apply::Apply),
    Confirm(apply::Confirm),
    Return(apply::Return),
    History(history::History),
    Diff(history::Diff),
    Restore(history::Restore),
    Export(setup::Export),
    Import(setup::Import),
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    file: ConfigFile,
    /// All settings, defaults and overrides included, secrets masked; otherwise the names of the files
    #[arg(long)]
    effective: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.what {
        What::Example => say(config::example().trim_end()),
        What::Apply(apply) => return apply::apply(apply),
        What::Confirm(confirm) => return apply::confirm(confirm),
        What::Return(back) => return apply::give_back(back),
        What::History(history) => return history::history(history),
        What::Diff(diff) => return history::diff(diff),
        What::Restore(restore) => return history::restore(restore),
        What::Export(export) => return setup::export(export),
        What::Import(import) => return setup::import(import),
        What::Show(show) => match show.file.load() {
            Ok(loaded) if show.effective => {
                for warning in &loaded.warnings {
                    complain(&warning.to_string());
                }
                say(config::effective(&crate::setup::shown(loaded.settings)).trim_end());
            }
            Ok(loaded) => {
                for file in &loaded.files {
                    say(&file.display().to_string());
                }
            }
            Err(problems) => return wrong_settings(&problems),
        },
    }
    ExitCode::SUCCESS
}

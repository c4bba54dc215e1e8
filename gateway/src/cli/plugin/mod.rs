//! `stile plugin`: what authors and operators do with plugins; one file a verb.

mod inspect;

use std::process::ExitCode;

use clap::Subcommand;

/// Look at plugins
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile plugin inspect parking.wasm")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Inspect(inspect::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.what {
        What::Inspect(arguments) => inspect::run(arguments),
    }
}

//! `stile reload`: has a running gateway read its settings again.

use std::process::ExitCode;

use hyper::Method;

use super::socket::Which;
use super::{fail, runtime, say};

/// Have the running gateway read its settings again, and wait until they are in force
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Wrong settings are refused, all that is wrong with them is said, and those of before go on. Exit code 1 then. `systemctl reload`
of the service does this.

Examples:
  stile reload
  stile reload --data-dir demo")]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let asked = arguments.which.ask(Method::POST, "/reload");
    let done = runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(asked));
    match done {
        Ok(_) => {
            say("the settings are in force");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

//! `stile compile-plugin`: the child that the daemon starts to compile a plugin. Not for people, so it is hidden.

use std::process::ExitCode;

use super::complain;
use crate::plugin_host::compile::{Budget, child};
use crate::plugin_host::engine::Code;

/// Compile the component on standard input, in a sandbox
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Seconds of CPU time
    #[arg(long)]
    cpu_seconds: u64,
    /// Bytes of address space
    #[arg(long)]
    memory: u64,
    /// Make code that counts its fuel
    #[arg(long)]
    fuel: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let budget = Budget { cpu_seconds: arguments.cpu_seconds, memory: arguments.memory, ..Budget::default() };
    let code = if arguments.fuel { Code::Metered } else { Code::Timed };
    match child::run(budget, code, std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(child::REFUSED)
        }
    }
}

//! `stile plugin inspect`: what a component is, found without running it.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{fail, say};
use crate::component::{check_component, fingerprint, read};

/// Say what a component is, without running it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  stile plugin inspect parking.wasm")]
pub(super) struct Arguments {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let shown = arguments.file.display();
    let component = match read(&arguments.file).and_then(|bytes| check_component(&bytes).map(|()| bytes)) {
        Ok(component) => component,
        Err(error) => return fail(&format!("{shown}: {error}")),
    };
    say(&format!("size     {} bytes\nSHA-256  {}", component.len(), fingerprint(&component)));
    ExitCode::SUCCESS
}

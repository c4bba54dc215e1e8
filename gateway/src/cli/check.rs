//! `stile check`: everything that is wrong with the settings, at once.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{ConfigFile, say, wrong_settings};

/// Check the settings and say everything that is wrong with them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code: 0 when they can be used, 78 when not.

Examples:
  stile check
  stile check ./stile.toml")]
pub(super) struct Arguments {
    /// The settings; conf.d/*.toml beside it are read too
    #[arg(value_name = "FILE", env = "STILE_CONFIG", default_value = super::DEFAULT_CONFIG)]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let file = ConfigFile { config: arguments.file.clone() };
    match file.load() {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                say(&warning.to_string());
            }
            let (files, radios) = (loaded.files.len(), loaded.settings.radio.len());
            say(&format!("{}: good ({files} files, {radios} radios)", arguments.file.display()));
            ExitCode::SUCCESS
        }
        Err(problems) => wrong_settings(&problems),
    }
}

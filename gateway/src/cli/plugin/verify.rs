//! `stile plugin verify`: whether somebody who is trusted signed a component.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Keys;
use crate::cli::{fail, say, wrong_settings};
use crate::component::read;
use crate::config::{Require, Trust};
use crate::plugins::fit::allowed;
use crate::signature::{PublicKey, Signer};

/// Say who signed a component; exit code 0 if it is somebody who is trusted, 1 if not
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile plugin verify parking.wasm
  stile plugin verify parking.wasm --config ./stile.toml
  stile plugin verify parking.wasm --key ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")]
pub(super) struct Arguments {
    /// The component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    /// The public key that it must be signed with, instead of those of the settings
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<PublicKey>,
    #[command(flatten)]
    keys: Keys,
}

fn key(text: &str) -> Result<PublicKey, String> {
    PublicKey::parse(text).ok_or_else(|| "write what `stile plugin keys` prints: ed25519:...".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let trusted_keys = match (&arguments.key, arguments.keys.trust()) {
        (Some(key), _) => [("the key".to_owned(), *key)].into_iter().collect(),
        (None, Ok(trust)) => trust.trusted_keys,
        (None, Err(problems)) => return wrong_settings(&problems),
    };
    let trust = Trust { require: Require::Signed, trusted_keys, ..Trust::default() };
    let verdict =
        read(&arguments.component).and_then(|bytes| allowed(&bytes, &trust).map_err(|misfit| misfit.to_string()));
    match verdict {
        Ok(Signer::Trusted(name, key)) => {
            say(&format!("{} is signed by {name} ({key})", arguments.component.display()));
            ExitCode::SUCCESS
        }
        Ok(_) => fail(&format!("{} is not signed by anybody who is trusted", arguments.component.display())),
        Err(error) => fail(&format!("{}: {error}", arguments.component.display())),
    }
}

//! `stile plugin keys`: a pair of keys for signatures.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::private_key;
use crate::cli::{fail, say};
use crate::signature::PrivateKey;

/// Make a pair of keys that plugins are signed with
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes the private key into FILE, which nobody else may read, and prints the public one as the settings take it. Whoever has
the private key can make plugins that gateways run which trust it. A file that is there is never overwritten. An Ed25519 key
that OpenSSL made will do too.

Examples:
  stile plugin keys anna.key
  stile plugin keys anna.key --name anna-2027
  stile plugin keys anna.key --show         the public key once more")]
pub(super) struct Arguments {
    /// The file for the private key
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What gateways call whoever signs with it; without it, the file's name without its ending
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Make nothing: print the public key of a file that is there
    #[arg(long)]
    show: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match keys(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn keys(arguments: &Arguments) -> Result<(), String> {
    let stem = arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = arguments.name.clone().or(stem).unwrap_or_default();
    if !(1..=64).contains(&name.len()) || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return Err("a key's name has 1 to 64 of the characters A-Z a-z 0-9 _ -; give one with --name".into());
    }
    if !arguments.show {
        write_new(&arguments.file, &PrivateKey::make()?)?;
        say(&format!("the private key is in {}; keep it to yourself\n", arguments.file.display()));
    }
    let key = private_key(&arguments.file)?.public();
    say(&format!("For stile.toml:\n\n[plugins]\nrequire = \"signed\"\n\n[plugins.trusted-keys]\n{name} = \"{key}\""));
    Ok(())
}

/// Writes a file that nobody else may read and that was not there.
fn write_new(file: &Path, text: &str) -> Result<(), String> {
    let written = (|| {
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        new.write_all(text.as_bytes()).and_then(|()| new.sync_all())
    })();
    let shown = file.display();
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{shown} is there already and stays as it is; name another file"),
        _ => format!("{shown}: {error}"),
    })
}

//! `stile plugin sign`: puts a signature into a component.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::private_key;
use crate::cli::{fail, say};
use crate::component::{fingerprint, read};
use crate::signature::sign;

/// Sign a component, in the place of the signature that it has
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile plugin sign --key anna.key parking.wasm
  stile plugin sign --key anna.key parking.wasm --output signed/parking.wasm")]
pub(super) struct Arguments {
    /// The file of the private key, as `stile plugin keys` made it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    /// Where the signed component goes; without it, in the place of the component
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match signed(arguments) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn signed(arguments: &Arguments) -> Result<String, String> {
    let key = private_key(&arguments.key)?;
    let shown = arguments.component.display();
    let wrong = |why| format!("{shown}: {why}");
    let signed = read(&arguments.component).and_then(|bytes| sign(&bytes, &key)).map_err(wrong)?;
    let output = arguments.output.as_ref().unwrap_or(&arguments.component);
    replace(output, &signed).map_err(|error| format!("{}: {error}", output.display()))?;
    Ok(format!("{} is signed by {}\nSHA-256 {}", output.display(), key.public(), fingerprint(&signed)))
}

/// Writes a file whole or not at all. What is there already keeps its rights and its group, and by root its owner: a gateway
/// may be about to read it.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = Permissions::from_mode(0o644);
    let mut new = tempfile::Builder::new().prefix(".stile-").permissions(permissions).tempfile_in(folder)?;
    match fs::metadata(file) {
        Ok(there) => keep(new.as_file(), &there)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    File::open(folder)?.sync_all()
}

/// Gives a new file what the one in its place has.
fn keep(new: &File, there: &Metadata) -> io::Result<()> {
    let own = new.metadata()?;
    let owner = (own.uid() == 0).then_some(there.uid());
    let group = (own.gid() != there.gid()).then_some(there.gid());
    let remedy = |error: io::Error| {
        let text = format!(
            "its group {} can't be kept: {error}; sign it as root, or into another file by --output",
            there.gid()
        );
        io::Error::new(error.kind(), text)
    };
    fchown(new, owner, group).map_err(remedy)?;
    // Behind that, and not when it was made: then this user's mask would take from it.
    new.set_permissions(there.permissions())
}

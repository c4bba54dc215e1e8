//! `stile cert`: a certificate for the gateway, signed by an authority of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, fail, say, wrong_settings};
use crate::certificate::Files;
use crate::tls;

/// Make a certificate for MQTT over TLS, and an authority that signs it
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Writes ca.pem, ca.key, server.pem and server.key into the folder tls of the data folder. An authority that is there
already signs again, so that clients need nothing new. A gateway whose settings name no certificate makes these at its
first start by itself.

Examples:
  stile cert
  stile cert --name gateway.example.org --name 192.0.2.7
  stile cert --force                        a new certificate in the place of the old
  stile cert show")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    place: Folder,
    /// A name or address under which clients reach the gateway; may be given again. Without it, the machine's own
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Overwrite a certificate that is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the certificate's fingerprint and when it ends
    Show(Folder),
}

#[derive(Debug, clap::Args)]
struct Folder {
    #[command(flatten)]
    file: ConfigFile,
    /// The folder for the files; without it, `tls` in the data folder that the settings name
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Folder {
    fn path(&self) -> Result<PathBuf, ExitCode> {
        match &self.dir {
            Some(dir) => std::path::absolute(dir).map_err(|error| fail(&format!("{}: {error}", dir.display()))),
            None => match self.file.load() {
                Ok(loaded) => Ok(loaded.settings.gateway.data_dir.join(tls::FOLDER)),
                Err(problems) => Err(wrong_settings(&problems)),
            },
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let place = match &arguments.what {
        Some(What::Show(place)) => place,
        None => &arguments.place,
    };
    let done = match (place.path(), &arguments.what) {
        (Err(code), _) => return code,
        (Ok(folder), Some(What::Show(_))) => show(&folder),
        (Ok(folder), None) => make(&folder, arguments),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn show(folder: &Path) -> Result<(), String> {
    let files = Files::of(folder);
    let chain = files.read()?;
    say(&format!("{}\nSHA-256 fingerprint {}", files.certificate.display(), chain.fingerprint()));
    say(&format!("ends on {}", chain.ends().as_deref().unwrap_or("a date that is not readable")));
    Ok(())
}

fn make(folder: &Path, arguments: &Arguments) -> Result<(), String> {
    const ELSEWHERE: &str = "name another folder with --dir, or run this as the gateway's user";
    let files = Files::of(folder);
    if let Some(there) = files.there()
        && !arguments.force
    {
        return Err(format!("{} is there already; `--force` makes a new one in its place", there.display()));
    }
    let names = files.make(&arguments.names).map_err(|error| format!("{error}; {ELSEWHERE}"))?;
    say(&format!("made for {}", names.join(", ")));
    show(folder)?;
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    say(&format!(
        "\nFor stile.toml:\n\n[broker.tls]\nlisten = [\"0.0.0.0:8883\"]\ncertificate = {}\nkey = {}\n\nClients need {}.",
        quoted(&files.certificate),
        quoted(&files.key),
        files.authority.display()
    ));
    Ok(())
}

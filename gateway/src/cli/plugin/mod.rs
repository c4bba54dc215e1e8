//! `stile plugin`: what authors and operators do with plugins; one file a verb.
//!
//! `candidate.rs` loads a component that is tried out; `language/` knows projects; `place.rs` is the gateway whose plugins are
//! changed. What the admin page does too stands in the room `plugins`. `text.rs` is how plugins are shown,
//! `figures.rs` how times and sizes are.

mod bench;
mod build;
mod candidate;
mod figures;
mod inspect;
mod install;
mod keys;
mod language;
mod list;
mod new;
mod place;
mod rollback;
mod sign;
mod switch;
mod test;
mod text;
mod verify;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigFile, DEFAULT_CONFIG};
use crate::config::{Problems, Trust};
use crate::signature::PrivateKey;

/// Make plugins, try them out, sign, install and look at them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile plugin new parking                  a small project to begin from
  stile plugin build parking                makes parking/parking.wasm
  stile plugin test parking/parking.wasm    plays its cases
  stile plugin bench parking/parking.wasm --case parking/cases/low-readings-end-here.json
  stile plugin inspect parking.wasm         what it is and asks for
  stile plugin keys anna.key
  stile plugin sign --key anna.key parking.wasm
  stile plugin verify parking.wasm
  stile plugin install parking.wasm         puts it on the messages' way
  stile plugin list                         how all plugins are
  stile plugin disable parking              has messages go past it")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    New(new::Arguments),
    Build(build::Arguments),
    Test(test::Arguments),
    Bench(bench::Arguments),
    Inspect(inspect::Arguments),
    Keys(keys::Arguments),
    Sign(sign::Arguments),
    Verify(verify::Arguments),
    Install(install::Arguments),
    Rollback(rollback::Arguments),
    List(list::Arguments),
    Enable(switch::Enable),
    Disable(switch::Disable),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.what {
        What::New(arguments) => new::run(arguments),
        What::Build(arguments) => build::run(arguments),
        What::Test(arguments) => test::run(arguments),
        What::Bench(arguments) => bench::run(arguments),
        What::Inspect(arguments) => inspect::run(arguments),
        What::Keys(arguments) => keys::run(arguments),
        What::Sign(arguments) => sign::run(arguments),
        What::Verify(arguments) => verify::run(arguments),
        What::Install(arguments) => install::run(arguments),
        What::Rollback(arguments) => rollback::run(arguments),
        What::List(arguments) => list::run(arguments),
        What::Enable(arguments) => switch::enable(arguments),
        What::Disable(arguments) => switch::disable(arguments),
    }
}

/// Where the keys are that are trusted.
#[derive(Debug, clap::Args)]
struct Keys {
    /// The settings whose [plugins] says which keys are trusted; without it /etc/stile/stile.toml, if it is there
    #[arg(long = "config", value_name = "FILE", env = "STILE_CONFIG")]
    config: Option<PathBuf>,
}

impl Keys {
    /// What the settings say; nothing where nobody named any and the usual ones are not there.
    fn trust(&self) -> Result<Trust, Problems> {
        let usual = Path::new(DEFAULT_CONFIG);
        let config = self.config.as_deref().or_else(|| usual.exists().then_some(usual));
        let Some(config) = config else { return Ok(Trust::default()) };
        ConfigFile { config: config.to_owned() }.load_before_users().map(|loaded| loaded.settings.plugins)
    }
}

/// Reads the file of a private key. It has less than 200 bytes.
fn private_key(file: &Path) -> Result<PrivateKey, String> {
    const MAX_BYTES: u64 = 4096;
    let shown = file.display();
    let explain = |error| format!("{shown}: {error}; `stile plugin keys` makes one");
    let mut text = String::new();
    // What its length is said to be is no bound: a device has none.
    let file = std::fs::File::open(file).map_err(explain)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(explain)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("{shown} is no private key: it has more than {MAX_BYTES} bytes"));
    }
    PrivateKey::read(&text).map_err(|why| format!("{shown} is no private key: {why}; `stile plugin keys` makes one"))
}

//! `stile provision`: this machine by the files on its boot partition, or the files for many.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::{EX_CONFIG, complain, fail, say, wrong_settings};
use crate::config::{self, Log};
use crate::logging;
use crate::provision::fleet::{self, Fleet, FleetError};
use crate::provision::{Failure, Outcome, provision};

/// Take the settings that somebody has put onto the boot partition, or make them for many gateways
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads stile.toml, provision.toml and authorized_keys, and what Raspberry Pi Imager has left; docs/provision.md says what may stand
there. All of it is checked before anything is changed. What was taken is wiped from the boot partition; what is wrong is written
there, into stile-errors.txt. Where nothing is to be taken it ends at once, so that it may run at each start.

Exit code: 0 when it is done, or there was nothing to do; 78 when the files are wrong; 1 when the system failed.

Examples:
  stile provision
  stile provision --boot /media/card --root /mnt
  stile provision --csv gateways.csv --out cards --template provision.toml --stile stile.toml")]
pub(super) struct Arguments {
    /// The boot partition
    #[arg(long, value_name = "FOLDER", default_value = "/boot/firmware")]
    boot: PathBuf,
    /// Where the machine's own files are
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
    /// Start the machine again when the firmware was told of another board
    #[arg(long)]
    restart: bool,
    /// Make the files for many gateways: one a line, keys of provision.toml as columns
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with_all = ["boot", "root", "restart"])]
    csv: Option<PathBuf>,
    /// The folder to make, with a folder for each gateway and the list of what was made up
    #[arg(long, value_name = "FOLDER", requires = "csv")]
    out: Option<PathBuf>,
    /// What provision.toml says besides, for all of them
    #[arg(long, value_name = "FILE", requires = "csv")]
    template: Option<PathBuf>,
    /// The gateway's settings, for all of them
    #[arg(long, value_name = "FILE", requires = "csv")]
    stile: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match (&arguments.csv, &arguments.out) {
        (Some(csv), Some(out)) => many(csv, out, arguments),
        _ => this(arguments),
    }
}

fn this(arguments: &Arguments) -> ExitCode {
    // What can't be told on the card is logged.
    let _ = logging::start(&Log::default());
    match provision(&arguments.boot, &arguments.root) {
        Ok(Outcome::Nothing) => ExitCode::SUCCESS,
        Ok(Outcome::Done { notes, restart }) => {
            notes.iter().for_each(|note| say(note));
            if !restart {
                return ExitCode::SUCCESS;
            }
            say("- the firmware was told of another board, which it takes at the next start");
            if arguments.restart { start_again() } else { ExitCode::SUCCESS }
        }
        Err(Failure::Wrong(problems)) => wrong_settings(&problems),
        Err(Failure::System(why)) => fail(&why),
    }
}

fn start_again() -> ExitCode {
    match Command::new("systemctl").args(["--no-block", "reboot"]).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => fail(&format!("systemctl reboot: {status}; switch the machine off and on")),
        Err(error) => fail(&format!("systemctl: {error}; switch the machine off and on")),
    }
}

fn many(csv: &Path, out: &Path, arguments: &Arguments) -> ExitCode {
    let read = |path: &Path| match config::read_text(path) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(format!("{}: there is no such file", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    };
    let texts = || -> Result<_, String> {
        let template = arguments.template.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok((read(csv)?, template, arguments.stile.as_deref().map(read).transpose()?))
    };
    let (rows, template, settings) = match texts() {
        Ok(texts) => texts,
        Err(error) => return fail(&error),
    };
    let fleet = Fleet {
        csv,
        rows: &rows,
        template: (arguments.template.as_deref().unwrap_or(Path::new("provision.toml")), &template),
        settings: arguments.stile.as_deref().zip(settings.as_deref()),
    };
    match fleet.plan().and_then(|cards| fleet::write(&cards, out).map(|()| cards.len())) {
        Ok(count) => {
            let list = out.join(fleet::LIST);
            say(&format!("{count} gateways; what was made up for them stands in {}", list.display()));
            ExitCode::SUCCESS
        }
        Err(FleetError::Wrong(problems)) => {
            problems.iter().for_each(|problem| complain(problem));
            complain(&format!("{} problem(s); nothing was written", problems.len()));
            ExitCode::from(EX_CONFIG)
        }
        Err(FleetError::System(why)) => fail(&why),
    }
}

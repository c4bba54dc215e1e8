//! `stile config apply`, `confirm` and `return`: a change of the settings, on trial until it is confirmed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::changes::{CONFIRM_WITHIN, ChangeError, Changes, Checked, Entry, State, TRIAL, Wanted};
use crate::cli::socket::{self, Which};
use crate::cli::{fail, runtime, say, wrong_settings};
use crate::config;

/// The longest text that is taken from standard input, in bytes; a file of settings may not be longer.
const TEXT_MAX_BYTES: u64 = 1 << 20;

/// Put a file of settings in force, on trial until it is confirmed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is checked as a whole with all others, and then takes the place of the settings' main file, or of the file in conf.d
that --as names. The running gateway takes it at once. Unless `stile config confirm` comes in time, the settings of before come
back by themselves, also after a crash or a power cut. What the gateway does not take is given back at once.

Examples:
  stile config apply new.toml
  stile config apply new.toml --dry-run
  stile config apply boiler.toml --as conf.d/boiler.toml --confirm-within 5m
  stile config apply new.toml --no-trial")]
pub(super) struct Apply {
    /// The new text; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file whose place it takes: conf.d/NAME.toml; without it, the main file
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    how: How,
}

/// How a change is made.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// Give it back unless it is confirmed by then
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = trial)]
    confirm_within: Duration,
    /// Keep it at once
    #[arg(long, conflicts_with = "confirm_within")]
    no_trial: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    which: Which,
}

impl How {
    /// Which gateway.
    pub(super) fn which(&self) -> &Which {
        &self.which
    }

    /// Nothing is to change.
    pub(super) fn is_dry(&self) -> bool {
        self.dry_run
    }
}

/// Keep the change that is on trial
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stile config confirm")]
pub(super) struct Confirm {
    #[command(flatten)]
    which: Which,
}

/// Give the change that is on trial back now
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stile config return")]
pub(super) struct Return {
    #[command(flatten)]
    which: Which,
}

fn trial(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let word = |time: &Duration| humantime::format_duration(*time).to_string();
    match TRIAL.contains(&time) {
        true => Ok(time),
        false => Err(format!("write a time from {} to {}", word(TRIAL.start()), word(TRIAL.end()))),
    }
}

pub(super) fn apply(arguments: &Apply) -> ExitCode {
    let changes = arguments.how.which.changes();
    let text = match text(&arguments.file) {
        Ok(text) => text,
        Err(error) => return fail(&error),
    };
    let name = arguments.name.clone().unwrap_or_else(|| changes.main_name().to_owned());
    carry_out(&changes, &Wanted::from([(name, Some(text))]), &arguments.how)
}

fn text(file: &Path) -> Result<String, String> {
    let explain = |error: std::io::Error| format!("{}: {error}", file.display());
    if file != Path::new("-") {
        return config::read_text(file)
            .map_err(explain)?
            .ok_or_else(|| format!("{}: there is no such file", file.display()));
    }
    let mut text = String::new();
    std::io::stdin().take(TEXT_MAX_BYTES + 1).read_to_string(&mut text).map_err(explain)?;
    if text.len() as u64 > TEXT_MAX_BYTES { Err(format!("it is longer than {TEXT_MAX_BYTES} bytes")) } else { Ok(text) }
}

/// Makes a change, and has the running gateway take it.
pub(super) fn carry_out(changes: &Changes, wanted: &Wanted, how: &How) -> ExitCode {
    let done = if how.dry_run { dry_run(changes, wanted) } else { make(changes, wanted, how) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(ChangeError::Wrong(problems)) => wrong_settings(&problems),
        Err(error) => fail(&error),
    }
}

fn dry_run(changes: &Changes, wanted: &Wanted) -> Result<(), ChangeError> {
    let checked = changes.check(wanted)?;
    tell(&checked);
    let texts = changes.texts()?;
    for (name, new) in wanted {
        let old = texts.get(name).map(String::as_str);
        super::history::show_diff(name, old, new.as_deref());
    }
    Ok(())
}

fn tell(checked: &Checked) {
    for warning in &checked.warnings {
        say(&warning.to_string());
    }
    match &checked.changes {
        Some(changes) if changes.is_empty() => say("no unit differs"),
        Some(changes) => changes.iter().for_each(|change| say(&change.to_string())),
        None => say("the settings that were there are wrong, so what differs is not known"),
    }
}

fn make(changes: &Changes, wanted: &Wanted, how: &How) -> Result<(), ChangeError> {
    // Before it is changed: the gateway that runs has its socket there.
    let place = data_dir(&how.which);
    // Without one, it is on trial until the gateway has taken it.
    let broken = !how.which.are_good();
    let within = if how.no_trial { (!broken).then_some(CONFIRM_WITHIN) } else { Some(how.confirm_within) };
    let (entry, checked) = changes.apply(wanted, &who(), within)?;
    tell(&checked);
    let number = entry.number;
    match place.as_deref().map_or(Ok(false), reload) {
        Err(error) if entry.state == State::Pending => {
            Err(changes.not_taken(number, &error, || drop(place.as_deref().map(reload))))
        }
        Err(error) => {
            Err(format!("change {number} is written, but the running gateway did not take it: {error}").into())
        }
        Ok(runs) if entry.state == State::Kept => {
            say(&format!("change {number} is kept{}", if runs { "" } else { "; no gateway is running here" }));
            Ok(())
        }
        Ok(false) => {
            changes.confirm(Some(number), "the command line: no gateway was running")?;
            say(&format!("change {number} is kept: no gateway is running here, and the next start takes it"));
            Ok(())
        }
        Ok(true) if how.no_trial => {
            changes.confirm(Some(number), &who())?;
            say(&format!("change {number} is in force and kept"));
            Ok(())
        }
        Ok(true) => {
            let time = humantime::format_duration(how.confirm_within);
            say(&format!("change {number} is in force, on trial for {time}: `stile config confirm` keeps it"));
            Ok(())
        }
    }
}

pub(super) fn confirm(arguments: &Confirm) -> ExitCode {
    let changes = arguments.which.changes();
    end(&arguments.which, "is kept", || changes.confirm(None, &who()))
}

pub(super) fn give_back(arguments: &Return) -> ExitCode {
    let changes = arguments.which.changes();
    end(&arguments.which, "is given back", || {
        let settled = changes.give_back_now(None, State::Returned, &format!("by {}", who()))?;
        settled.changed_since.iter().for_each(|file| say(&format!("{file}: changed since, and left as it is")));
        settled.returned.ok_or_else(|| ChangeError::Other("no change is on trial".to_owned()))
    })
}

/// Ends a trial, and has the running gateway read what then stands in the files.
fn end(which: &Which, what: &str, done: impl FnOnce() -> Result<Entry, ChangeError>) -> ExitCode {
    let entry = match done() {
        Ok(entry) => entry,
        Err(error) => return fail(&error),
    };
    say(&format!("change {} {what}", entry.number));
    match data_dir(which).as_deref().map_or(Ok(false), reload) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("but the running gateway did not take it: {error}")),
    }
}

/// Where the running gateway's socket is; `None` where the settings that would say it are wrong.
fn data_dir(which: &Which) -> Option<PathBuf> {
    let named = which.named_data_dir();
    named.or_else(|| which.before_users().ok().map(|loaded| loaded.settings.gateway.data_dir))
}

/// Has the running gateway read the settings again. `false` where none is running.
fn reload(data_dir: &Path) -> Result<bool, String> {
    let runtime = runtime().map_err(|error| error.to_string())?;
    runtime.block_on(socket::post(data_dir, "/reload")).map_err(|error| error.to_string())
}

/// Who sits at the command line: for the history, so what the environment says is good enough.
fn who() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok());
    let mut named = named.filter(|name| !name.is_empty());
    named.next().unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

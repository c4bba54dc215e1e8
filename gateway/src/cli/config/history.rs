//! `stile config history`, `diff` and `restore`: what the settings were.

use std::process::ExitCode;

use super::apply::{How, carry_out};
use crate::changes::{Entry, difference};
use crate::cli::text::{columns, visible};
use crate::cli::{ConfigFile, complain, fail, say};

/// List the changes of the settings, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The last 50 changes that were made by `stile config` or on the admin page are kept, 8 MiB at most. What was changed by hand
shows in the next of them.

Example:
  stile config history")]
pub(super) struct History {
    #[command(flatten)]
    file: ConfigFile,
}

/// Show what a change did to the files
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  stile config diff\n  stile config diff 12")]
pub(super) struct Diff {
    /// The change; without it, the last one
    #[arg(value_name = "NUMBER")]
    number: Option<u64>,
    #[command(flatten)]
    file: ConfigFile,
}

/// Go back to the settings as they were after a change, or with 0 before the first that is kept
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It is a change like any other: on trial until it is confirmed, and in the history.

Examples:
  stile config restore 11
  stile config restore 11 --dry-run")]
pub(super) struct Restore {
    /// The change
    #[arg(value_name = "NUMBER")]
    number: u64,
    #[command(flatten)]
    how: How,
}

pub(super) fn history(arguments: &History) -> ExitCode {
    let (entries, unreadable) = match arguments.file.changes().history() {
        Ok(found) => found,
        Err(error) => return fail(&error),
    };
    if entries.is_empty() {
        say("no changes yet; `stile config apply FILE` makes one");
    }
    let row = |entry: &Entry| {
        let files: Vec<&str> = entry.files.keys().map(String::as_str).collect();
        let state = match entry.note.as_str() {
            "" => entry.state.as_str().to_owned(),
            note => format!("{}: {note}", entry.state.as_str()),
        };
        [entry.number.to_string(), entry.made.clone(), visible(&entry.by), visible(&files.join(", ")), visible(&state)]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    columns(&rows, 5).iter().for_each(|line| say(line));
    if unreadable > 0 {
        complain(&format!("{unreadable} changes can't be read"));
    }
    ExitCode::SUCCESS
}

pub(super) fn diff(arguments: &Diff) -> ExitCode {
    let (entries, _) = match arguments.file.changes().history() {
        Ok(found) => found,
        Err(error) => return fail(&error),
    };
    let wanted = |entry: &&Entry| arguments.number.is_none_or(|number| entry.number == number);
    let Some(entry) = entries.iter().find(wanted) else {
        return fail(&"there is no such change; `stile config history` lists them");
    };
    for (name, edit) in &entry.files {
        show_diff(name, edit.old.as_deref(), edit.new.as_deref());
    }
    ExitCode::SUCCESS
}

/// Prints what differs, as others can read it too.
pub(super) fn show_diff(name: &str, old: Option<&str>, new: Option<&str>) {
    let name = visible(name);
    difference(&name, old, new)
        .lines()
        .for_each(|line| say(&line.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}")));
}

pub(super) fn restore(arguments: &Restore) -> ExitCode {
    let changes = arguments.how.which().changes();
    match changes.as_after(arguments.number) {
        Ok(wanted) => carry_out(&changes, &wanted, &arguments.how),
        Err(error) => fail(&error),
    }
}

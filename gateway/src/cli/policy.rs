//! `stile policy`: what of a message remote brokers may be told, and since when.

mod explain;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::socket::Which;
use super::text::visible;
use super::{ConfigFile, fail, say, wrong_settings};
use crate::sharing::{Entry, read};

/// See what of a message remote brokers may be told, and what changed in that
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Neither needs a running gateway.

Examples:
  stile policy explain lora/0016c001ff10a235/up event.json
  stile policy changes cloud")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what a message would become for each uplink, and why
    #[command(after_help = "\
FILE holds the payload; - stands for standard input. Nothing is sent, and no running gateway is needed. Pseudonyms are the
real ones where the gateway's secret is there and may be read; else they are examples, and it says so.

Exit code: 0 when one of the uplinks would be sent it, 3 when none would, 1 when it can't be told, 78 for wrong settings.

Examples:
  stile policy explain lora/0016c001ff10a235/up event.json
  mosquitto_sub -t 'serial/+/up' -C 1 | stile policy explain serial/meter/up - --uplink cloud
  stile policy explain serial/meter/up reading.json --property content-type=application/json --json")]
    Explain(Explain),
    /// Print what may leave to which remote, and when that changed, the oldest change first
    #[command(after_help = "\
Each change of the settings that lets other things leave is noted when it takes effect, at a start or a reload.

Examples:
  stile policy changes
  stile policy changes cloud --json | jq -r .added[]")]
    Changes(Changes),
}

#[derive(Debug, clap::Args)]
struct Explain {
    /// The message's topic, as it is here
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// The file with its payload
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only this uplink
    #[arg(long, value_name = "NAME")]
    uplink: Option<String>,
    /// A property that its publisher gives it: content-type, response-topic, correlation-data, or else a user property
    #[arg(long, value_name = "NAME=VALUE")]
    property: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: ConfigFile,
}

#[derive(Debug, clap::Args)]
struct Changes {
    /// Only this uplink
    #[arg(value_name = "UPLINK")]
    uplink: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.what {
        What::Explain(wanted) => match wanted.settings.load() {
            Ok(loaded) => explain::run(wanted, &loaded.settings).unwrap_or_else(|error| fail(&visible(&error))),
            Err(problems) => wrong_settings(&problems),
        },
        What::Changes(wanted) => changes(wanted),
    }
}

fn changes(wanted: &Changes) -> ExitCode {
    let data_dir = match wanted.which.data_dir_before_users() {
        Ok(data_dir) => data_dir,
        Err(problems) => return wrong_settings(&problems),
    };
    let entries = match read(&data_dir) {
        Ok(entries) => entries,
        Err(error) => return fail(&format!("can't read the record in {}: {error}", data_dir.display())),
    };
    let asked = entries.iter().filter(|entry| wanted.uplink.as_ref().is_none_or(|name| *name == entry.uplink));
    let lines: Vec<_> = asked.map(|entry| if wanted.json { object(entry) } else { described(entry) }).collect();
    if lines.is_empty() && !wanted.json {
        say(&format!("nothing is noted in {}", data_dir.display()));
    }
    lines.iter().for_each(|line| say(line));
    ExitCode::SUCCESS
}

fn object(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

fn described(entry: &Entry) -> String {
    let clock = if entry.clock == "synchronised" { String::new() } else { format!(" (clock {})", entry.clock) };
    let what = if entry.lines.is_none() { ", no uplink any more" } else { "" };
    let mut lines =
        vec![format!("{}{clock} {} by {}{what}", visible(&entry.time), visible(&entry.uplink), entry.at.as_str())];
    lines.extend(entry.removed.iter().map(|line| format!("  - {}", visible(line))));
    lines.extend(entry.added.iter().map(|line| format!("  + {}", visible(line))));
    lines.join("\n")
}

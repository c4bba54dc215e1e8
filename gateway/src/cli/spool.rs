//! `stile spool`: what waits for remote brokers, in the files of a gateway that does not run.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::socket::Which;
use super::text::columns;
use super::{complain, fail, say, wrong_settings};
use crate::config::Problems;
use crate::message::Message;
use crate::spool::{Contents, FileReport, FileState, SpoolError, Stopped, Stored, uplinks};

/// Where the spools are in the data folder.
const FOLDER: &str = "spool";

/// Look at what waits for remote brokers, while the gateway is stopped
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed. While a gateway runs, its spools are its own: stile uplink status says how they are.

Examples:
  stile spool inspect
  stile spool verify cloud
  stile spool export cloud > waiting.jsonl")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say how much waits for each uplink, and whether it can be told that something is damaged
    #[command(after_help = "\
Only the ends of files are read, as the gateway does when it starts; verify reads all.

Examples:
  stile spool inspect
  stile spool inspect cloud --json
  stile spool inspect --data-dir /mnt/card/var/lib/stile")]
    Inspect(Looking),
    /// Read every byte and say which files are damaged; exit code 0 when none is
    #[command(after_help = "\
Examples:
  stile spool verify
  stile spool verify cloud --json")]
    Verify(Looking),
    /// Print the messages that wait for an uplink, one JSON object a line, in the order in which they would leave
    #[command(after_help = "\
They are as stile tap --json has them, with lane and number in the spool. They stay in the spool.

Examples:
  stile spool export cloud > waiting.jsonl
  stile spool export cloud | jq -r .topic | sort | uniq -c")]
    Export(Export),
}

#[derive(Debug, clap::Args)]
struct Looking {
    /// The uplink's name; without it, all that have a spool
    #[arg(value_name = "UPLINK")]
    uplink: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct Export {
    /// The uplink's name
    #[arg(value_name = "UPLINK")]
    uplink: String,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let which = match &arguments.what {
        What::Inspect(looking) | What::Verify(looking) => &looking.which,
        What::Export(export) => &export.which,
    };
    let folder = match folder(which) {
        Ok(folder) => folder,
        Err(problems) => return wrong_settings(&problems),
    };
    let done = match &arguments.what {
        What::Inspect(looking) => inspect(&folder, looking),
        What::Verify(looking) => verify(&folder, looking),
        What::Export(wanted) => open(&folder, &wanted.uplink).map(|spool| export(&spool)),
    };
    done.unwrap_or_else(|error| fail(&error))
}

/// Where the gateway's spools are.
fn folder(which: &Which) -> Result<PathBuf, Problems> {
    Ok(which.data_dir_before_users()?.join(FOLDER))
}

fn open(folder: &Path, uplink: &str) -> Result<Stopped, String> {
    let mut parts = Path::new(uplink).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(format!("{uplink} is no uplink's name"));
    }
    Stopped::open(&folder.join(uplink)).map_err(|error| match error {
        SpoolError::Locked { folder } => format!(
            "a running gateway has {} open; see `stile uplink status`, or stop the gateway first",
            folder.display()
        ),
        SpoolError::Folder { folder, why } => format!("can't look at {}: {why}", folder.display()),
    })
}

/// The spools that are meant, by name.
fn spools(folder: &Path, looking: &Looking) -> Result<Vec<(String, Stopped)>, String> {
    let names = match &looking.uplink {
        Some(name) => vec![name.clone()],
        None => uplinks(folder).map_err(|error| format!("can't look at {}: {error}", folder.display()))?,
    };
    names.into_iter().map(|name| open(folder, &name).map(|spool| (name, spool))).collect()
}

fn inspect(folder: &Path, looking: &Looking) -> Result<ExitCode, String> {
    let found: Vec<_> = spools(folder, looking)?.into_iter().map(|(name, spool)| (name, spool.contents())).collect();
    if looking.json {
        let object = |(name, contents): &(String, Contents)| json!({ "uplink": name, "contents": contents });
        say(&format!("{:#}", json!({ "spools": found.iter().map(object).collect::<Vec<_>>() })));
    } else if found.is_empty() {
        say(&format!("no uplink has a spool in {}", folder.display()));
    } else {
        say(&table(&found));
    }
    Ok(ExitCode::SUCCESS)
}

const TITLES: [&str; 6] = ["uplink", "lane", "messages", "bytes", "files", "file bytes"];

/// A line for each lane, and below it what is not as it should be.
fn table(found: &[(String, Contents)]) -> String {
    let mut rows = vec![TITLES.map(str::to_owned)];
    for (name, contents) in found {
        rows.extend(contents.lanes.iter().map(|lane| {
            let numbers = [lane.messages, lane.bytes, lane.files as u64, lane.file_bytes].map(|n| n.to_string());
            let [messages, bytes, files, file_bytes] = numbers;
            [name.clone(), lane.lane.to_owned(), messages, bytes, files, file_bytes]
        }));
    }
    let mut lines = columns(&rows, 2);
    for (name, contents) in found {
        lines.extend(remarks(contents).into_iter().map(|remark| format!("{name}: {remark}")));
    }
    lines.join("\n")
}

fn remarks(contents: &Contents) -> Vec<String> {
    let mut remarks = Vec::new();
    if !contents.cursor {
        remarks.push("how far it had been sent is not known; the next start sends all of it once more".to_owned());
    } else if !contents.clean {
        remarks.push("it was not closed in order; the next start repairs what is half-written".to_owned());
    }
    if contents.damage.messages + contents.damage.files > 0 {
        remarks
            .push(format!("{} messages are lost to damage; `stile spool verify` says where", contents.damage.messages));
    }
    let (files, bytes) = contents.kept_aside;
    if files > 0 {
        remarks.push(format!("{files} damaged files of {bytes} bytes are kept in quarantine/"));
    }
    remarks
}

fn verify(folder: &Path, looking: &Looking) -> Result<ExitCode, String> {
    let mut bad = false;
    let mut objects = Vec::new();
    for (name, spool) in spools(folder, looking)? {
        let (reports, missing) = spool.verify();
        bad |= missing > 0 || reports.iter().any(|report| report.state == FileState::Damaged);
        if looking.json {
            objects.push(json!({ "uplink": name, "files": reports, "missing": missing }));
        } else {
            reports.iter().for_each(|report| say(&format!("{name}/{}", line(report))));
            if missing > 0 {
                say(&format!("{name}: {missing} messages are missing with whole files"));
            }
        }
    }
    if looking.json {
        say(&format!("{:#}", json!({ "spools": objects, "whole": !bad })));
    } else {
        say(if bad { "damaged" } else { "nothing is damaged" });
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn line(report: &FileReport) -> String {
    let FileReport { file, bytes, records, lost, .. } = report;
    let state = match report.state {
        FileState::Whole => "whole".to_owned(),
        FileState::Unfinished => "its end is half-written, which the next start repairs".to_owned(),
        FileState::Damaged => format!("damaged, {lost} messages are lost"),
    };
    format!("{file}: {records} messages, {bytes} bytes: {state}")
}

/// Prints all that waits. What is no message, which only another version could have written, is told of.
fn export(spool: &Stopped) -> ExitCode {
    let mut strange = 0_u64;
    spool.export(|stored| match describe(&stored) {
        Ok(object) => print(&object.to_string()),
        Err(error) => {
            strange += 1;
            complain(&format!("stile: {} {}: {error}", stored.seq.priority.as_str(), stored.seq.number));
            true
        }
    });
    if strange == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn describe(stored: &Stored) -> Result<Value, String> {
    let mut object = Message::from_record(&stored.bytes).map_err(|error| error.to_string())?.to_json();
    object["lane"] = stored.seq.priority.as_str().into();
    object["number"] = stored.seq.number.into();
    Ok(object)
}

/// Prints a line. `false` when nobody reads any more.
fn print(line: &str) -> bool {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{line}").is_ok()
}

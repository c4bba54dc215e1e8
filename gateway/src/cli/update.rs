//! `stile update`: installs another version of the whole system on an appliance, and says which of its two systems are good.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::text::{columns, visible};
use super::{fail, runtime, say};
use crate::update::{self, Begun, Progress, Rauc, Record, Slot, Systems};

/// Update the whole system of an appliance, and say how its two systems are
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
The disk of an appliance (the image for a card) has two systems. The one that does not run is written and then started by a
restart of the machine; the settings and messages are kept beside both. A bundle must be signed by somebody whose certificate is in
/etc/rauc/keyring.pem; as a file it may lie on /data, which has room for it. After the restart the new system is on trial: where
the gateway is not healthy within three minutes, the machine goes back to the one before. Exit code: 0 done, 1 not done.

Examples:
  stile update /data/stile-1.3.0-arm64.raucb
  stile update https://updates.example/stile-1.3.0-arm64.raucb    installed while it comes
  stile update --allow-older /data/stile-1.2.0-arm64.raucb
  stile update status                   both systems: version, good or bad, which one starts next
  stile update bad                      give the running system up; the other one starts next")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// The bundle: a file, or an address that begins with https:// or http://
    #[arg(value_name = "FILE|URL", required = true)]
    source: Option<String>,
    /// Install it also where it is older than what runs
    #[arg(long)]
    allow_older: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    Status(Status),
    Good(Good),
    Bad(Bad),
}

/// Say which systems there are, how they are, and what is being installed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stile update status")]
struct Status {
    #[command(flatten)]
    kept: Kept,
}

/// Mark the running system as good: its trial is over
#[derive(Debug, clap::Args)]
#[command(after_help = "\
stile-update-good.service does this at each start, once the gateway was found healthy. stile-update-keep.service does it with the
option, early in each start: the boot loader counts starts, so that a system which has proved good would be given up after three
that end before the gateway was found healthy, as by power cuts.

Examples:
  stile update good
  stile update good --unless-on-trial   only what was found good before")]
struct Good {
    /// Do nothing where the running system is on trial
    #[arg(long)]
    unless_on_trial: bool,
    #[command(flatten)]
    kept: Kept,
}

/// Mark the running system as bad: the other one is started next
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Refused where the other system is not good: there would be nothing to go back to. stile-update-bad.service does this with both
options where the gateway was not found healthy.

Examples:
  stile update bad
  stile update bad --on-trial --reboot  only what is on trial, and start the machine again")]
struct Bad {
    /// Do nothing where the running system is not on trial, or there is no other to go back to
    #[arg(long)]
    on_trial: bool,
    /// Start the machine again
    #[arg(long)]
    reboot: bool,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, clap::Args)]
struct Kept {
    /// The file that says which installation was found good
    #[arg(long, value_name = "FILE", default_value = Record::PATH)]
    record: PathBuf,
}

impl Kept {
    fn record(&self) -> Record {
        Record::at(&self.record)
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = async {
        match (&arguments.what, &arguments.source) {
            (Some(What::Status(Status { kept })), _) => status(&kept.record()).await,
            (Some(What::Good(arguments)), _) => good(arguments).await,
            (Some(What::Bad(arguments)), _) => bad(arguments).await,
            (None, source) => install(source.as_deref().unwrap_or_default(), arguments.allow_older).await,
        }
    };
    match runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(done)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// What RAUC, in a folder of its own, finds.
fn source(text: &str) -> Result<String, anyhow::Error> {
    if text.starts_with("https://") || text.starts_with("http://") {
        return Ok(text.to_owned());
    }
    let path = std::fs::canonicalize(text).map_err(|error| anyhow::anyhow!("{text} can't be read: {error}"))?;
    anyhow::ensure!(path.is_file(), "{text} is no file; a bundle ends in .raucb");
    let path = path.to_str().ok_or_else(|| anyhow::anyhow!("the path of {text} is no text; move it elsewhere"))?;
    Ok(path.to_owned())
}

async fn install(given: &str, allow_older: bool) -> Result<(), anyhow::Error> {
    let Begun { bundle, running, installing } = update::begin(&source(given)?, allow_older).await?;
    let version = visible(&bundle.version);
    say(&format!("installing {version}; {running} runs meanwhile, and stays where it is"));
    let mut line = Line::default();
    let done = installing.finish(|progress| line.show(progress)).await;
    line.end();
    done?;
    say(&format!("{version} is installed, and starts when the machine does: reboot"));
    say(
        "it is on trial then: where the gateway is not healthy within three minutes, the machine goes back to what runs now",
    );
    Ok(())
}

/// How far it is: on a terminal in one line, elsewhere in a line for each step.
#[derive(Default)]
struct Line {
    last: String,
}

impl Line {
    fn show(&mut self, progress: &Progress) {
        let text = format!("{:3} % {}", progress.percent, visible(&progress.doing));
        if text == self.last || progress.doing.is_empty() {
            return;
        }
        let mut out = std::io::stdout().lock();
        // Somebody who does not read is no reason to stop.
        let _ = if out.is_terminal() {
            write!(out, "\r\u{1b}[K{text}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{text}")
        };
        self.last = text;
    }

    fn end(&self) {
        if !self.last.is_empty() && std::io::stdout().is_terminal() {
            say("");
        }
    }
}

async fn status(record: &Record) -> Result<(), anyhow::Error> {
    let rauc = Rauc::connect().await?;
    let progress = rauc.progress().await?;
    if progress.busy {
        say(&format!("an update is being installed: {} %, {}", progress.percent, visible(&progress.doing)));
        return Ok(());
    }
    let systems = rauc.systems().await?;
    say(&format!("{}, version {}", systems.compatible, systems.version()));
    let rows: Vec<_> = systems.slots.iter().map(|slot| row(slot, &systems, record)).collect();
    columns(&rows, 3).iter().for_each(|line| say(line));
    if let Some(error) = progress.last_error {
        say(&format!("the last update failed: {}", visible(&error)));
    }
    if systems.slots.iter().any(|slot| slot.is_next && !slot.runs) {
        say("another system starts next: reboot");
    }
    Ok(())
}

fn row(slot: &Slot, systems: &Systems, record: &Record) -> [String; 3] {
    let version = if slot.runs { Some(systems.version()) } else { slot.version.clone() };
    let mut words = vec![if slot.good { "good" } else { "bad: it is not started" }];
    if slot.runs {
        words.push("runs");
    }
    if slot.is_next {
        words.push("starts next");
    }
    if slot.runs && systems.on_trial(record) {
        words.push("on trial");
    }
    [visible(&slot.boot_name), version.map_or_else(|| "-".to_owned(), |version| visible(&version)), words.join(", ")]
}

async fn good(arguments: &Good) -> Result<(), anyhow::Error> {
    let record = arguments.kept.record();
    let rauc = Rauc::connect().await?;
    let systems = rauc.systems().await?;
    if arguments.unless_on_trial && systems.on_trial(&record) {
        say("the running system is on trial: its starts count");
        return Ok(());
    }
    rauc.mark_good().await?;
    if let Some(slot) = systems.running() {
        if let Some(mark) = slot.mark.as_deref().filter(|mark| record.read().as_deref() != Some(mark)) {
            let written = record.write(mark);
            written.map_err(|error| {
                anyhow::anyhow!("it is good, and that can't be written down: {error}; run it as root")
            })?;
        }
        say(&format!("{}, version {}, is good", slot.boot_name, systems.version()));
    }
    Ok(())
}

async fn bad(arguments: &Bad) -> Result<(), anyhow::Error> {
    let rauc = Rauc::connect().await?;
    let systems = rauc.systems().await?;
    if arguments.on_trial && !systems.on_trial(&arguments.kept.record()) {
        // Each start took one of its tries: without this the boot loader would give it up after three such starts.
        rauc.mark_good().await?;
        say("the running system is not on trial: it stays");
        return Ok(());
    }
    let Some(fallback) = systems.fallback() else {
        let none = "there is no other system that is good, so the running one stays; install one: stile update FILE";
        anyhow::ensure!(arguments.on_trial, "{none}");
        say(none);
        return Ok(());
    };
    rauc.mark_bad().await?;
    let version = fallback.version.as_deref().map(visible).unwrap_or_default();
    say(&format!("the running system is given up; {} {version} starts when the machine does", fallback.boot_name));
    if arguments.reboot {
        update::restart_machine().await.map_err(|why| anyhow::anyhow!("{why}"))?;
    }
    Ok(())
}

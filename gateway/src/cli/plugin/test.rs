//! `stile plugin test`: cases and captures played against a component, in the sandbox that the gateway has.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use stile_filter::cases::{self, Case};

use super::candidate::{self, Candidate};
use super::figures::{median, size, time};
use crate::cli::text::visible;
use crate::cli::{complain, say};
use crate::config::{Log, LogFormat, LogLevel};
use crate::logging;
use crate::message::{ClockQuality, Message};
use crate::plugin_host::{Loaded, Workbench};
use crate::plugins::capture::{self, Capture, Event};
use crate::plugins::install::filter;
use crate::plugins::played::{Played, received};

/// What is to be tested could not be: a file that can't be read, a component that can't be loaded.
const NOT_TESTED: u8 = 2;

/// Play cases or captured messages against a component
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A case is a JSON file: settings, messages with their times, and what is to become of each. A capture is what
`stile tap --json` prints; each of its messages that the plugin is meant for is played, and what becomes of it is shown.
The time that the plugin sees is that of the case or the capture.

Exit code: 0 when all is as it should be, 1 when something differs or a call fails, 2 when it could not be tested.

Examples:
  stile plugin test parking.wasm            the cases in `cases` beside it
  stile plugin test parking.wasm cases/full.json --verbose
  stile plugin test parking.wasm yesterday.ndjson --settings settings.json
  stile tap --json -n 1000 > now.ndjson && stile plugin test parking.wasm now.ndjson")]
pub(super) struct Arguments {
    #[command(flatten)]
    candidate: candidate::Trial,
    /// Cases, folders of them, and captures; without any, the folder `cases` beside the component
    #[arg(value_name = "CASES")]
    cases: Vec<PathBuf>,
    /// Of captures: the plugin's settings, a JSON file
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Of captures: topics that are played; may be given again. Without it, those that its manifest names
    #[arg(long = "topic", value_name = "FILTER")]
    topics: Vec<String>,
    /// Of captures: time between ticks. Without it, that of its manifest
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    tick: Option<Duration>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Print what the plugin logs, on standard error
    #[arg(long, short)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.verbose {
        // Text needs nothing that could be missing.
        let _ = logging::start(&Log { format: LogFormat::Text, level: LogLevel::Debug });
    }
    match test(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("stile: {error}"));
            ExitCode::from(NOT_TESTED)
        }
    }
}

/// Whether all is as it should be.
fn test(arguments: &Arguments) -> Result<bool, String> {
    // All files first: what can't be read should not show after minutes of compiling.
    let files = files(arguments)?;
    let works = files.iter().map(|path| Work::read(path)).collect::<Result<Vec<_>, _>>()?;
    let candidate = arguments.candidate.read()?;
    let explain = |error| format!("{}: {error}", arguments.candidate.file().display());
    let loaded = candidate.load().map_err(explain)?;
    let run = Run { arguments, candidate, loaded };
    let mut all = Outcome::default();
    for (path, work) in files.iter().zip(&works) {
        let outcome = match work {
            Work::Case(case) => run.case(path, case)?,
            Work::Capture(capture) => run.capture(path, capture)?,
        };
        all.add(outcome);
    }
    if !arguments.json {
        say(&all.summary());
    }
    Ok(all.good == all.count)
}

/// The files that are meant, folders opened up.
fn files(arguments: &Arguments) -> Result<Vec<PathBuf>, String> {
    let beside = arguments.candidate.file().parent().unwrap_or(Path::new("")).join("cases");
    let named = if arguments.cases.is_empty() { vec![beside] } else { arguments.cases.clone() };
    let mut found = Vec::new();
    for path in named {
        if path.is_dir() {
            let files = cases::files(&path)?;
            if files.is_empty() {
                return Err(format!("{}: there is no case in it, a file that ends with .json", path.display()));
            }
            found.extend(files);
        } else if path.exists() {
            found.push(path);
        } else {
            return Err(format!("{} is not there; name a case, a folder of cases or a capture", path.display()));
        }
    }
    Ok(found)
}

/// What a file holds.
enum Work {
    Case(Box<Case>),
    Capture(Capture),
}

impl Work {
    fn read(path: &Path) -> Result<Self, String> {
        let text = candidate::text(path)?;
        let read = if capture::is_one(&text) {
            capture::read(&text, 0).map(Self::Capture)
        } else {
            Case::parse(&text).map(|case| Self::Case(Box::new(case)))
        };
        read.map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// What cases came to.
#[derive(Default)]
struct Outcome {
    count: usize,
    good: usize,
    times: Vec<Duration>,
    memory: usize,
}

impl Outcome {
    fn one(good: bool, times: Vec<Duration>, memory: usize) -> Self {
        Self { count: 1, good: usize::from(good), times, memory }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.good += other.good;
        self.times.extend(other.times);
        self.memory = self.memory.max(other.memory);
    }

    fn summary(&self) -> String {
        let Self { count, good, times, memory } = self;
        let cost = cost(times, *memory);
        format!("\n{good} of {count} good; {cost}")
    }
}

fn cost(times: &[Duration], memory: usize) -> String {
    if times.is_empty() {
        return "no messages".to_owned();
    }
    format!("{} messages, {} each, {}", times.len(), time(median(times.to_vec())), size(memory))
}

/// One run of the verb.
struct Run<'a> {
    arguments: &'a Arguments,
    candidate: Candidate,
    loaded: Loaded,
}

impl Run<'_> {
    fn case(&self, path: &Path, case: &Case) -> Result<Outcome, String> {
        let terms = self.candidate.terms(&case.settings, &case.data)?;
        let mut played = Played::new(Workbench::new(self.loaded.clone(), terms, case.start.0));
        let differs = cases::check(case, &mut played).err();
        let Played { times, memory, .. } = played;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        if self.arguments.json {
            let line = json!({
                "file": path.display().to_string(), "about": case.about, "good": differs.is_none(),
                "differs": differs, "messages": times.len(), "cpu_nanoseconds": nanos(&times), "memory_bytes": memory,
            });
            say(&line.to_string());
        } else {
            match &differs {
                None => say(&format!("good   {name}: {}", cost(&times, memory))),
                Some(what) => say(&format!("wrong  {name}: {}\n       {}", visible(&case.about), visible(what))),
            }
        }
        Ok(Outcome::one(differs.is_none(), times, memory))
    }

    fn capture(&self, path: &Path, capture: &Capture) -> Result<Outcome, String> {
        let (arguments, candidate) = (self.arguments, &self.candidate);
        let topics = match arguments.topics.as_slice() {
            [] => candidate.topics()?,
            named => named.iter().map(|text| filter(text)).collect::<Result<_, _>>()?,
        };
        let period = candidate.manifest.as_ref().and_then(|manifest| manifest.tick).filter(|_| self.loaded.ticks());
        let settings = candidate::settings(arguments.settings.as_deref())?;
        let terms = candidate.terms(&settings, &BTreeMap::new())?;
        let start = capture.messages.first().map_or(0, |message| message.received.unix_micros());
        let mut bench = Workbench::new(self.loaded.clone(), terms, start);
        bench
            .start()
            .map_err(|failure| format!("it does not start: {}; --settings names its settings", failure.text))?;
        let (mut times, mut memory, mut counts) = (Vec::new(), 0, BTreeMap::<_, usize>::new());
        let _ = capture::play(&capture.messages, &topics, arguments.tick.or(period), &mut bench, |event, bench| {
            memory = memory.max(bench.memory());
            if event.message.is_some() {
                times.push(bench.cpu());
            }
            *counts.entry(event.word()).or_default() += 1;
            match arguments.json {
                _ if event.is_quiet() => {}
                true => say(&event.json().to_string()),
                false => say(&lines(event)),
            }
            ControlFlow::Continue(())
        });
        if !arguments.json {
            let counted = counts.iter().filter(|(word, _)| **word != "tick");
            let counted = counted.map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ");
            let past = capture.messages.len() - times.len();
            let missed =
                if capture.missed > 0 { format!("; {} are missing in it", capture.missed) } else { String::new() };
            say(&format!("{}: {counted}; {past} were not for it{missed}", path.display()));
        }
        Ok(Outcome::one(!counts.contains_key("failed"), times, memory))
    }
}

/// A line for what happened, and one for each message that came of it.
fn lines(event: &Event<'_>) -> String {
    let time = received(event.at, ClockQuality::Unknown).rfc3339();
    let topic = event.message.map_or_else(String::new, |message| format!(" {}", visible(message.topic.as_str())));
    let why = event.why().map_or_else(String::new, |why| format!(": {}", visible(&why)));
    let mut lines = vec![format!("{time}{topic} {}{why}", event.word())];
    lines.extend(event.out().iter().map(|message| format!("    out {}", shown(message))));
    lines.extend(event.emitted.iter().map(|message| format!("    emits {}", shown(message))));
    lines.join("\n")
}

fn shown(message: &Message) -> String {
    let (encoding, payload) = message.readable_payload();
    let marker = if encoding == "base64" { " (base64)" } else { "" };
    format!("{}{marker} {}", visible(message.topic.as_str()), visible(&payload))
}

fn nanos(times: &[Duration]) -> u64 {
    u64::try_from(median(times.to_vec()).as_nanos()).unwrap_or(u64::MAX)
}

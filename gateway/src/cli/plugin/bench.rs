//! `stile plugin bench`: what a component costs, call by call, on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use stile_filter::cases::{Case, What};

use super::candidate::{self, Candidate};
use super::figures::{median, size, time};
use crate::cli::{fail, say};
use crate::message::{ClockQuality, Message, MessageIds, Origin, Topic};
use crate::plugin_host::compile::Compiler;
use crate::plugin_host::{Failure, Sandbox, Workbench};
use crate::plugins::played::{self, received};

/// Messages in one call. The gateway takes what waits, at most 64.
const BATCHES: [usize; 3] = [1, 16, 64];
/// A round goes on for so long, so that one reading of the clock weighs nothing.
const ROUND: Duration = Duration::from_millis(5);
/// Calls before anything is measured.
const WARM_UP: usize = 20;
/// Second 0 of the messages: midnight before the first of January 2026.
const START: u64 = stile_filter::Time::EXAMPLE.0;

/// Measure what a component costs: CPU time a message, memory, compiling and loading
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Times are the CPU time of the thread that calls the plugin, the copying of messages in and answers out included. The
messages come once a second by their own time.

Examples:
  stile plugin bench parking.wasm
  stile plugin bench parking.wasm --case cases/full.json
  stile plugin bench parking.wasm --topic lora/roof/up --payload '{\"t\":21.5}' --settings settings.json
  stile plugin bench parking.wasm --json > today.json")]
pub(super) struct Arguments {
    #[command(flatten)]
    candidate: candidate::Trial,
    /// Take settings and messages from a case
    #[arg(long, value_name = "FILE", conflicts_with_all = ["payload", "topic", "settings"])]
    case: Option<PathBuf>,
    /// The messages' payload; without it, 64 bytes
    #[arg(long, value_name = "TEXT")]
    payload: Option<String>,
    /// The messages' topic
    #[arg(long, value_name = "TOPIC", default_value = "bench/up")]
    topic: String,
    /// The plugin's settings, a JSON file
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Rounds of which the middle one is told
    #[arg(long, value_name = "N", default_value_t = 31, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match bench(arguments) {
        Ok(figures) => {
            say(&if arguments.json { figures.json().to_string() } else { figures.text() });
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// What was measured.
struct Figures {
    component: usize,
    compiled: usize,
    compile: Duration,
    load: Duration,
    start: Duration,
    memory: usize,
    /// CPU time a message, by the number of messages in a call.
    message: Vec<(usize, Duration)>,
}

/// What the plugin is given.
struct Load {
    settings: Map<String, Value>,
    data: BTreeMap<String, String>,
    messages: Vec<Message>,
}

fn bench(arguments: &Arguments) -> Result<Figures, String> {
    let given = match &arguments.case {
        Some(path) => of_case(path)?,
        None => made(arguments)?,
    };
    let candidate = arguments.candidate.read()?;
    let explain = |error| format!("{}: {error}", arguments.candidate.file().display());
    let sandbox = Sandbox::of(candidate.code()).map_err(|error| error.to_string())?;
    let began = Instant::now();
    let compiler = Compiler::default().making(candidate.code());
    let compiled = compiler.compile(&candidate.bytes).map_err(|error| explain(error.to_string()))?;
    let compile = began.elapsed();
    let mut loads = Vec::new();
    let mut loaded = None;
    for _ in 0..arguments.rounds.min(31) {
        let began = Instant::now();
        loaded = Some(sandbox.load(&compiled).map_err(|error| explain(error.to_string()))?);
        loads.push(began.elapsed());
    }
    let loaded = loaded.ok_or("there was no round")?;
    let terms = candidate.terms(&given.settings, &given.data)?;
    let mut bench = Workbench::new(loaded, terms, START);
    let start = starts(&mut bench, arguments.rounds.min(31))?;
    let message =
        BATCHES.map(|batch| measure(&mut bench, &given.messages, batch, arguments.rounds).map(|time| (batch, time)));
    let message = message.into_iter().collect::<Result<_, _>>()?;
    let Candidate { bytes, .. } = &candidate;
    let (component, compiled, memory) = (bytes.len(), compiled.len(), bench.memory());
    Ok(Figures { component, compiled, compile, load: median(loads), start, memory, message })
}

/// Making an instance and configuring it.
fn starts(bench: &mut Workbench, rounds: u32) -> Result<Duration, String> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        bench.start().map_err(|failure| {
            format!("it does not start: {}; --settings or --case name its settings", failure.text)
        })?;
        times.push(bench.cpu());
    }
    Ok(median(times))
}

/// CPU time a message in calls of so many, the middle one of the rounds.
fn measure(bench: &mut Workbench, messages: &[Message], batch: usize, rounds: u32) -> Result<Duration, String> {
    let mut turn = messages.iter().cycle();
    let mut now = START;
    let mut call = |bench: &mut Workbench| {
        let later = turn.by_ref().take(batch).map(|message| {
            now += 1_000_000;
            Message { received: received(now, ClockQuality::Unknown), ..message.clone() }
        });
        let later: Vec<_> = later.collect();
        bench.set_now(now);
        let explain =
            |failure: Failure| format!("a call with {batch} messages failed: {}: {}", failure.kind, failure.text);
        bench.judge(&later).map_err(explain)?;
        bench.take_emitted();
        Ok::<_, String>(bench.cpu())
    };
    for _ in 0..WARM_UP {
        call(bench)?;
    }
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (mut spent, mut calls) = (Duration::ZERO, 0_u32);
        while spent < ROUND {
            spent += call(bench)?;
            calls += 1;
        }
        let messages = calls.saturating_mul(u32::try_from(batch).unwrap_or(u32::MAX));
        times.push(spent / messages);
    }
    Ok(median(times))
}

fn made(arguments: &Arguments) -> Result<Load, String> {
    let topic = Topic::new(&arguments.topic).map_err(|error| format!("--topic: {:?} {error}", arguments.topic))?;
    let payload = arguments.payload.clone().unwrap_or_else(|| "x".repeat(64));
    let at = received(START, ClockQuality::Unknown);
    let message = Message::new(MessageIds::new(0).next(), at, Origin::Client("bench".into()), topic, payload);
    let settings = candidate::settings(arguments.settings.as_deref())?;
    Ok(Load { settings, data: BTreeMap::new(), messages: vec![message] })
}

fn of_case(path: &Path) -> Result<Load, String> {
    let explain = |error| format!("{}: {error}", path.display());
    let case = Case::parse(&candidate::text(path)?).map_err(explain)?;
    let ids = MessageIds::new(0);
    let shown = case.steps.iter().filter_map(|step| match &step.what {
        What::In(shown) => Some(
            shown
                .message(case.time(step))
                .and_then(|message| played::of_case(&message, &ids).map_err(|error| error.to_string())),
        ),
        What::Tick(_) | What::Restart(_) => None,
    });
    let messages = shown.collect::<Result<Vec<_>, _>>().map_err(explain)?;
    if messages.is_empty() {
        return Err(explain("no message comes in it".to_owned()));
    }
    Ok(Load { settings: case.settings, data: case.data, messages })
}

impl Figures {
    fn text(&self) -> String {
        let row = |what: &str, figure: String| format!("{what:<34}{figure:>10}");
        let mut rows = vec![
            row("component", size(self.component)),
            row("compiled", size(self.compiled)),
            row("compile, once", time(self.compile)),
            row("load what was compiled", time(self.load)),
            row("start an instance, CPU", time(self.start)),
            row("memory of the instance", size(self.memory)),
        ];
        let calls = self.message.iter();
        rows.extend(calls.map(|(batch, cost)| row(&format!("CPU a message, {batch} in a call"), time(*cost))));
        rows.join("\n")
    }

    fn json(&self) -> Value {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let message = self.message.iter().map(|(batch, time)| (batch.to_string(), nanos(*time).into()));
        json!({
            "component_bytes": self.component,
            "compiled_bytes": self.compiled,
            "compile_nanoseconds": nanos(self.compile),
            "load_nanoseconds": nanos(self.load),
            "start_cpu_nanoseconds": nanos(self.start),
            "memory_bytes": self.memory,
            "cpu_nanoseconds_a_message": message.collect::<Map<_, _>>(),
        })
    }
}

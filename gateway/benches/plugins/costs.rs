//! The tables of docs/plugin-costs.md for this machine: by compiled code, and by the interpreter that stands in for it where
//! the compiler knows no such processor (32-bit ARM). The daemon does not have the interpreter yet.

use std::time::Duration;

use stile::pipeline::Processor;
use stile::plugin_host::compile::{Budget, Compiler};
use stile::plugin_host::engine::{self, Code};
use stile::plugin_host::{Sandbox, Terms};
use wasmtime::Config;

use crate::figures::{median, millis, nanos, thread_time};
use crate::loading::instance;
use crate::subject::{Subject, compile, component};

const ROUNDS: usize = 11;
/// Messages of a round.
const MESSAGES: usize = 3_200;

/// A filter at work: its settings and a payload.
struct Work {
    name: &'static str,
    settings: &'static str,
    payload: &'static [u8],
}

const WORKS: [Work; 2] = [
    Work { name: "pass", settings: "{}", payload: &[b'x'; 64] },
    Work {
        name: "redact",
        settings: r#"{ "remove": ["/log"], "round": { "/position/*": 2 } }"#,
        payload: br#"{"position":{"lat":52.51627,"lon":13.3777},"log":"a","speed":3}"#,
    },
];

/// How code is run.
#[derive(Clone, Copy)]
enum Engine {
    Compiled,
    Interpreted,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::Interpreted => "interpreted",
        }
    }

    fn config(self, compiler: bool) -> Config {
        let mut config = engine::config(compiler, Code::Timed);
        if matches!(self, Self::Interpreted) {
            let target = format!("pulley{}", usize::BITS);
            config.target(&target).unwrap();
        }
        config
    }
}

/// Nanoseconds a message.
fn call(subject: &Subject, work: &Work, batch: usize) -> f64 {
    let mut terms = Terms { settings: work.settings.into(), ..Terms::new("bench") };
    // What is interpreted on a slow machine is not to be cut.
    terms.limits.cpu = Duration::from_secs(60);
    let mut plugin = subject.plugin_with(subject.load(), terms);
    let mut messages = subject.messages(batch, 0);
    messages.iter_mut().for_each(|message| message.payload = work.payload.into());
    plugin.process(&messages);
    let cost = nanos(ROUNDS, MESSAGES / batch, || drop(plugin.process(&messages))) / batch as f64;
    assert_eq!(plugin.status().report().failures.iter().sum::<u64>(), 0, "{} judges", work.name);
    cost
}

fn row(work: &Work, engine: Engine) {
    let component = component(work.name);
    let mut compiled = Vec::new();
    let compiling = (0..ROUNDS / 2).map(|_| {
        let before = thread_time();
        compiled = compile(&engine.config(true), &component);
        (thread_time() - before).as_secs_f64() * 1e3
    });
    let compiling = median(compiling.collect());
    let subject = Subject::new(Sandbox::with(&engine.config(false)).unwrap(), compiled);
    let loading = millis(ROUNDS, || subject.load());
    let (alone, batch) = (call(&subject, work, 1), call(&subject, work, 16));
    println!(
        "| `{}`, {} | {:.0} kB | {compiling:.0} ms | {:.0} kB | {loading:.2} ms | {:.1} µs | {:.1} µs |",
        work.name,
        engine.name(),
        component.len() as f64 / 1e3,
        subject.compiled.len() as f64 / 1e3,
        alone / 1e3,
        batch / 1e3
    );
}

pub(crate) fn run() {
    println!("| Filter | Component | CPU time to compile | Compiled | Load | A message alone | In a batch of 16 |");
    println!("|---|---|---|---|---|---|---|");
    for work in &WORKS {
        for engine in [Engine::Compiled, Engine::Interpreted] {
            row(work, engine);
        }
    }
    println!("\n| Besides | |\n|---|---|");
    let compiler = Compiler::new(env!("CARGO_BIN_EXE_stile"), Budget::default());
    for Work { name, .. } in &WORKS {
        let component = component(name);
        let time = millis(ROUNDS / 2, || compiler.compile(&component).unwrap());
        println!("| `{name}`: from the component to compiled code, in the child process | {time:.0} ms |");
    }
    println!("| A further instance of `pass` | {:.0} kB |", instance(&Subject::of("pass")) / 1e3);
}

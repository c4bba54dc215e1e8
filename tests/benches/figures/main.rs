//! The figures of `make bench` that are taken from outside: the built daemon, real pseudo-terminals, real sockets.
//!
//! `figures GROUP` takes one group, tells its progress on standard error, and prints its part of BENCHMARKS.md; a number
//! behind it is how many rounds there are, or kills, or records, for a try. A figure that misses its target is written as
//! missed; only what makes a figure meaningless (a broker that does not start, a message lost) ends the program.
//! `tests/bench/run.sh` calls it.
//!
//! `source.rs` is the device on the pseudo-terminal, `line.rs`, `wire.rs` and `swarm.rs` the MQTT clients, `paced.rs` a
//! steady stream, `filled.rs` a history as after days, `process.rs` what the kernel says of a process, `processors.rs`
//! who runs where, `mosquitto.rs` the other broker, `brokers.rs` both, `report.rs` the arithmetic and the tables; the rest
//! is one file a group.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs, reason = "a benchmark may be loud")]

mod beside;
mod bridge;
mod brokers;
mod crowd;
mod encrypted;
mod filled;
mod forwarder;
mod idle;
mod latency;
mod line;
mod lora;
mod memory;
mod mosquitto;
mod node_red;
mod paced;
mod page;
mod page_memory;
mod plugins;
mod probes;
mod process;
mod processors;
mod report;
mod serial;
mod source;
mod stuck;
mod swarm;
mod throughput;
mod viewers;
mod wire;

/// Rounds of each comparison, medians of which are the figures.
const ROUNDS: usize = 5;
/// How often a forwarder is killed.
const KILLS: usize = 100;

fn main() {
    // Cargo adds `--bench` to the arguments.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let group = arguments.next();
    let number: Option<usize> = arguments.next().map(|rounds| rounds.parse().expect("a number of rounds"));
    let rounds = number.unwrap_or(ROUNDS);
    match group.as_deref() {
        Some("serial") => serial::run(),
        Some("idle") => idle::run(),
        Some("lora") => lora::run(),
        Some("probes") => probes::run(),
        Some("measured-hour") => probes::hour(number.map(|records| records as u64)),
        Some("beside") => beside::run(rounds),
        Some("throughput") => throughput::run(rounds),
        Some("latency") => latency::run(number.unwrap_or(latency::ROUNDS)),
        Some("bridge") => bridge::run(rounds),
        Some("bridge-kills") => bridge::kills(number.unwrap_or(KILLS)),
        Some("crowd") => crowd::run(rounds),
        Some("memory") => memory::run(),
        Some("stuck") => stuck::run(rounds),
        Some("page") => page::run(),
        Some("viewers") => viewers::run(),
        Some("page-memory") => page_memory::run(number.unwrap_or(page_memory::ROUNDS)),
        Some("tls") => encrypted::run(rounds),
        Some("plugin-memory") => plugins::memory(rounds),
        Some("spin") => plugins::spin(rounds),
        Some("node-red") => node_red::run(rounds),
        _ => {
            eprintln!(
                "usage: cargo bench --package stile-tests --bench figures -- \
                 serial|lora|probes|measured-hour|idle|beside|throughput|latency|crowd|memory|stuck|tls|plugin-memory|spin|\
                 node-red|bridge|bridge-kills|page|viewers|page-memory [ROUNDS]"
            );
            std::process::exit(2);
        }
    }
}

//! The figures of `make bench` that are taken from outside: the built daemon, real pseudo-terminals, real sockets.
//!
//! `figures serial|idle|beside|brokers` takes one group, tells its progress on standard error, and prints its part of
//! BENCHMARKS.md. A figure that misses its target is written as missed; only what makes a figure meaningless (a broker
//! that does not start) ends the program. `tests/bench/run.sh` calls it.
//!
//! `source.rs` is the device on the pseudo-terminal, `wire.rs` the MQTT client, `process.rs` what the kernel says of a
//! process, `mosquitto.rs` the other broker, `report.rs` the arithmetic and the tables; the rest is one file a group.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs, reason = "a benchmark may be loud")]

mod beside;
mod brokers;
mod idle;
mod mosquitto;
mod process;
mod report;
mod serial;
mod source;
mod wire;

fn main() {
    // Cargo adds `--bench` to the arguments.
    let group = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    match group.as_deref() {
        Some("serial") => serial::run(),
        Some("idle") => idle::run(),
        Some("beside") => beside::run(),
        Some("brokers") => brokers::run(),
        _ => {
            eprintln!("usage: cargo bench --package stile-tests --bench figures -- serial|idle|beside|brokers");
            std::process::exit(2);
        }
    }
}

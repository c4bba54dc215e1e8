//! What plugins cost, inside of one process: the real host, the real pipeline, components as `plugins/build.sh` makes them.
//!
//! `plugins GROUP` takes one group, tells its progress on standard error and prints its part of BENCHMARKS.md. Costs of
//! calls are CPU time of the thread, so they say nothing of how busy the machine is; a figure that misses its target is
//! written as missed. `costs` prints the tables of docs/plugin-costs.md for the machine that it runs on.
//!
//! `subject.rs` is a component and its plugins, `figures.rs` the clocks, the arithmetic and the tables; the rest is one
//! file a group.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs, reason = "a benchmark may be loud")]

mod calls;
mod costs;
mod figures;
mod limits;
mod loading;
mod subject;
mod way;

fn main() {
    // Cargo adds `--bench` to the arguments.
    let group = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    match group.as_deref() {
        Some("calls") => calls::run(),
        Some("way") => way::run(),
        Some("loading") => loading::run(),
        Some("limits") => limits::run(),
        Some("costs") => costs::run(),
        _ => {
            eprintln!("usage: cargo bench --package stile --bench plugins -- calls|way|loading|limits|costs");
            std::process::exit(2);
        }
    }
}

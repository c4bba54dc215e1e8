//! Broker beside broker: the memory that clients take who are only there.

use std::time::Duration;

use crate::brokers::{Both, Target, allow_many_files};
use crate::process::{megabytes, resident};
use crate::report::{self, Beside};
use crate::wire::Wire;

const CLIENTS: usize = 2_000;
/// After the last has subscribed.
const SETTLE: Duration = Duration::from_secs(1);

/// Resident memory in MB before and with the crowd.
struct Round {
    before: f64,
    with: f64,
}

fn measure(target: &Target) -> Round {
    let memory = || megabytes(resident(target.pid));
    let before = memory();
    let clients = (0..CLIENTS).map(|number| {
        let mut wire = Wire::connect(target.address, &format!("client-{number:04}"));
        wire.subscribe(&format!("devices/{number:04}/down"), 1);
        wire.into_line()
    });
    let clients: Vec<_> = clients.collect();
    std::thread::sleep(SETTLE);
    let with = memory();
    drop(clients);
    Round { before, with }
}

pub(crate) fn run(rounds: usize) {
    allow_many_files();
    let mut all = Vec::new();
    for round in 1..=rounds {
        // Fresh ones each time: what a crowd leaves behind is not this figure.
        let what = format!("MB with {CLIENTS} clients, fresh pair {round} of {rounds}");
        all.extend(Both::start().in_turn(1, &what, |r: &Round| format!("{:.1}", r.with), measure));
    }
    report::beside();
    Beside::of(&all, |r| r.with).at_most(4.0).print(&format!("Resident memory, {CLIENTS} idle clients"), " MB", 1);
    Beside::of(&all, |r| r.before).print("Without clients", " MB", 1);
    let each = |r: &Round| (r.with - r.before) * 1000.0 / CLIENTS as f64;
    Beside::of(&all, each).print("For each client", " kB", 1);
}

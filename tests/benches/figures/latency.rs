//! Broker beside broker at 2,000 messages a second: how long a message takes, and what it costs.

use crate::brokers::{Both, Target};
use crate::paced::{Stream, TOPIC};
use crate::process::cpu;
use crate::report::{self, Beside, micros, percentile};

/// Three seconds.
const MESSAGES: usize = 6_000;

/// In microseconds.
struct Round {
    p50: f64,
    p99: f64,
    cpu: f64,
}

fn measure(target: &Target, qos: u8) -> Round {
    let stream = Stream::start(target.address, TOPIC, 1, qos);
    let before = cpu(target.pid);
    let times = stream.run(MESSAGES);
    let spent = cpu(target.pid) - before;
    Round {
        p50: micros(percentile(&times, 50)),
        p99: micros(percentile(&times, 99)),
        cpu: micros(spent) / MESSAGES as f64,
    }
}

pub(crate) fn run(rounds: usize) {
    let both = Both::start();
    report::beside();
    for qos in [0, 1] {
        let tell = |round: &Round| format!("{:.0}", round.p99);
        let rounds = both.in_turn(rounds, &format!("p99 in µs, QoS {qos}"), tell, |target| measure(target, qos));
        Beside::of(&rounds, |r| r.p50).at_most(1.0).print(&format!("Write to read, p50, QoS {qos}"), " µs", 0);
        Beside::of(&rounds, |r| r.p99).at_most(1.0).print(&format!("Write to read, p99, QoS {qos}"), " µs", 0);
        Beside::of(&rounds, |r| r.cpu).at_most(1.5).print(&format!("CPU a message, QoS {qos}"), " µs", 1);
    }
}

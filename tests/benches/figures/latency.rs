//! Broker beside broker at 2,000 messages a second: how long a message takes, and what it costs.

use crate::brokers::{Both, Target};
use crate::paced::{Stream, TOPIC};
use crate::process::cpu;
use crate::processors::{self, Awake};
use crate::report::{Beside, micros, no_worse, pairs, percentile};

/// The brokers differ by less than each does from round to round; so many pairs tell some 10 % apart.
pub(crate) const ROUNDS: usize = 15;
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

/// Both brokers in turn; `when` ends each figure's name.
fn compare(both: &Both, rounds: usize, when: &str) {
    for qos in [0, 1] {
        let tell = |round: &Round| format!("{:.0}", round.p99);
        let rounds = both.in_turn(rounds, &format!("p99 in µs, QoS {qos}{when}"), tell, |target| measure(target, qos));
        no_worse(&rounds, |r| r.p50, &format!("Write to read, p50, QoS {qos}{when}"), " µs");
        no_worse(&rounds, |r| r.p99, &format!("Write to read, p99, QoS {qos}{when}"), " µs");
        Beside::of(&rounds, |r| r.cpu).at_most(1.5).print(&format!("CPU a message, QoS {qos}{when}"), " µs", 1);
    }
}

/// First the brokers alone, then with what it costs to wake the machine.
pub(crate) fn run(rounds: usize) {
    let both = Both::start();
    processors::part([both.stile.pid, both.mosquitto.pid]);
    pairs();
    match Awake::keep() {
        Ok(_awake) => compare(&both, rounds, ", kept awake"),
        Err(why) => println!("| Processors kept awake | skipped: {why} | | | | |"),
    }
    compare(&both, rounds, "");
}

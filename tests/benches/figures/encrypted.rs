//! Broker beside broker over TLS, with the same certificate: handshakes, and what is carried then.

use std::time::{Duration, Instant};

use crate::brokers::{Both, Target};
use crate::line::Line;
use crate::process::cpu;
use crate::report::{self, Beside, millis};
use crate::throughput::{ONE_TO_ONE, in_turn};
use crate::wire::Wire;

const SHAKING: Duration = Duration::from_millis(1500);
/// Who connect at the same time.
const CLIENTS: usize = 4;

/// Handshakes a second, and milliseconds of the broker's CPU for each.
struct Round {
    rate: f64,
    cpu: f64,
}

/// From TCP's connection to CONNACK, and DISCONNECT; over and over.
fn measure(target: &Target) -> Round {
    let (before, start) = (cpu(target.pid), Instant::now());
    let shake = |client: usize| {
        let mut count = 0;
        while start.elapsed() < SHAKING {
            Wire::greet(Line::connect(target.address, target.tls.as_ref()), &format!("hands-{client}")).leave();
            count += 1;
        }
        count
    };
    let count: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || shake(client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    Round { rate: count as f64 / start.elapsed().as_secs_f64(), cpu: millis(cpu(target.pid) - before) / count as f64 }
}

pub(crate) fn run(rounds: usize) {
    let both = Both::start_with_tls();
    report::beside();
    let shaken = both.in_turn(rounds, "handshakes a second", |round: &Round| format!("{:.0}", round.rate), measure);
    Beside::of(&shaken, |r| r.rate).print("Connections a second, handshake to CONNACK", "", 0);
    Beside::of(&shaken, |r| r.cpu).print("CPU a connection", " ms", 2);
    for qos in [0, 1] {
        let rounds = in_turn(&both, rounds, ONE_TO_ONE, qos);
        Beside::of(&rounds, |r| r.rate).print(&format!("Messages a second, one to one, QoS {qos}"), "", 0);
        Beside::of(&rounds, |r| r.cpu).print(&format!("CPU a message, one to one, QoS {qos}"), " µs", 2);
    }
}

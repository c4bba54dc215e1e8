//! Beside Mosquitto: the same stream of lines on a pseudo-terminal, once with Stile's serial radio on it and once with
//! `mosquitto_pub -l` and a broker, in turn, so that both see the same moods of the machine.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Pid;

use crate::mosquitto::Mosquitto;
use crate::process::cpu;
use crate::report::{median, micros, millis, percentile};
use crate::serial::{self, TOPIC, latencies, lost, subscriber, warm_up};
use crate::source::{FRAME_BYTES, Source};

/// Four seconds at the pace of the line.
const PACED: usize = 1_844;
const FLOOD: usize = 100_000;

/// The figures of one round of one side.
#[derive(Clone, Copy)]
struct Round {
    p50: f64,
    p99: f64,
    cpu: f64,
    paced_lost: f64,
    rate: f64,
    flood_cpu: f64,
    flood_lost: f64,
}

/// Paced, then flooded. `pids` are the processes whose work it is.
fn measure(source: &Source, address: SocketAddr, pids: &[Pid]) -> Round {
    let spent = || pids.iter().map(|pid| cpu(*pid)).sum::<Duration>();
    let each = |before: Duration, count: usize| micros(spent() - before) / count as f64;

    warm_up(source, address);
    let (reader, before) = (subscriber(address, PACED), spent());
    let sent = source.pace(PACED);
    let seen = reader.join().unwrap();
    let (paced_cpu, paced_lost) = (each(before, PACED), lost(&seen, PACED));
    let times = latencies(&sent, &seen);

    let (reader, before) = (subscriber(address, FLOOD), spent());
    let start = source.flood(FLOOD);
    let seen = reader.join().unwrap();
    let (_, last) = *seen.last().expect("something came");
    Round {
        p50: millis(percentile(&times, 50)),
        p99: millis(percentile(&times, 99)),
        cpu: paced_cpu,
        paced_lost: paced_lost as f64,
        rate: seen.len() as f64 / last.duration_since(start).as_secs_f64(),
        flood_cpu: each(before, FLOOD),
        flood_lost: lost(&seen, FLOOD) as f64,
    }
}

fn stile() -> Round {
    let source = Source::open();
    let stile = serial::start(&source);
    let round = measure(&source, stile.mqtt, &[stile.pid()]);
    let counted = stile.metric("stile_mqtt_deliveries_dropped_total{reason=\"queue-full\"}");
    assert_eq!(round.paced_lost + round.flood_lost, counted, "what a subscriber did not get is counted");
    round
}

fn mosquitto() -> Round {
    let source = Source::open();
    let broker = Mosquitto::start("");
    let publisher = broker.publisher(&source, TOPIC);
    measure(&source, broker.address, &[broker.pid(), publisher.pid()])
}

pub(crate) fn run(count: usize) {
    let mut rounds = Vec::new();
    for round in 1..=count {
        let pair = (stile(), mosquitto());
        eprintln!(
            "   round {round} of {count}: p99 {:.2} and {:.2} ms, flooded {:.0} and {:.0} frames/s",
            pair.0.p99, pair.1.p99, pair.0.rate, pair.1.rate
        );
        rounds.push(pair);
    }
    println!("| {FRAME_BYTES}-byte lines | Stile | Mosquitto | Stile / Mosquitto |\n|---|---|---|---|");
    let row = |what: &str, unit: &str, figure: fn(&Round) -> f64| {
        let ours = median(rounds.iter().map(|(ours, _)| figure(ours)).collect());
        let theirs = median(rounds.iter().map(|(_, theirs)| figure(theirs)).collect());
        println!("| {what} | {ours:.2}{unit} | {theirs:.2}{unit} | {:.2} |", ours / theirs);
    };
    row("Last byte to socket, p50", " ms", |r| r.p50);
    row("Last byte to socket, p99", " ms", |r| r.p99);
    row("CPU a message at the line's pace", " µs", |r| r.cpu);
    row("Thousand frames a second, flooded", "", |r| r.rate / 1000.0);
    row("CPU a message, flooded", " µs", |r| r.flood_cpu);
    let most = |figure: fn(&(Round, Round)) -> f64| rounds.iter().map(figure).fold(0.0, f64::max);
    println!(
        "| Most lost in a round at the line's pace, of {PACED} | {} | {} | |\n\
         | Most lost in a flooded round, of {FLOOD} | {} | {} | |",
        most(|r| r.0.paced_lost),
        most(|r| r.1.paced_lost),
        most(|r| r.0.flood_lost),
        most(|r| r.1.flood_lost)
    );
}

//! Broker against broker: one publisher, one subscriber, 64 bytes, the same bare client on both. For orientation.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use rustix::process::Pid;
use stile_tests::Stile;

use crate::mosquitto::Mosquitto;
use crate::process::cpu;
use crate::report::{median, micros};
use crate::wire::{PUBACK, PUBLISH, Wire, publish};

const ROUNDS: usize = 5;
const MESSAGES: usize = 100_000;
const PAYLOAD: [u8; 64] = [b'x'; 64];
const TOPIC: &str = "bench/a";
/// How far the publisher is ahead of the subscriber at most: half of what both brokers queue for a client.
const AHEAD: usize = 500;

/// Messages a second from the first write to the last read, and the broker's CPU a message in microseconds.
fn measure(address: SocketAddr, pid: Pid, qos: u8) -> (f64, f64) {
    let mut subscriber = Wire::connect(address, "subscriber");
    subscriber.subscribe(TOPIC, qos);
    let publisher = Wire::connect(address, "publisher");
    let acknowledgements = (qos > 0).then(|| read_pubacks(publisher.other_end()));
    let (credits, granted) = channel();
    let (before, start) = (cpu(pid), Instant::now());
    let sending = std::thread::spawn(move || publish_all(publisher, &granted, qos));
    let end = read_all(&mut subscriber, &credits);
    let spent = cpu(pid) - before;
    // Kept open until here: closing it would make the broker work.
    let _publisher = sending.join().unwrap();
    if let Some(thread) = acknowledgements {
        thread.join().unwrap();
    }
    (MESSAGES as f64 / end.duration_since(start).as_secs_f64(), micros(spent) / MESSAGES as f64)
}

fn publish_all(mut wire: Wire, granted: &Receiver<usize>, qos: u8) -> Wire {
    let (mut credit, mut sent) = (AHEAD, 0);
    while sent < MESSAGES {
        if credit == 0 {
            credit = granted.recv().unwrap();
        }
        credit += granted.try_iter().sum::<usize>();
        let mut packets = Vec::new();
        for _ in 0..credit.min(MESSAGES - sent) {
            // 1 to 65535, over and over; far more than are under way.
            publish(TOPIC, qos, (sent % 65_535) as u16 + 1, &PAYLOAD, &mut packets);
            sent += 1;
        }
        credit = 0;
        wire.write(&packets);
    }
    wire
}

fn read_pubacks(mut wire: Wire) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut count = 0;
        while count < MESSAGES {
            assert!(wire.read(|packet, _| count += usize::from(packet.kind == PUBACK)), "{count} acknowledged");
        }
    })
}

fn read_all(wire: &mut Wire, credits: &Sender<usize>) -> Instant {
    let mut count = 0;
    while count < MESSAGES {
        let (mut acks, mut fresh) = (Vec::new(), 0);
        let came = wire.read(|packet, _| {
            if packet.kind == PUBLISH {
                assert_eq!(packet.payload(), PAYLOAD);
                acks.extend(packet.puback().into_iter().flatten());
                fresh += 1;
            }
        });
        assert!(came, "{count} of {MESSAGES} came, then silence");
        wire.write(&acks);
        count += fresh;
        // Fails once all is published.
        let _ = credits.send(fresh);
    }
    Instant::now()
}

pub(crate) fn run() {
    let (stile, mosquitto) = (Stile::start(""), Mosquitto::start());
    println!("| 64 bytes, one to one | Stile | Mosquitto | Stile / Mosquitto |\n|---|---|---|---|");
    for qos in [0, 1] {
        let mut rounds = Vec::new();
        for round in 1..=ROUNDS {
            let ours = measure(stile.mqtt, stile.pid(), qos);
            let theirs = measure(mosquitto.address, mosquitto.pid(), qos);
            eprintln!("   QoS {qos}, round {round} of {ROUNDS}: {:.0} and {:.0} messages/s", ours.0, theirs.0);
            rounds.push((ours, theirs));
        }
        let ours = |of: fn(&(f64, f64)) -> f64| median(rounds.iter().map(|(a, _)| of(a)).collect());
        let theirs = |of: fn(&(f64, f64)) -> f64| median(rounds.iter().map(|(_, b)| of(b)).collect());
        let (rate, their_rate) = (ours(|r| r.0), theirs(|r| r.0));
        println!("| Messages a second, QoS {qos} | {rate:.0} | {their_rate:.0} | {:.2} |", rate / their_rate);
        let (cpu, their_cpu) = (ours(|r| r.1), theirs(|r| r.1));
        println!("| CPU a message, QoS {qos} | {cpu:.2} µs | {their_cpu:.2} µs | {:.2} |", cpu / their_cpu);
    }
}

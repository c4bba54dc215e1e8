//! Whether memory comes back: how much more than at the beginning Stile holds after work that leaves nothing behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stile_tests::EndOnDrop;

use crate::brokers::{Both, Target};
use crate::process::{megabytes, resident};
use crate::report::{target, targets};
use crate::throughput::{SHAPES, measure};
use crate::wire::{PUBACK, Wire, publish};

/// What it may hold more than when it was idle, and how long it may take to come to that.
const MORE: f64 = 20.0;
const WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);
const TOPICS: usize = 100_000;
const IDS: usize = 20_000;
const FILTERS: usize = 1_000;
/// The filters are those that match one topic of ten levels.
const LEVELS: usize = 10;
/// Each client may have so many subscriptions by default.
const EACH: usize = 100;
/// Messages that each of the filters gets while it is there, and that come when all are gone.
const WITH_FILTERS: usize = 200;
const WITHOUT_FILTERS: usize = 50_000;
/// Messages on their way at once.
const BATCH: usize = 500;

/// Publishes with QoS 1, and waits until all is acknowledged.
fn publish_all(wire: &mut Wire, topics: impl Iterator<Item = String>) {
    let topics: Vec<_> = topics.collect();
    for batch in topics.chunks(BATCH) {
        let mut packets = Vec::new();
        for (number, topic) in batch.iter().enumerate() {
            publish(topic, 1, number as u16 + 1, &[b'x'; 64], &mut packets);
        }
        wire.write(&packets);
        let mut acknowledged = 0;
        while acknowledged < batch.len() {
            assert!(wire.read(|packet, _| acknowledged += usize::from(packet.kind == PUBACK)), "no acknowledgement");
        }
    }
}

fn unique_topics(target: &Target) {
    let mut wire = Wire::connect(target.address, "topics");
    wire.subscribe("topics/#", 0);
    publish_all(&mut wire, (0..TOPICS).map(|number| format!("topics/{number}/state")));
}

fn unique_ids(target: &Target) {
    for number in 0..IDS {
        Wire::connect(target.address, &format!("device-{number:06}")).leave();
    }
}

/// A filter that matches `a/a/…`; each number another one.
fn filter(number: usize) -> String {
    let level = |bit| if number >> bit & 1 == 1 { "+" } else { "a" };
    (0..LEVELS).map(level).collect::<Vec<_>>().join("/")
}

/// Subscribed to once, and then left while their topic has traffic.
fn abandoned_filters(target: &Target) {
    let topic = filter(0);
    let mut publisher = Wire::connect(target.address, "publisher");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = EndOnDrop(&done);
        for first in (0..FILTERS).step_by(EACH) {
            let mut wire = Wire::connect(target.address, &format!("filters-{first}"));
            (first..first + EACH).for_each(|number| wire.subscribe(&filter(number), 0));
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    wire.read(|_, _| ());
                }
            });
        }
        publish_all(&mut publisher, (0..WITH_FILTERS).map(|_| topic.clone()));
    });
    publish_all(&mut publisher, (0..WITHOUT_FILTERS).map(|_| topic.clone()));
}

/// Waits until memory is back; says how much more it is than `idle` at last, and how long that took.
fn comes_back(stile: &Target, idle: f64) -> (f64, Duration) {
    let start = Instant::now();
    loop {
        let more = megabytes(resident(stile.pid)) - idle;
        if more <= MORE || start.elapsed() >= WITHIN {
            return (more, start.elapsed());
        }
        std::thread::sleep(LOOK);
    }
}

fn row(stile: &Target, idle: f64, what: &str, work: impl FnOnce()) {
    eprintln!("   {what}");
    work();
    let at_once = megabytes(resident(stile.pid)) - idle;
    let (more, after) = comes_back(stile, idle);
    let measured = format!("{more:.1} MB after {:.1} s ({at_once:.1} MB at once)", after.as_secs_f64());
    target(&format!("After {what}"), &measured, &format!("≤ {MORE} MB within {} s", WITHIN.as_secs()), more <= MORE);
}

pub(crate) fn run() {
    let both = Both::start();
    let stile = &both.stile;
    let idle = megabytes(resident(stile.pid));
    targets();
    row(stile, idle, &format!("{TOPICS} topics, each published to once"), || unique_topics(stile));
    row(stile, idle, &format!("{IDS} clients, each with another id"), || unique_ids(stile));
    row(stile, idle, &format!("{FILTERS} filters subscribed to once, then left"), || abandoned_filters(stile));
    for shape in SHAPES {
        for qos in [0, 1] {
            row(stile, idle, &format!("a flood, {}, QoS {qos}", shape.name), || {
                measure(stile, shape, qos);
            });
        }
    }
}

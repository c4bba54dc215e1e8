//! Whether a subscriber that does not read costs the others anything.

use std::net::SocketAddr;

use stile_tests::Stile;

use crate::brokers::quiet_folder;
use crate::paced::{Stream, TOPIC};
use crate::report::{information, median, micros, percentile, target, targets};
use crate::wire::{PUBACK, Wire, publish};

/// Two seconds.
const MESSAGES: usize = 4_000;
const SUBSCRIBERS: usize = 10;
/// The p99 with it, compared to the p99 without.
const WORSE: f64 = 1.5;
const FLOOD: &str = "bench/flood";
/// More than the buffers of the kernel and the client's queue hold.
const FLOOD_MESSAGES: u16 = 300;
const FLOOD_BYTES: usize = 100_000;
const FULL: &str = "stile_mqtt_deliveries_dropped_total{reason=\"queue-full\"}";

/// A subscriber that has not read what came, so that nothing more goes to it.
fn stuck(address: SocketAddr, qos: u8) -> Wire {
    let mut stuck = Wire::connect(address, "stuck");
    stuck.subscribe(FLOOD, 0);
    stuck.subscribe(TOPIC, qos);
    let mut publisher = Wire::connect(address, "flood");
    for id in 1..=FLOOD_MESSAGES {
        let mut packet = Vec::new();
        publish(FLOOD, 1, id, &vec![b'x'; FLOOD_BYTES], &mut packet);
        publisher.write(&packet);
        let mut acknowledged = false;
        while !acknowledged {
            assert!(publisher.read(|packet, _| acknowledged |= packet.kind == PUBACK), "the publisher waits");
        }
    }
    stuck
}

fn p99(address: SocketAddr, qos: u8) -> f64 {
    micros(percentile(&Stream::start(address, TOPIC, SUBSCRIBERS, qos).run(MESSAGES), 99))
}

pub(crate) fn run(rounds: usize) {
    let stile = Stile::start_in(quiet_folder(), "", "");
    targets();
    for qos in [0, 1] {
        let (mut clean, mut beside) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            clean.push(p99(stile.mqtt, qos));
            let full = stile.metric(FULL);
            let stuck = stuck(stile.mqtt, qos);
            beside.push(p99(stile.mqtt, qos));
            assert!(stile.metric(FULL) - full > MESSAGES as f64, "it is stuck, all the while");
            drop(stuck);
            eprintln!(
                "   QoS {qos}, round {round} of {rounds}: p99 {:.0} µs clean, {:.0} µs beside the stuck one",
                clean[round - 1],
                beside[round - 1]
            );
        }
        let (clean, beside) = (median(clean), median(beside));
        information(&format!("p99 of {SUBSCRIBERS} subscribers, QoS {qos}, clean"), &format!("{clean:.0} µs"));
        let wanted = format!("≤ {:.0} µs, {WORSE} times the clean run", clean * WORSE);
        target("The same beside one that is stuck", &format!("{beside:.0} µs"), &wanted, beside <= clean * WORSE);
    }
}

//! Broker beside broker: how much they carry at most, and what a message then costs.
//!
//! Publishers are held back by their subscribers, as far ahead of the slowest as [`AHEAD`] says: nothing need be
//! dropped, and a message that does not come ends the run. A round lasts as long on either broker.

use std::time::{Duration, Instant};

use rustix::process::getpid;

use crate::brokers::{Both, Target};
use crate::line::Line;
use crate::process::cpu;
use crate::report::{self, Beside, micros};
use crate::swarm::Swarm;
use crate::wire::{PUBACK, PUBLISH, Wire, publish};

const PUBLISHING: Duration = Duration::from_millis(1500);
const PAYLOAD: [u8; 64] = [b'x'; 64];
const TOPIC: &str = "bench/a";
/// How far each publisher is ahead of the slowest subscriber at most.
const AHEAD: u64 = 500;
/// It goes on when there is room for so many.
const LOT: u64 = 100;

/// Who publishes and who subscribes.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    publishers: usize,
    subscribers: usize,
}

pub(crate) const ONE_TO_ONE: Shape = Shape { name: "one to one", publishers: 1, subscribers: 1 };
pub(crate) const SHAPES: [Shape; 3] = [
    ONE_TO_ONE,
    Shape { name: "ten to one", publishers: 10, subscribers: 1 },
    Shape { name: "one to fifty", publishers: 1, subscribers: 50 },
];

/// Of one round: delivered messages a second, and microseconds of CPU for each.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) rate: f64,
    pub(crate) cpu: f64,
    clients: f64,
}

/// Clients and their counts. Publishers come first.
struct Flow {
    swarm: Swarm,
    qos: u8,
    sent: Vec<u64>,
    acknowledged: Vec<u64>,
    received: Vec<u64>,
}

impl Flow {
    fn start(target: &Target, shape: Shape, qos: u8) -> Self {
        let mut swarm = Swarm::new();
        let wire = |id: &str| Wire::greet(Line::connect(target.address, target.tls.as_ref()), id);
        for number in 0..shape.publishers {
            swarm.join(wire(&format!("publisher-{number}")));
        }
        for number in 0..shape.subscribers {
            let mut subscriber = wire(&format!("subscriber-{number}"));
            subscriber.subscribe(TOPIC, qos);
            swarm.join(subscriber);
        }
        let none = |count| vec![0; count];
        let (sent, acknowledged) = (none(shape.publishers), none(shape.publishers));
        Self { swarm, qos, sent, acknowledged, received: none(shape.subscribers) }
    }

    fn published(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// Gives every publisher that is done with its last lot its share of what may be on its way.
    fn publish(&mut self) {
        let publishers = self.sent.len() as u64;
        let slowest = self.received.iter().min().copied().unwrap_or_default();
        let share = AHEAD - (self.published() - slowest) / publishers;
        for (number, sent) in self.sent.iter_mut().enumerate() {
            let packets = self.swarm.unsent(number);
            let unacknowledged = if self.qos > 0 { *sent - self.acknowledged[number] } else { 0 };
            let most = share.min(AHEAD.saturating_sub(unacknowledged));
            if most < LOT || !packets.is_empty() {
                continue;
            }
            for _ in 0..most {
                // 1 to 65535, over and over; far more than are under way.
                publish(TOPIC, self.qos, (*sent % 65_535) as u16 + 1, &PAYLOAD, packets);
                *sent += 1;
            }
        }
    }

    fn turn(&mut self) {
        let (acknowledged, received) = (&mut self.acknowledged, &mut self.received);
        let publishers = acknowledged.len();
        self.swarm.turn(|member, packet, _, answers| match packet.kind {
            PUBACK => acknowledged[member] += 1,
            PUBLISH => {
                assert_eq!(packet.payload(), PAYLOAD);
                answers.extend(packet.puback().into_iter().flatten());
                received[member - publishers] += 1;
            }
            kind => panic!("a packet of type {kind}"),
        });
    }

    fn is_done(&self) -> bool {
        let published = self.published();
        self.received.iter().all(|count| *count == published) && (self.qos == 0 || self.acknowledged == self.sent)
    }
}

/// One round.
pub(crate) fn measure(target: &Target, shape: Shape, qos: u8) -> Round {
    let mut flow = Flow::start(target, shape, qos);
    let (broker, clients, start) = (cpu(target.pid), cpu(getpid()), Instant::now());
    while start.elapsed() < PUBLISHING {
        flow.publish();
        flow.turn();
    }
    while !flow.is_done() {
        flow.turn();
    }
    let delivered = (flow.published() * shape.subscribers as u64) as f64;
    Round {
        rate: delivered / start.elapsed().as_secs_f64(),
        cpu: micros(cpu(target.pid) - broker) / delivered,
        clients: micros(cpu(getpid()) - clients) / delivered,
    }
}

/// Rounds on both in turn.
pub(crate) fn in_turn(both: &Both, rounds: usize, shape: Shape, qos: u8) -> Vec<(Round, Round)> {
    let tell = |round: &Round| format!("{:.0}", round.rate);
    both.in_turn(rounds, &format!("messages a second, {}, QoS {qos}", shape.name), tell, |target| {
        measure(target, shape, qos)
    })
}

pub(crate) fn run(rounds: usize) {
    let both = Both::start();
    let mut clients = Vec::new();
    report::beside();
    for shape in SHAPES {
        for qos in [0, 1] {
            let name = format!("{}, QoS {qos}", shape.name);
            let rounds = in_turn(&both, rounds, shape, qos);
            Beside::of(&rounds, |r| r.rate).at_least(5.0).print(&format!("Messages a second, {name}"), "", 0);
            Beside::of(&rounds, |r| r.cpu).less_than(1.0).print(&format!("CPU a message, {name}"), " µs", 2);
            clients.push((name, Beside::of(&rounds, |r| r.clients)));
        }
    }
    for (name, clients) in clients {
        clients.print(&format!("The clients' own CPU a message, {name}"), " µs", 2);
    }
}

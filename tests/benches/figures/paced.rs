//! A steady stream of numbered messages, and how long each took to each of its subscribers.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::swarm::Swarm;
use crate::wire::{PUBACK, PUBLISH, Wire, publish};

/// Between two messages: 2,000 a second.
const STEP: Duration = Duration::from_micros(500);
const PAYLOAD_BYTES: usize = 64;
pub(crate) const TOPIC: &str = "bench/paced";

/// A publisher and its subscribers.
pub(crate) struct Stream {
    swarm: Swarm,
    topic: String,
    publisher: TcpStream,
    subscribers: usize,
    qos: u8,
}

impl Stream {
    pub(crate) fn start(address: SocketAddr, topic: &str, subscribers: usize, qos: u8) -> Self {
        let mut swarm = Swarm::new();
        for number in 0..subscribers {
            let mut subscriber = Wire::connect(address, &format!("paced-{number}"));
            subscriber.subscribe(topic, qos);
            swarm.join(subscriber);
        }
        let wire = Wire::connect(address, "paced");
        let publisher = wire.socket().try_clone().unwrap();
        swarm.join(wire);
        Self { swarm, topic: topic.to_owned(), publisher, subscribers, qos }
    }

    /// Sends so many messages at the pace; the times from before each write to the return of each read, sorted. None may
    /// be missing.
    pub(crate) fn run(self, count: usize) -> Vec<Duration> {
        self.run_at(STEP, count)
    }

    /// The same with so much time between two messages.
    pub(crate) fn run_at(mut self, step: Duration, count: usize) -> Vec<Duration> {
        let (publisher, topic, qos) = (self.publisher, self.topic, self.qos);
        let sending = std::thread::spawn(move || send(publisher, &topic, qos, step, count));
        let mut seen = Vec::with_capacity(count * self.subscribers);
        let mut acknowledged = 0;
        while seen.len() < count * self.subscribers || (qos > 0 && acknowledged < count) {
            self.swarm.turn(|_, packet, at, answers| match packet.kind {
                PUBACK => acknowledged += 1,
                PUBLISH => {
                    let number = packet.payload().first_chunk().expect("the payload begins with its number");
                    seen.push((u32::from_be_bytes(*number), at));
                    answers.extend(packet.puback().into_iter().flatten());
                }
                kind => panic!("a packet of type {kind}"),
            });
            self.swarm.send();
        }
        let sent = sending.join().unwrap();
        let mut times: Vec<_> = seen.iter().map(|(number, at)| at.duration_since(sent[*number as usize])).collect();
        times.sort();
        times
    }
}

/// Says when each was written.
fn send(mut publisher: TcpStream, topic: &str, qos: u8, step: Duration, count: usize) -> Vec<Instant> {
    let start = Instant::now();
    let mut sent = Vec::with_capacity(count);
    for number in 0..count {
        let mut payload = [b'x'; PAYLOAD_BYTES];
        payload[..4].copy_from_slice(&(number as u32).to_be_bytes());
        let mut packet = Vec::new();
        publish(topic, qos, (number % 65_535) as u16 + 1, &payload, &mut packet);
        std::thread::sleep((start + step * number as u32).saturating_duration_since(Instant::now()));
        sent.push(Instant::now());
        // The socket does not block, as little as its other half; what is sent at this pace it takes at once.
        publisher.write_all(&packet).unwrap();
    }
    sent
}

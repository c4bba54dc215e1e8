//! A client with a persistent session that takes numbered messages with QoS 1 and 2, and keeps its half of the session by
//! the book: a QoS 2 message whose number it has noted is not new (MQTT 5.0, section 4.3.3).

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, RawPublish, ack, subscribe};
use stile_tests::{Gone, PATIENCE, RawClient, within};

use super::publisher::Publisher;
use super::{PUBACK, PUBCOMP, PUBREC, PUBREL};

/// How long it waits for a packet before it looks whether it has all.
const BREATH: Duration = Duration::from_millis(20);

/// When it has had enough.
#[derive(Clone, Copy)]
enum Enough<'a> {
    /// After so many packets.
    Packets(u64),
    /// When it has all that was acknowledged to these.
    All(&'a [Publisher]),
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Subscriber {
    connect: Connect,
    filter: &'static str,
    subscribed: bool,
    /// QoS 2 messages whose PUBREL has not come.
    noted: HashSet<u16>,
    /// By publisher, what came, in order.
    came: BTreeMap<String, Vec<u64>>,
}

impl Subscriber {
    pub(crate) fn new(version: u8, name: &str, filter: &'static str) -> Self {
        let connect = Connect::persistent(version, name);
        Self { connect, filter, subscribed: false, noted: HashSet::new(), came: BTreeMap::new() }
    }

    /// Subscribes and goes.
    pub(crate) fn subscribe(&mut self, address: SocketAddr) {
        let (mut client, connack) = RawClient::try_meet(address, &self.connect).unwrap();
        assert_eq!(connack.body[0], 0, "a session of before: {connack:02x?}");
        client.send(&subscribe(self.connect.version, &[(self.filter, 2)], &[]));
        assert_eq!(client.packet().body.last(), Some(&2));
        self.subscribed = true;
    }

    /// Takes `most` packets, or less when the connection is gone before, and then goes without a word.
    pub(crate) fn run(&mut self, address: SocketAddr, most: u64) {
        let _killed: Result<(), Gone> = self.converse(address, Enough::Packets(most));
    }

    /// Takes messages until it has all that were acknowledged to their publishers; nothing more may come then.
    pub(crate) fn finish(&mut self, address: SocketAddr, publishers: &[Publisher]) {
        self.converse(address, Enough::All(publishers)).unwrap();
        // What may be left is what it had and could not acknowledge.
        self.converse(address, Enough::Packets(0)).unwrap();
        self.check(publishers);
    }

    /// The same for members of one shared subscription: together they have all, each in its own order, and nothing of QoS 2
    /// was given to two of them.
    pub(crate) fn finish_shared(members: &mut [Self], address: SocketAddr, publishers: &[Publisher]) {
        let mut together = Self::new(4, "all members", "");
        within("the members have all", || {
            together.came.clear();
            for member in members.iter_mut() {
                member.converse(address, Enough::Packets(0)).unwrap();
                for (publisher, numbers) in &member.came {
                    together.came.entry(publisher.clone()).or_default().extend(numbers);
                }
            }
            together.missing(publishers).is_none().then_some(())
        });
        for numbers in together.came.values_mut() {
            numbers.sort_unstable();
        }
        together.check(publishers);
    }

    /// Takes packets until it is enough, and then what comes before the answer to a PINGREQ.
    fn converse(&mut self, address: SocketAddr, enough: Enough<'_>) -> Result<(), Gone> {
        let (mut client, connack) = RawClient::try_meet(address, &self.connect)?;
        assert!(connack.body[0] == 1 || !self.subscribed, "{}: the session is gone", self.connect.id);
        let (mut packets, mut heard, mut asked) = (0, Instant::now(), false);
        loop {
            match client.try_packet(BREATH)? {
                Some(packet) if packet.kind() == 13 => return Ok(()),
                // The daemon is stopping.
                Some(packet) if packet.kind() == 14 => return Err(Gone),
                Some(packet) => {
                    (packets, heard) = (packets + 1, Instant::now());
                    let answer = match packet.kind() {
                        3 => self.message(&packet.publish(self.connect.version)),
                        _ => self.release(packet.first, &packet.body),
                    };
                    client.try_send(&answer)?;
                }
                None => {
                    let silent = heard.elapsed() > PATIENCE;
                    assert!(!silent, "{}: nothing comes any more; {}", self.connect.id, self.lacks(enough));
                }
            }
            // Only in a pause: that is soon enough, and it takes a while to find out.
            let enough = match enough {
                Enough::Packets(most) => packets >= most,
                Enough::All(publishers) => heard.elapsed() >= BREATH && self.missing(publishers).is_none(),
            };
            if !asked && enough {
                asked = true;
                client.try_send(&[0xc0, 0])?;
            }
        }
    }

    fn lacks(&self, enough: Enough<'_>) -> String {
        match enough {
            Enough::Packets(most) => format!("{most} packets were to come"),
            Enough::All(publishers) => format!("acknowledged, and lost: {:?}", self.missing(publishers)),
        }
    }

    fn message(&mut self, message: &RawPublish) -> Vec<u8> {
        let (publisher, number) = message.text.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        assert_eq!(u64::from(message.qos), 2 - number % 2, "{message:?}");
        if message.qos == 1 || self.noted.insert(message.id) {
            self.came.entry(publisher.to_owned()).or_default().push(number);
        } else {
            assert!(message.dup, "a number that is in use, for another message? {message:?}");
        }
        ack(if message.qos == 1 { PUBACK } else { PUBREC }, message.id)
    }

    fn release(&mut self, first: u8, body: &[u8]) -> Vec<u8> {
        assert_eq!(first, PUBREL, "{body:02x?}");
        let id = u16::from_be_bytes([body[0], body[1]]);
        self.noted.remove(&id);
        ack(PUBCOMP, id)
    }

    /// The first message that was acknowledged to its publisher and has not come.
    fn missing(&self, publishers: &[Publisher]) -> Option<(String, u64)> {
        publishers.iter().find_map(|publisher| {
            let name = publisher.topic.strip_prefix("n/").unwrap();
            let came: HashSet<u64> = self.came.get(name).into_iter().flatten().copied().collect();
            let missing = publisher.acknowledged.iter().find(|number| !came.contains(number));
            missing.map(|number| (name.to_owned(), *number))
        })
    }

    /// Nothing that was acknowledged is missing, nothing of QoS 2 is double, and of each QoS what comes first is in order.
    fn check(&self, publishers: &[Publisher]) {
        assert_eq!(self.missing(publishers), None, "{}: acknowledged, and lost", self.connect.id);
        for publisher in publishers {
            let name = publisher.topic.strip_prefix("n/").unwrap();
            let came = self.came.get(name).map(Vec::as_slice).unwrap_or_default();
            assert!(came.iter().all(|number| *number <= publisher.used()));
            for parity in [0, 1] {
                let mut seen = HashSet::new();
                let of_qos = || came.iter().copied().filter(|number| number % 2 == parity);
                let first: Vec<u64> = of_qos().filter(|number| seen.insert(*number)).collect();
                assert!(
                    !publisher.in_order || first.is_sorted(),
                    "{}: out of order: {:?}",
                    self.connect.id,
                    unsorted(&first)
                );
                let doubles = of_qos().count() - first.len();
                assert!(parity == 1 || doubles == 0, "{}: {doubles} doubles of {name}: {came:?}", self.connect.id);
            }
        }
    }
}

/// Where the order breaks.
fn unsorted(numbers: &[u64]) -> Option<&[u64]> {
    let at = numbers.windows(2).position(|pair| pair[0] > pair[1])?;
    Some(&numbers[at.saturating_sub(5)..(at + 7).min(numbers.len())])
}

//! A client that publishes numbered messages with QoS 1 and 2 in turn, and keeps its half of the session by the book: what
//! is not acknowledged is sent again after a reconnect, with its number and DUP, in its order (MQTT 5.0, section 4.4).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, RawPacket, ack, publish};
use stile_tests::{Gone, PATIENCE, RawClient};

use super::{PUBACK, PUBCOMP, PUBREC, PUBREL};

/// Messages under way at once; the daemon's own limit is 64.
const WINDOW: usize = 12;
/// How long it waits for a packet before it looks whether it is to stop.
const BREATH: Duration = Duration::from_millis(20);

/// What is not acknowledged to the end.
#[derive(Debug)]
struct Sent {
    id: u16,
    number: u64,
    /// PUBREC has come: the message itself may not go again.
    released: bool,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Publisher {
    connect: Connect,
    pub(crate) topic: String,
    /// The next message's number. The odd ones have QoS 1, the even ones QoS 2.
    next: u64,
    last_id: u16,
    sent: VecDeque<Sent>,
    /// The broker has taken something, so it has promised to remember the session.
    known: bool,
    /// The numbers whose PUBACK or PUBREC has come.
    pub(crate) acknowledged: Vec<u64>,
    /// Its messages come in their order.
    pub(crate) in_order: bool,
}

impl Publisher {
    pub(crate) fn new(version: u8, name: &str) -> Self {
        Self {
            connect: Connect::persistent(version, name),
            topic: format!("n/{name}"),
            next: 1,
            last_id: 0,
            sent: VecDeque::new(),
            known: false,
            acknowledged: Vec::new(),
            in_order: true,
        }
    }

    /// How many numbers have been used.
    pub(crate) fn used(&self) -> u64 {
        self.next - 1
    }

    /// Publishes until told to finish, then until all is acknowledged, or until the connection is gone. Counts what is
    /// acknowledged in `progress` too.
    pub(crate) fn run(&mut self, address: SocketAddr, finish: &AtomicBool, progress: &AtomicU64) {
        let _killed: Result<(), Gone> = self.converse(address, finish, progress);
    }

    /// Sends what is not acknowledged until it is.
    pub(crate) fn finish(&mut self, address: SocketAddr) {
        self.converse(address, &AtomicBool::new(true), &AtomicU64::new(0)).unwrap();
    }

    fn converse(&mut self, address: SocketAddr, finish: &AtomicBool, progress: &AtomicU64) -> Result<(), Gone> {
        let (mut client, connack) = RawClient::try_meet(address, &self.connect)?;
        let present = connack.body[0] == 1;
        assert!(present || !self.known, "{}: the session is gone", self.connect.id);
        for sent in &self.sent {
            let again = if sent.released { ack(PUBREL, sent.id) } else { self.message(sent, 8) };
            client.try_send(&again)?;
        }
        let mut heard = Instant::now();
        loop {
            let finishing = finish.load(Ordering::Relaxed);
            while !finishing && self.sent.len() < WINDOW {
                let fresh = self.number();
                client.try_send(&self.message(&fresh, 0))?;
                self.sent.push_back(fresh);
            }
            if finishing && self.sent.is_empty() {
                return Ok(());
            }
            match client.try_packet(BREATH)? {
                // The daemon is stopping.
                Some(packet) if packet.kind() == 14 => return Err(Gone),
                Some(packet) => {
                    heard = Instant::now();
                    if self.handle(&packet, &mut client)? {
                        progress.fetch_add(1, Ordering::Relaxed);
                    }
                }
                None => assert!(heard.elapsed() < PATIENCE, "{}: no answer to {:?}", self.connect.id, self.sent),
            }
        }
    }

    fn number(&mut self) -> Sent {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && self.sent.iter().all(|sent| sent.id != self.last_id) {
                break;
            }
        }
        let number = self.next;
        self.next += 1;
        Sent { id: self.last_id, number, released: false }
    }

    fn message(&self, sent: &Sent, dup: u8) -> Vec<u8> {
        let qos = if sent.number.is_multiple_of(2) { 4 } else { 2 };
        let version = self.connect.version;
        publish(version, dup | qos, &self.topic, sent.id, &[], format!("{} {}", self.connect.id, sent.number))
    }

    /// Says whether it was the first acknowledgement of a message.
    fn handle(&mut self, packet: &RawPacket, client: &mut RawClient) -> Result<bool, Gone> {
        let id = u16::from_be_bytes([packet.body[0], packet.body[1]]);
        let reason = packet.body.get(2).copied().unwrap_or(0);
        let name = &self.connect.id;
        let at = self.sent.iter().position(|sent| sent.id == id);
        let at = at.unwrap_or_else(|| panic!("{name}: nobody asked for {packet:02x?}"));
        // PUBCOMP "not found": the daemon had it released, and was killed before it could say so.
        assert!(reason == 0 || (packet.first == PUBCOMP && reason == 0x92), "{name}: {packet:02x?}");
        self.known = true;
        let (number, released) = (self.sent[at].number, self.sent[at].released);
        match packet.first {
            PUBACK => assert!(self.sent.remove(at).is_some_and(|sent| sent.number % 2 == 1), "{packet:02x?}"),
            PUBREC => {
                self.sent[at].released = true;
                client.try_send(&ack(PUBREL, id))?;
            }
            PUBCOMP => assert!(self.sent.remove(at).is_some_and(|sent| sent.released), "{packet:02x?}"),
            _ => panic!("{name}: {packet:02x?}"),
        }
        let first = packet.first != PUBCOMP && !released;
        if first {
            self.acknowledged.push(number);
        }
        Ok(first)
    }
}

//! A bare MQTT 3.1.1 client: the same little cost on whatever broker, and the instant of each read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::line::Line;

/// After so long without a byte, what has not come counts as lost.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

const CONNACK: u8 = 2;
const SUBACK: u8 = 9;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const PUBLISH: u8 = 3;

/// One packet that came: its type, flags and body.
pub(crate) struct Packet<'a> {
    pub(crate) kind: u8,
    flags: u8,
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    fn qos(&self) -> u8 {
        self.flags >> 1 & 3
    }

    fn topic_end(&self) -> usize {
        2 + usize::from(u16::from_be_bytes([self.body[0], self.body[1]]))
    }

    /// Of a PUBLISH: its topic.
    pub(crate) fn topic(&self) -> &'a [u8] {
        &self.body[2..self.topic_end()]
    }

    /// Of a PUBLISH: its payload.
    pub(crate) fn payload(&self) -> &'a [u8] {
        &self.body[self.topic_end() + if self.qos() > 0 { 2 } else { 0 }..]
    }

    /// Of a PUBLISH with QoS 1: its PUBACK.
    pub(crate) fn puback(&self) -> Option<[u8; 4]> {
        let at = self.topic_end();
        (self.qos() == 1).then(|| [0x40, 2, self.body[at], self.body[at + 1]])
    }
}

pub(crate) struct Wire {
    line: Line,
    buffer: Box<[u8]>,
    filled: usize,
}

impl Wire {
    /// Connects with a clean session.
    pub(crate) fn connect(address: SocketAddr, id: &str) -> Self {
        Self::greet(Line::connect(address, None), id)
    }

    /// CONNECT and its answer, with a clean session and no keep-alive.
    pub(crate) fn greet(line: Line, id: &str) -> Self {
        line.socket().set_read_timeout(Some(SILENCE)).unwrap();
        line.socket().set_write_timeout(Some(SILENCE)).unwrap();
        let mut wire = Self { line, buffer: vec![0; 256 * 1024].into(), filled: 0 };
        let length = u8::try_from(id.len()).unwrap();
        wire.write(&[&[0x10, length + 12], &b"\0\x04MQTT\x04\x02\0\0\0"[..], &[length], id.as_bytes()].concat());
        wire.answer(CONNACK, &[0, 0]);
        wire
    }

    /// Subscribes and waits for the answer.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        let length = u8::try_from(filter.len()).unwrap();
        self.write(&[&[0x82, length + 5, 0, 1, 0, length], filter.as_bytes(), &[qos]].concat());
        self.answer(SUBACK, &[0, 1, qos]);
    }

    fn answer(&mut self, kind: u8, body: &[u8]) {
        let mut found = false;
        while !found {
            let came = self.read(|packet, _| found |= packet.kind == kind && packet.body == body);
            assert!(came, "no answer of type {kind}");
        }
    }

    /// Says DISCONNECT and waits until the broker has closed the connection.
    pub(crate) fn leave(mut self) {
        self.write(&[0xE0, 0]);
        while self.line.read(&mut self.buffer).unwrap() > 0 {}
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.line.write_all(bytes).unwrap();
    }

    /// Writes what the connection takes now; says how much that was.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> usize {
        match self.line.write(bytes) {
            Ok(count) => count,
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            Err(e) => panic!("{e}"),
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.line.socket()
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.line, Line::Tls(_))
    }

    /// Lets the buffer go: all that is wanted of the connection is that it is there.
    pub(crate) fn into_line(self) -> Line {
        self.line
    }

    /// Reads once and gives each whole packet with the instant of the read. `false`: nothing came for [`SILENCE`], or,
    /// where the socket does not block, nothing is there.
    pub(crate) fn read(&mut self, mut each: impl FnMut(Packet<'_>, Instant)) -> bool {
        match self.line.read(&mut self.buffer[self.filled..]) {
            Ok(0) => panic!("the broker closed the connection"),
            Ok(count) => self.filled += count,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return false,
            Err(e) => panic!("{e}"),
        }
        let now = Instant::now();
        let mut rest = &self.buffer[..self.filled];
        while let Some((packet, after)) = split(rest) {
            each(packet, now);
            rest = after;
        }
        let left = rest.len();
        self.buffer.copy_within(self.filled - left..self.filled, 0);
        self.filled = left;
        true
    }
}

/// What a subscriber saw: numbers of messages in the order of their coming, each with the instant of its read.
pub(crate) type Seen = Vec<(usize, Instant)>;

/// Subscribes with QoS 0 and reads in a thread of its own, until `count` messages or silence. `number` finds a message's
/// own in its payload.
pub(crate) fn subscriber(
    address: SocketAddr,
    filter: &str,
    count: usize,
    number: fn(&[u8]) -> usize,
) -> JoinHandle<Seen> {
    let mut wire = Wire::connect(address, "subscriber");
    wire.subscribe(filter, 0);
    std::thread::spawn(move || {
        let mut seen = Vec::with_capacity(count);
        let read_once = |wire: &mut Wire, seen: &mut Seen| {
            wire.read(|packet, at| {
                if packet.kind == PUBLISH {
                    seen.push((number(packet.payload()), at));
                }
            })
        };
        while seen.len() < count && read_once(&mut wire, &mut seen) {}
        seen
    })
}

/// The first packet and what follows it, if it is whole.
fn split(bytes: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (mut length, mut at) = (0, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7F) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = bytes.get(at..at + length)?;
    Some((Packet { kind: bytes[0] >> 4, flags: bytes[0] & 0xF, body }, &bytes[at + length..]))
}

/// A PUBLISH; with QoS 1 its packet identifier is `id`.
pub(crate) fn publish(topic: &str, qos: u8, id: u16, payload: &[u8], out: &mut Vec<u8>) {
    let identifier = id.to_be_bytes();
    let identifier = if qos > 0 { &identifier[..] } else { &[] };
    let mut length = 2 + topic.len() + identifier.len() + payload.len();
    out.push(0x30 | qos << 1);
    while length > 0x7F {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.extend([length as u8, 0, u8::try_from(topic.len()).unwrap()]);
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(identifier);
    out.extend_from_slice(payload);
}

//! A client without a library, for what libraries hide or refuse to do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};

use crate::PATIENCE;
use crate::packet::{Connect, RawPacket, RawPublish, publish, subscribe, unsubscribe};

/// The connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// A TCP connection that speaks MQTT packet by packet.
#[derive(Debug)]
pub struct RawClient {
    /// The connection itself.
    pub stream: TcpStream,
    version: u8,
    inbox: Vec<u8>,
}

impl RawClient {
    /// Connects, without a CONNECT.
    pub fn open(address: SocketAddr, version: u8) -> Self {
        Self::on(TcpStream::connect(address).unwrap(), version)
    }

    /// Connects from another address of this machine, such as 127.0.0.9, without a CONNECT.
    pub fn open_from(source: Ipv4Addr, address: SocketAddr, version: u8) -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from((source, 0))).unwrap();
        rustix::net::connect(&socket, &address).unwrap();
        Self::on(socket.into(), version)
    }

    fn on(stream: TcpStream, version: u8) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, version, inbox: Vec::new() }
    }

    /// Connects and gives the CONNACK as well.
    #[track_caller]
    pub fn meet(address: SocketAddr, connect: &Connect) -> (Self, RawPacket) {
        let mut client = Self::open(address, connect.version);
        client.send(&connect.bytes());
        let connack = client.packet();
        assert_eq!(connack.kind(), 2, "{connack:02x?}");
        (client, connack)
    }

    /// Connects and gives the CONNACK as well, where the daemon may end in the middle of it.
    pub fn try_meet(address: SocketAddr, connect: &Connect) -> Result<(Self, RawPacket), Gone> {
        let stream = TcpStream::connect(address).map_err(|_refused| Gone)?;
        let mut client = Self::on(stream, connect.version);
        client.try_send(&connect.bytes())?;
        let connack = client.try_packet(PATIENCE)?.expect("a CONNACK in time");
        assert_eq!((connack.kind(), connack.body[1]), (2, 0), "{connack:02x?}");
        Ok((client, connack))
    }

    /// Connects; it must be let in.
    #[track_caller]
    pub fn with(address: SocketAddr, connect: &Connect) -> Self {
        let (client, connack) = Self::meet(address, connect);
        assert_eq!(connack.body[1], 0, "{connack:02x?}");
        client
    }

    /// Connects with a clean session.
    #[track_caller]
    pub fn connect(address: SocketAddr, version: u8, id: &str) -> Self {
        Self::with(address, &Connect::new(version, id))
    }

    /// Sends bytes, whatever they are.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next packet.
    #[track_caller]
    pub fn packet(&mut self) -> RawPacket {
        self.packet_within(PATIENCE).expect("a packet, not the end of the connection and not silence")
    }

    /// The next packet, `None` when the time is over or the connection is.
    pub fn packet_within(&mut self, time: Duration) -> Option<RawPacket> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(packet) = self.take_packet() {
                return Some(packet);
            }
            if !self.read(deadline)? {
                return None;
            }
        }
    }

    /// Sends bytes to a daemon that may have ended.
    pub fn try_send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.stream.write_all(bytes).map_err(|_broken| Gone)
    }

    /// The next packet of a daemon that may have ended; `None` when the time is over.
    pub fn try_packet(&mut self, time: Duration) -> Result<Option<RawPacket>, Gone> {
        let deadline = Instant::now() + time;
        loop {
            match self.take_packet() {
                Some(packet) => return Ok(Some(packet)),
                None => match self.read(deadline) {
                    Some(true) => {}
                    Some(false) => return Err(Gone),
                    None => return Ok(None),
                },
            }
        }
    }

    /// Reads what is there; `Some(false)` at the end of the connection, `None` when the time is over.
    fn read(&mut self, deadline: Instant) -> Option<bool> {
        let mut buffer = [0; 16 * 1024];
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        self.stream.set_read_timeout(Some(left)).unwrap();
        match self.stream.read(&mut buffer) {
            Ok(0) => Some(false),
            Ok(n) => {
                self.inbox.extend(&buffer[..n]);
                Some(true)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(_reset) => Some(false),
        }
    }

    fn take_packet(&mut self) -> Option<RawPacket> {
        let (packet, size) = RawPacket::parse(&self.inbox)?;
        self.inbox.drain(..size);
        Some(packet)
    }

    /// The next packet, which must be a PUBLISH.
    #[track_caller]
    pub fn message(&mut self) -> RawPublish {
        self.packet().publish(self.version)
    }

    /// The next packet, which must be a PUBLISH; one with QoS 1 is acknowledged.
    #[track_caller]
    pub fn next_acked(&mut self) -> RawPublish {
        let publish = self.message();
        if publish.qos == 1 {
            self.send(&crate::packet::ack(0x40, publish.id));
        }
        publish
    }

    /// Publishes with this QoS and gives the reason code of the answer; `None` when the gateway closes the connection
    /// instead. With QoS 0 a PINGREQ behind it tells. No message may be on its way.
    #[track_caller]
    pub fn publish_coded(&mut self, qos: u8, topic: &str, payload: &str) -> Option<u8> {
        self.send(&publish(self.version, qos << 1, topic, 77, &[], payload));
        if qos == 0 {
            // The connection may be closed already.
            let _ = self.stream.write_all(&[0xc0, 0]);
        }
        let answer = self.packet_within(PATIENCE)?;
        match answer.first {
            0xd0 => Some(0),
            0x40 => Some(*answer.body.get(2).unwrap_or(&0)),
            0x50 => {
                let code = *answer.body.get(2).unwrap_or(&0);
                if code < 0x80 {
                    self.send(&crate::packet::ack(0x62, 77));
                    assert_eq!(self.packet().first, 0x70);
                }
                Some(code)
            }
            0xe0 => None,
            _ => panic!("{answer:02x?}"),
        }
    }

    /// Subscribes and gives the reason codes. No message may be on its way.
    #[track_caller]
    pub fn subscribe(&mut self, filters: &[(&str, u8)], properties: &[u8]) -> Vec<u8> {
        self.send(&subscribe(self.version, filters, properties));
        let suback = self.packet();
        assert_eq!(suback.first, 0x90, "{suback:02x?}");
        suback.body[suback.body.len() - filters.len()..].to_vec()
    }

    /// Unsubscribes and gives the body of the answer behind the packet's number.
    #[track_caller]
    pub fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        self.send(&unsubscribe(self.version, filters));
        let unsuback = self.packet();
        assert_eq!(unsuback.first, 0xb0, "{unsuback:02x?}");
        unsuback.body[2..].to_vec()
    }

    /// Publishes with QoS 0.
    #[track_caller]
    pub fn publish(&mut self, topic: &str, properties: &[u8], payload: impl AsRef<[u8]>) {
        self.send(&publish(self.version, 0, topic, 0, properties, payload));
    }

    /// Publishes with QoS 1 and waits for the PUBACK. No message may be on its way.
    #[track_caller]
    pub fn publish_acked(&mut self, retain: bool, topic: &str, properties: &[u8], payload: impl AsRef<[u8]>) {
        self.send(&publish(self.version, 2 | u8::from(retain), topic, 9, properties, payload));
        let puback = self.packet();
        assert_eq!((puback.first, &puback.body[..2], puback.body.get(2).unwrap_or(&0)), (0x40, &[0, 9][..], &0));
    }

    /// That nothing waits: the answer to a PINGREQ comes next.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        self.send(&[0xc0, 0]);
        let packet = self.packet();
        assert_eq!(packet, RawPacket { first: 0xd0, body: vec![] }, "{packet:02x?}");
    }

    /// The packets that still come until the gateway closes the connection.
    #[track_caller]
    pub fn expect_closed(mut self) -> Vec<RawPacket> {
        let deadline = Instant::now() + PATIENCE;
        while self.read(deadline).expect("the gateway closes the connection in time") {}
        std::iter::from_fn(|| self.take_packet()).collect()
    }

    /// Says DISCONNECT and waits for the end.
    #[track_caller]
    pub fn disconnect(mut self) {
        self.send(&[0xe0, 0]);
        self.expect_closed();
    }

    /// Breaks the connection off without a word.
    pub fn cut(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

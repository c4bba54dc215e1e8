//! Whose turn it is: what a client publishes comes to the others before its acknowledgement comes to it.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex};
use tokio_util::sync::CancellationToken;

use super::super::{Below, Broker};
use super::*;
use crate::config;
use crate::supervisor::Supervisor;
use crate::users::UsersFile;

/// A client of MQTT 3.1.1 in memory.
struct Client {
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
}

impl Client {
    /// Sends CONNECT and waits for CONNACK.
    async fn connect(broker: &Broker, id: u8) -> Self {
        let (ours, theirs) = duplex(1 << 16);
        let broker = broker.clone();
        tokio::spawn(async move {
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            broker.converse(Below::Nothing, theirs, peer, &CancellationToken::new()).await;
        });
        let (reader, writer) = tokio::io::split(ours);
        let mut client = Self { reader, writer };
        client.send(&[&b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"[..], &[id]].concat()).await;
        client.expect(0x20).await;
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    /// A packet with this first byte, and no longer than 127 bytes.
    async fn expect(&mut self, first: u8) {
        let mut header = [0; 2];
        tokio::time::timeout(LONG, self.reader.read_exact(&mut header)).await.unwrap().unwrap();
        let mut rest = vec![0; header[1].into()];
        self.reader.read_exact(&mut rest).await.unwrap();
        assert_eq!(header[0], first, "{rest:?}");
    }
}

#[tokio::test]
async fn a_message_is_with_its_subscribers_before_its_publisher_is_told() {
    const SUBSCRIBE: &[u8] = &[0x82, 6, 0, 1, 0, 1, b't', 1];
    const PUBLISH: &[u8] = &[0x32, 6, 0, 1, b't', 0, 1, b'x'];
    let (pipeline, delivered) = pipeline();
    let (folder, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::default());
    let (kept, users) = (Store::open(folder.path()).unwrap(), UsersFile::of(folder.path()));
    let settings = Arc::new(config::Broker { max_connections_per_address: 10, ..Default::default() });
    let broker = Broker::start(settings, users, delivered, pipeline, kept, &supervisor).await.unwrap();
    let mut subscribers = [Client::connect(&broker, b'a').await, Client::connect(&broker, b'b').await];
    for subscriber in &mut subscribers {
        subscriber.send(SUBSCRIBE).await;
        subscriber.expect(0x90).await;
    }
    let mut publisher = Client::connect(&broker, b'c').await;
    publisher.send(PUBLISH).await;
    publisher.expect(0x40).await;
    for subscriber in &mut subscribers {
        subscriber.expect(0x32).await;
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let [a, b] = subscribers;
    let readers = [(a, 0x32), (b, 0x32), (publisher, 0x40)].map(|(mut client, first)| {
        let order = Arc::clone(&order);
        tokio::spawn(async move {
            if first == 0x40 {
                // The router has matched the topic by now.
                client.send(PUBLISH).await;
            }
            client.expect(first).await;
            order.lock().unwrap().push(first);
        })
    });
    for reader in readers {
        tokio::time::timeout(LONG, reader).await.unwrap().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0x32, 0x32, 0x40]);
}

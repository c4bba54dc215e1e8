//! A broker in memory for the fuzz targets: three clients play a [`script`], and a neighbour must not notice.

pub mod plugins;
mod script;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use stile::codec::{self, Connect, Packet, Publish, Subscribe, Subscription, Utf8, Version};
use stile::broker::{Below, Broker};
use stile::config;
use stile::message::QoS;
use stile::pipeline::Pipeline;
use stile::store::Store;
use stile::supervisor::{Rank, Supervisor};
use stile::users::UsersFile;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use script::{CLIENTS, Step};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// What fits into a connection that nobody reads.
const PIPE: usize = 16 * 1024;

/// The broker, and whatever else an input needs. One lives through many inputs, as a daemon would.
pub struct Bench {
    runtime: Runtime,
    world: World,
}

struct World {
    broker: Broker,
    pipeline: Arc<Pipeline>,
    neighbour: Neighbour,
    store: Store,
    /// The store's.
    _data: TempDir,
}

impl Bench {
    /// Starts it.
    #[allow(clippy::new_without_default, reason = "it starts threads")]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let world = runtime.block_on(World::start());
        Self { runtime, world }
    }

    /// Plays a script; panics when the neighbour notices, or anything is not as it must be.
    pub fn play(&mut self, below: Below, script: &[u8]) {
        self.runtime.block_on(self.world.play(below, script));
    }
}

impl World {
    async fn start() -> Self {
        // Little of each, so that limits are reached, and memory stays where it is.
        let settings = config::Broker {
            max_connections: 50,
            max_packet_size: 4096,
            session_queue: 50,
            session_queue_bytes: 20_000,
            retained_messages: 20,
            retained_bytes: 20_000,
            subscriptions_per_client: 20,
            receive_maximum: 8,
            ..config::Broker::default()
        };
        let supervisor = Supervisor::default();
        let (pipeline, delivered) = Pipeline::new(1);
        let data = tempfile::tempdir_in(memory()).expect("a folder");
        let (store, stored) = Store::open(data.path()).expect("a store");
        let writer = store.clone();
        let watched = store.clone();
        supervisor.start("store", Rank::Core, move |stop| writer.clone().run(stop));
        let stored = (store, stored);
        let users = UsersFile::of(data.path());
        let broker = Broker::start(Arc::new(settings), users, delivered, Arc::clone(&pipeline), stored, &supervisor);
        let broker = broker.await.expect("a broker");
        let neighbour = Neighbour::connect(&broker).await;
        Self { broker, pipeline, neighbour, store: watched, _data: data }
    }

    async fn play(&mut self, below: Below, script: &[u8]) {
        let mut clients: [Option<Client>; CLIENTS] = Default::default();
        let mut ended = Vec::new();
        let mut now = 0;
        for step in script::read(script) {
            match step {
                Step::Client(client) => now = client,
                Step::Send(bytes) => {
                    clients[now].get_or_insert_with(|| Client::connect(&self.broker, below)).send(&bytes).await;
                }
                Step::Cut => ended.extend(clients[now].take().map(Client::cut)),
                Step::Settle => self.neighbour.is_well().await,
            }
        }
        ended.extend(clients.into_iter().flatten().map(Client::cut));
        for connection in ended {
            within("a connection ends when its client has gone", connection).await.expect("no panic");
        }
        self.neighbour.is_well().await;
        assert!(self.pipeline.ledger().snapshot().balances());
        assert_eq!(self.broker.stats().router_failures.load(Ordering::Relaxed), 0, "the router failed");
        assert_eq!(self.store.figures().failures.load(Ordering::Relaxed), 0, "the store failed");
    }
}

/// Where waiting for the disk costs nothing, if there is such a place.
fn memory() -> PathBuf {
    Some(PathBuf::from("/dev/shm")).filter(|folder| folder.is_dir()).unwrap_or_else(std::env::temp_dir)
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// A connection of the script's, with whatever it is sent read away.
struct Client {
    writer: WriteHalf<DuplexStream>,
    reader: JoinHandle<()>,
    served: JoinHandle<()>,
}

impl Client {
    fn connect(broker: &Broker, below: Below) -> Self {
        let (ours, served) = connect(broker, below);
        let (mut reader, writer) = tokio::io::split(ours);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while reader.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
        });
        Self { writer, reader, served }
    }

    async fn send(&mut self, bytes: &[u8]) {
        // Fails when the broker has sent the client away.
        let _ = within("the broker reads", self.writer.write_all(bytes)).await;
    }

    fn cut(self) -> JoinHandle<()> {
        self.reader.abort();
        self.served
    }
}

fn connect(broker: &Broker, below: Below) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = duplex(PIPE);
    let broker = broker.clone();
    let served = tokio::spawn(async move {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        broker.converse(below, theirs, peer, &CancellationToken::new()).await;
    });
    (ours, served)
}

/// A client that minds its own business. Its name and topic are none that a script could guess.
struct Neighbour {
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    inbox: BytesMut,
    topic: Utf8,
    count: u64,
}

impl Neighbour {
    async fn connect(broker: &Broker) -> Self {
        let (ours, _served) = connect(broker, Below::Nothing);
        let (reader, writer) = tokio::io::split(ours);
        let secret = std::process::id().wrapping_mul(0x9e37_79b9);
        let topic = Utf8::new(&format!("neighbour {secret:08x}/{:p}", broker.stats())).expect("a topic");
        let mut neighbour = Self { reader, writer, inbox: BytesMut::new(), topic: topic.clone(), count: 0 };
        let mut connect = Connect::new(Version::V5, topic.clone());
        connect.keep_alive = 0;
        neighbour.send(Packet::Connect(Box::new(connect))).await;
        assert!(matches!(neighbour.next().await, Packet::ConnAck(_)));
        let subscription = Subscription {
            filter: topic,
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: codec::RetainHandling::Never,
        };
        let subscriptions = vec![subscription];
        let subscribe = Subscribe { packet_id: id(1), subscription_id: None, user: Vec::new(), subscriptions };
        neighbour.send(Packet::Subscribe(subscribe)).await;
        assert!(matches!(neighbour.next().await, Packet::SubAck(_)));
        neighbour
    }

    /// What it publishes comes back to it, once, and is acknowledged; nothing else comes.
    async fn is_well(&mut self) {
        self.count += 1;
        let payload = Bytes::from(self.count.to_string());
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: self.topic.clone(),
            packet_id: Some(id(9)),
            payload: payload.clone(),
            properties: None,
        };
        self.send(Packet::Publish(publish)).await;
        let (mut acked, mut came) = (false, false);
        while !(acked && came) {
            match self.next().await {
                Packet::PubAck(_) => acked = true,
                Packet::Publish(publish) => {
                    assert!(!came && publish.payload == payload, "not the neighbour's message: {publish:?}");
                    came = true;
                    self.send(Packet::PubAck(codec::Ack::new(
                        publish.packet_id.expect("QoS 1"),
                        codec::ReasonCode::Success,
                    )))
                    .await;
                }
                other => panic!("for the neighbour: {other:?}"),
            }
        }
    }

    async fn send(&mut self, packet: Packet) {
        let mut out = BytesMut::new();
        codec::write(&packet, Version::V5, &mut out).expect("a packet of version 5");
        within("the neighbour is heard", self.writer.write_all(&out)).await.expect("the neighbour is connected");
    }

    async fn next(&mut self) -> Packet {
        loop {
            if let Some(packet) = codec::read(&mut self.inbox, Some(Version::V5), 1 << 20).expect("sound packets") {
                return packet;
            }
            let read = within("the neighbour is answered", self.reader.read_buf(&mut self.inbox)).await;
            assert!(read.is_ok_and(|n| n > 0), "the neighbour was sent away");
        }
    }
}

/// A packet identifier.
pub fn id(number: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(number).expect("not zero")
}

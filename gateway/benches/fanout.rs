//! How many messages a second go from the pipeline to a subscriber, all in one process.
//!
//! A message counts when the subscriber has read it. On the way it is made as a radio makes it, ingested (ledger,
//! delivery), matched by the hub and its router, queued in the session's outbox, written as an MQTT 3.1.1 PUBLISH with
//! QoS 0 to a loopback socket by the connection's own task, and read there by a plain thread. The settings are the
//! default ones and the runtime is the daemon's, on one thread. The source stays at most [`AHEAD`] messages
//! ahead of the reader, so that nothing need be dropped; every message is numbered, and one that is missing or out of
//! order ends the run.
//!
//! Prints one row of a Markdown table.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs, reason = "a benchmark may be loud")]

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stile::broker::{Broker, bind};
use stile::config::{self, Door};
use stile::message::{Origin, Topic};
use stile::pipeline::Pipeline;
use stile::store::Store;
use stile::supervisor::{Rank, Supervisor};
use stile::users::UsersFile;
use tokio::sync::Semaphore;

const ROUNDS: usize = 5;
const MESSAGES: u64 = 1_000_000;
const PAYLOAD_BYTES: usize = 64;
/// Well below the default `session-queue`.
const AHEAD: usize = 800;
/// Credits are given back in lots, as acknowledgements of a window would be.
const LOT: u64 = 50;
const TARGET: f64 = 200_000.0;
const TOPIC: &str = "serial/bench/up";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let supervisor = Supervisor::default();
        let (pipeline, address) = start(&supervisor).await;
        let mut rates = Vec::new();
        for round in 1..=ROUNDS {
            let rate = measure(&pipeline, address).await;
            eprintln!("   round {round} of {ROUNDS}: {rate:.0} messages/s");
            rates.push(rate);
        }
        let ledger = pipeline.ledger().snapshot();
        assert!(ledger.balances() && ledger.delivered == ROUNDS as u64 * MESSAGES, "{ledger:?}");
        assert!(supervisor.stop("mqtt", Duration::from_secs(10)).await);
        rates.sort_by(f64::total_cmp);
        let (slowest, median) = (rates[0], rates[ROUNDS / 2]);
        let verdict = if median >= TARGET { "met" } else { "**missed**" };
        println!(
            "| Messages a second, median of {ROUNDS} rounds of {MESSAGES} (slowest {slowest:.0}), none lost \
             | {median:.0} | ≥ {TARGET:.0} | {verdict} |"
        );
    });
}

async fn start(supervisor: &Supervisor) -> (Arc<Pipeline>, SocketAddr) {
    let (pipeline, delivered) = Pipeline::new(1);
    let settings = Arc::new(config::Broker::default());
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let users = UsersFile::of(folder.path());
    let broker = Broker::start(settings, users, delivered, Arc::clone(&pipeline), store, supervisor).await.unwrap();
    let listener = bind(Door::Plain, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    supervisor.start_critical("mqtt", Rank::Clients, move |stop| async move {
        broker.listen(Door::Plain, listener, stop).await
    });
    (pipeline, address)
}

/// One round: a subscriber comes, `MESSAGES` pass, it goes.
async fn measure(pipeline: &Pipeline, address: SocketAddr) -> f64 {
    let credits = Arc::new(Semaphore::new(AHEAD));
    let stream = tokio::task::spawn_blocking(move || subscribe(address)).await.unwrap();
    let returned = Arc::clone(&credits);
    let start = Instant::now();
    let reader = std::thread::spawn(move || read_all(stream, &returned));
    let topic = Topic::new(TOPIC).unwrap();
    let name: Arc<str> = "bench".into();
    for number in 0..MESSAGES {
        credits.acquire().await.unwrap().forget();
        let mut payload = [0; PAYLOAD_BYTES];
        payload[..8].copy_from_slice(&number.to_be_bytes());
        let origin = Origin::Radio(Arc::clone(&name));
        let payload = Bytes::copy_from_slice(&payload);
        pipeline.ingest(pipeline.message(pipeline.clock().now(), origin, topic.clone(), payload)).await.unwrap();
    }
    let end = tokio::task::spawn_blocking(move || reader.join().unwrap()).await.unwrap();
    MESSAGES as f64 / end.duration_since(start).as_secs_f64()
}

/// Connects and subscribes with QoS 0; returns when the SUBACK is there.
fn subscribe(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"\x10\x11\0\x04MQTT\x04\x02\0\0\0\x05bench").unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"\x20\x02\0\0", "CONNACK");
    let length = u8::try_from(TOPIC.len()).unwrap();
    stream.write_all(&[&[0x82, length + 5, 0, 1, 0, length], TOPIC.as_bytes(), &[0]].concat()).unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"\x90\x03\0\x01\0", "SUBACK");
    BufReader::with_capacity(64 * 1024, stream)
}

/// Reads every message, in order; says when the last one was there.
fn read_all(mut stream: BufReader<TcpStream>, credits: &Semaphore) -> Instant {
    const HEAD: usize = 2 + 2 + TOPIC.len();
    let mut packet = [0; HEAD + PAYLOAD_BYTES];
    for expected in 0..MESSAGES {
        stream.read_exact(&mut packet).unwrap_or_else(|e| panic!("message {expected} did not come: {e}"));
        assert_eq!(packet[..2], [0x30, (HEAD - 2 + PAYLOAD_BYTES) as u8], "PUBLISH with QoS 0");
        assert_eq!(packet[HEAD..HEAD + 8], expected.to_be_bytes(), "in order and none lost");
        if expected % LOT == LOT - 1 {
            credits.add_permits(LOT as usize);
        }
    }
    Instant::now()
}

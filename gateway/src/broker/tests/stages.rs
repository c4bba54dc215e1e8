//! Acknowledgements to clients whose messages a stage has in its hands, over a socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc as threads;

use super::*;
use crate::broker::{Broker, bind};
use crate::config::{self, Door};
use crate::message::{Receipt, TopicFilter};
use crate::pipeline::{self, Fallback, Judged, Processor, Stage, Verdict};
use crate::supervisor::{Rank, Supervisor};
use crate::users::UsersFile;

/// Filters everything, each batch when it is told to.
struct Held(threads::Receiver<()>);

impl Processor for Held {
    fn process(&mut self, batch: &[Message]) -> Judged {
        let _ = self.0.recv_timeout(LONG);
        Judged { verdicts: batch.iter().map(|_| Verdict::Filter).collect(), ..Judged::default() }
    }
}

/// Holds the first batch, and filters all others.
struct HoldsFirst(bool);

impl Processor for HoldsFirst {
    fn process(&mut self, batch: &[Message]) -> Judged {
        let first = !std::mem::replace(&mut self.0, true);
        let verdict = |_: &Message| if first { Verdict::Hold(pipeline::Held::Waits) } else { Verdict::Filter };
        Judged { verdicts: batch.iter().map(verdict).collect(), ..Judged::default() }
    }
}

struct KeepsNothing;

impl pipeline::Keeper for KeepsNothing {
    fn keep(&self, _: pipeline::Kept, _: Option<Receipt>) -> u64 {
        unreachable!("there is no room")
    }

    fn take_over(&self, moved: Vec<(u64, pipeline::Kept)>) -> Vec<u64> {
        moved.into_iter().map(|(number, _)| number).collect()
    }

    fn set_apart(&self, _: u64) {}

    fn let_go(&self, _: u64) {}
}

/// A broker whose messages all meet a stage that waits for the sender's word.
async fn start() -> (SocketAddr, threads::Sender<()>, Store, (Supervisor, tempfile::TempDir)) {
    let (word, told) = threads::channel();
    let (address, store, running) = start_with(Box::new(Held(told))).await;
    (address, word, store, running)
}

/// A broker whose messages all meet a stage with a shelf that has no room.
async fn start_with(processor: Box<dyn Processor>) -> (SocketAddr, Store, (Supervisor, tempfile::TempDir)) {
    let supervisor = Supervisor::default();
    let (pipeline, delivered) = Pipeline::new(1);
    let topics = vec![TopicFilter::new("#").unwrap()];
    let shelf = Some(pipeline.shelf(Box::new(KeepsNothing), 0, Vec::new()));
    let stage = Stage { name: "held".into(), topics, fallback: Fallback::Pass, shelf, processor: Some(processor) };
    pipeline.set_stages(vec![stage], LONG).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (store, stored) = Store::open(folder.path()).unwrap();
    let users = UsersFile::of(folder.path());
    let settings = Arc::new(config::Broker::default());
    let kept = (store.clone(), stored);
    let broker = Broker::start(settings, users, delivered, pipeline, kept, &supervisor).await.unwrap();
    let listener = bind(Door::Plain, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    supervisor.start_critical("mqtt", Rank::Clients, move |stop| async move {
        broker.listen(Door::Plain, listener, stop).await
    });
    (address, store, (supervisor, folder))
}

/// What a client says, and the first bytes of what it is answered.
async fn answers(mut stream: TcpStream, says: &'static [u8], count: usize) -> (TcpStream, Vec<u8>) {
    let read = tokio::task::spawn_blocking(move || {
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(says).unwrap();
        let mut answer = vec![0; count];
        stream.read_exact(&mut answer).unwrap();
        (stream, answer)
    });
    read.await.unwrap()
}

const PINGREQ_ANSWER: &[u8] = b"\xd0\0";

#[tokio::test]
async fn a_message_that_a_stage_has_in_its_hands_is_not_acknowledged() {
    let (address, word, _store, _running) = start().await;
    let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c";
    let (stream, answer) = answers(TcpStream::connect(address).unwrap(), connect, 4).await;
    assert_eq!(answer, b"\x20\x02\0\0", "CONNACK");
    // PUBLISH with QoS 1, and PINGREQ behind it. An acknowledgement that waits for nothing would come first.
    let (stream, answer) = answers(stream, b"\x32\x06\0\x01a\0\x01x\xc0\0", 2).await;
    assert_eq!(answer, PINGREQ_ANSWER);
    word.send(()).unwrap();
    assert_eq!(answers(stream, b"", 4).await.1, b"\x40\x02\0\x01", "PUBACK");
}

#[tokio::test]
async fn a_publication_of_qos_2_that_is_filtered_is_noted_on_disk_before_it_is_acknowledged() {
    let (address, word, store, running) = start().await;
    // A session that is kept.
    let connect = b"\x10\x0d\0\x04MQTT\x04\0\0\0\0\x01c";
    let (stream, answer) = answers(TcpStream::connect(address).unwrap(), connect, 2).await;
    assert_eq!(answer[0], 0x20, "CONNACK");
    // It may come only when the session is on disk.
    store.flush().await.unwrap();
    let (stream, _rest) = answers(stream, b"", 2).await;
    word.send(()).unwrap();
    // Nothing writes the store but the test.
    let (stream, answer) = answers(stream, b"\x34\x06\0\x01a\0\x07x\xc0\0", 2).await;
    assert_eq!(answer, PINGREQ_ANSWER);
    let writing = store.clone();
    let writer = tokio::spawn(writing.run(tokio_util::sync::CancellationToken::new()));
    assert_eq!(answers(stream, b"", 4).await.1, b"\x50\x02\0\x07", "PUBREC");
    writer.abort();
    // As a power cut would leave it.
    let after = tempfile::tempdir().unwrap();
    for name in [crate::store::FILE.to_owned(), format!("{}-wal", crate::store::FILE)] {
        std::fs::copy(running.1.path().join(&name), after.path().join(&name)).unwrap();
    }
    let (_, stored) = Store::open(after.path()).unwrap();
    assert_eq!(stored.sessions[0].received.iter().map(|id| id.get()).collect::<Vec<_>>(), [7]);
}

#[tokio::test]
async fn a_publication_of_qos_2_that_found_no_room_is_taken_when_it_comes_again() {
    let (address, store, _running) = start_with(Box::new(HoldsFirst(false))).await;
    let writer = tokio::spawn(store.run(tokio_util::sync::CancellationToken::new()));
    // A session that is kept.
    let connect = b"\x10\x0d\0\x04MQTT\x04\0\0\0\0\x01c";
    let (mut stream, answer) = answers(TcpStream::connect(address).unwrap(), connect, 4).await;
    assert_eq!(answer, b"\x20\x02\0\0", "CONNACK");
    let left = tokio::task::spawn_blocking(move || {
        stream.write_all(b"\x34\x06\0\x01a\0\x07x").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).map(|_| rest)
    });
    assert_eq!(left.await.unwrap().unwrap(), b"", "it is sent away without an acknowledgement");
    let (stream, answer) = answers(TcpStream::connect(address).unwrap(), connect, 4).await;
    assert_eq!(answer, b"\x20\x02\x01\0", "CONNACK, with the session of before");
    assert_eq!(answers(stream, b"\x3c\x06\0\x01a\0\x07x", 4).await.1, b"\x50\x02\0\x07", "PUBREC");
    writer.abort();
}

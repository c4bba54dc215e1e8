//! The short way: as the long one, but in the publisher's own turn; and nothing overtakes on it.

use std::num::NonZeroU16;

use super::hub::{Bench, numbers};
use super::*;
use crate::message::{Promise, Publication, QoS, Receipt};
use crate::pipeline::{Closed, FANOUT_QUEUE};

/// A hub with a short way and one subscriber to `a/#`, that knows `a/b`.
async fn bench() -> (Bench, Arc<Outbox>) {
    let mut bench = Bench::new().await;
    let outbox = outbox("c");
    bench.subscribe("a/#", &outbox);
    let mut batch = bench.batch("a/b", 0..1);
    bench.hub.open_window(&mut batch).await.unwrap();
    bench.settle().await;
    assert_eq!(numbers(&outbox, 1).await, [0]);
    bench.hub.open_short_way();
    (bench, outbox)
}

impl Bench {
    async fn ingest(&self, topic: &str, number: usize) {
        self.pipeline.ingest(message(&self.pipeline, topic, number.to_string())).await.unwrap();
    }

    /// Takes what waits in the intake through the hub.
    async fn take_long_way(&mut self) -> usize {
        let mut taken = 0;
        loop {
            match self.hub.take_intake().await {
                0 => return taken,
                count => taken += count,
            }
            self.settle().await;
        }
    }
}

#[tokio::test]
async fn a_message_of_a_known_topic_is_there_when_its_publisher_goes_on_and_overtakes_nothing() {
    let (mut bench, outbox) = bench().await;
    bench.ingest("a/b", 1).await;
    assert_eq!(numbers(&outbox, 1).await, [1], "nobody else had a turn");
    bench.ingest("a/new", 2).await;
    bench.ingest("a/b", 3).await;
    assert_eq!(numbers(&outbox, 0).await, [0; 0], "one waits for the router, and the other for the one");
    assert_eq!(bench.hub.take_intake().await, 2);
    bench.ingest("a/b", 4).await;
    bench.settle().await;
    assert_eq!(bench.take_long_way().await, 1, "the window was not over");
    bench.ingest("a/new", 5).await;
    assert_eq!(numbers(&outbox, 4).await, [2, 3, 4, 5], "all that was before is handed on, and a new topic is known");
    bench.subscribe("a/b", &outbox);
    bench.ingest("a/b", 6).await;
    assert_eq!(numbers(&outbox, 0).await, [0; 0], "whose filters match is not known any more");
    bench.take_long_way().await;
    assert_eq!(numbers(&outbox, 2).await, [6, 6]);
}

#[tokio::test]
async fn the_brokers_own_figures_keep_nobody_from_the_short_way_for_long() {
    let (mut bench, outbox) = bench().await;
    let mut figures = bench.batch("$SYS/broker/uptime", 0..1);
    bench.hub.open_window(&mut figures).await.unwrap();
    bench.ingest("a/b", 1).await;
    assert_eq!(numbers(&outbox, 0).await, [0; 0], "a window is under way, and what it leaves in the store with it");
    bench.settle().await;
    assert_eq!(bench.take_long_way().await, 1);
    bench.ingest("a/b", 2).await;
    assert_eq!(numbers(&outbox, 2).await, [1, 2]);
}

#[tokio::test]
async fn publishers_alone_hand_on_only_so_many_in_a_row() {
    let (mut bench, outbox) = bench().await;
    for number in 0..FANOUT_QUEUE + 2 {
        bench.ingest("a/b", number).await;
    }
    assert_eq!(outbox.load().0, FANOUT_QUEUE);
    assert_eq!(bench.take_long_way().await, 2);
    bench.ingest("a/b", FANOUT_QUEUE + 2).await;
    assert_eq!(numbers(&outbox, FANOUT_QUEUE + 3).await, (0..FANOUT_QUEUE + 3).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_receipt_is_settled_as_on_the_long_way() {
    let (bench, _outbox) = bench().await;
    let ingest = async |publication| {
        let (receipt, awaited) = Receipt::new(Arc::default(), publication);
        let mut message = message(&bench.pipeline, "a/b", "1");
        message.qos = QoS::ExactlyOnce;
        bench.pipeline.ingest_for(message, Some(receipt)).await.unwrap();
        awaited
    };
    assert_eq!(ingest(None).await.promise(), Promise::Kept);
    let awaited = ingest(Some(Publication { session: 1, packet_id: NonZeroU16::MIN })).await;
    assert_eq!(awaited.promise(), Promise::Open, "that its identifier is taken must be on disk");
    bench.store.flush().await.unwrap();
    assert_eq!(awaited.promise(), Promise::Kept);
}

#[tokio::test]
async fn with_the_hub_gone_nothing_is_taken() {
    let (bench, outbox) = bench().await;
    let Bench { hub, pipeline, .. } = bench;
    drop(hub);
    assert_eq!(pipeline.ingest(message(&pipeline, "a/b", "1")).await, Err(Closed));
    assert_eq!(numbers(&outbox, 0).await, [0; 0]);
    assert_eq!(pipeline.ledger().snapshot().dropped["shutting-down"], 1);
}

//! The hub: everything once and in order, also when its router dies or is renewed.

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::super::hub::{COMMANDS, Command, Hub};
use super::super::retained::Retained;
use super::super::rights::Scope;
use super::super::routed::Routed;
use super::super::stats::Stats;
use super::super::sys::System;
use super::super::table::{Subscriber, Table};
use super::*;
use crate::message::{QoS, TopicFilter};

pub(super) struct Bench {
    pub(super) hub: Hub,
    commands: mpsc::Sender<Command>,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) store: Store,
    pub(super) stats: Arc<Stats>,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let (pipeline, delivered) = pipeline();
        let stats = Arc::new(Stats::default());
        let (store, folder) = store();
        let (commands, asked) = mpsc::channel(COMMANDS);
        let retained = Retained::new(2, 10_000, store.clone(), Arc::clone(&stats));
        let system = System::new(Arc::clone(&stats), Arc::default(), &pipeline);
        let hub = Hub::new(delivered, asked, Table::new(4096), retained, system, store.clone(), Arc::clone(&stats))
            .await
            .unwrap();
        Self { hub, commands, pipeline, store, stats, _folder: folder }
    }

    pub(super) fn subscribe(&mut self, filter: &str, outbox: &Arc<Outbox>) -> Vec<Arc<Routed>> {
        let subscriber = Subscriber {
            outbox: Arc::clone(outbox),
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            subscription_id: None,
            scope: Scope::Nothing,
        };
        let (reply, mut kept) = oneshot::channel();
        let filter = TopicFilter::new(filter).unwrap();
        self.hub.obey(Command::Subscribe { filter, group: None, subscriber, want_kept: true, reply });
        kept.try_recv().unwrap().unwrap()
    }

    pub(super) fn batch(&self, topic: &str, numbers: std::ops::Range<usize>) -> Vec<Delivered> {
        numbers.map(|n| delivered(message(&self.pipeline, topic, n.to_string()))).collect()
    }

    /// Handles arrivals until the window is closed.
    pub(super) async fn settle(&mut self) {
        while self.hub.is_busy() {
            tokio::time::timeout(LONG, self.hub.next_arrival()).await.unwrap().unwrap();
        }
    }
}

fn delivered(message: Message) -> Delivered {
    Delivered { message: Arc::new(message), receipt: None }
}

pub(super) async fn numbers(outbox: &Outbox, count: usize) -> Vec<usize> {
    let mut out = Vec::new();
    while out.len() < count {
        match outbox.pop() {
            Some(parcel) => {
                out.push(std::str::from_utf8(&parcel.delivery.routed.message.payload).unwrap().parse().unwrap());
            }
            None => tokio::time::timeout(LONG, outbox.filled.notified()).await.unwrap(),
        }
    }
    assert!(outbox.pop().is_none(), "more than {count} messages");
    out
}

#[tokio::test]
async fn a_router_that_dies_in_a_window_is_replaced_and_each_message_comes_once_and_in_order() {
    for handed_on in [0, 1, 7, 40] {
        let mut bench = Bench::new().await;
        let outbox = outbox("c");
        bench.subscribe("a/#", &outbox);
        let mut batch = bench.batch("a/b", 0..40);
        bench.hub.open_window(&mut batch).await.unwrap();
        for _ in 0..handed_on {
            bench.hub.next_arrival().await.unwrap();
        }
        bench.hub.kill_router();
        bench.settle().await;
        assert_eq!(numbers(&outbox, 40).await, (0..40).collect::<Vec<_>>(), "{handed_on} were handed on before");
        let mut batch = bench.batch("a/c", 40..50);
        bench.hub.open_window(&mut batch).await.unwrap();
        bench.settle().await;
        assert_eq!(numbers(&outbox, 10).await, (40..50).collect::<Vec<_>>());
        assert!(bench.stats.router_failures.load(std::sync::atomic::Ordering::Relaxed) <= 1);
    }
}

#[tokio::test]
async fn a_topic_that_was_matched_before_goes_without_the_router_until_filters_come_or_go() {
    let mut bench = Bench::new().await;
    let [first, second] = ["1", "2"].map(outbox);
    bench.subscribe("a/#", &first);
    for (numbers, needs_router) in [(0..10, true), (10..20, false)] {
        let mut batch = bench.batch("a/b", numbers);
        bench.hub.open_window(&mut batch).await.unwrap();
        assert_eq!(bench.hub.is_busy(), needs_router);
        bench.settle().await;
    }
    let mut batch = bench.batch("a/b", 20..21);
    batch.extend(bench.batch("a/new", 21..22));
    batch.extend(bench.batch("a/b", 22..23));
    bench.hub.open_window(&mut batch).await.unwrap();
    assert!(bench.hub.is_busy(), "what is new in part goes to the router as a whole");
    bench.settle().await;
    assert_eq!(numbers(&first, 23).await, (0..23).collect::<Vec<_>>());

    bench.subscribe("a/b", &second);
    let mut batch = bench.batch("a/b", 23..24);
    bench.hub.open_window(&mut batch).await.unwrap();
    bench.settle().await;
    assert_eq!((numbers(&first, 1).await, numbers(&second, 1).await), (vec![23], vec![23]));

    let (reply, _answer) = oneshot::channel();
    let (filter, outbox) = (TopicFilter::new("a/#").unwrap(), Arc::clone(&first));
    bench.hub.obey(Command::Unsubscribe { filter, group: None, outbox, reply });
    let mut batch = bench.batch("a/b", 24..25);
    bench.hub.open_window(&mut batch).await.unwrap();
    bench.settle().await;
    assert_eq!((numbers(&first, 0).await, numbers(&second, 1).await), (vec![], vec![24]));
    assert_eq!(bench.stats.router_failures.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_window_in_which_a_router_failed_teaches_only_what_is_whole() {
    let mut bench = Bench::new().await;
    let outbox = outbox("c");
    bench.subscribe("a/#", &outbox);
    bench.subscribe("a/b", &outbox);
    let mut batch = bench.batch("a/b", 0..1);
    bench.hub.open_window(&mut batch).await.unwrap();
    bench.hub.next_arrival().await.unwrap();
    bench.hub.stall_router().await.unwrap();
    bench.settle().await;
    assert_eq!(numbers(&outbox, 2).await, [0, 0], "once for each subscription");
    for _ in 0..2 {
        let mut batch = bench.batch("a/b", 1..2);
        bench.hub.open_window(&mut batch).await.unwrap();
        bench.settle().await;
        assert_eq!(numbers(&outbox, 2).await, [1, 1]);
    }
}

#[tokio::test]
async fn a_worn_router_is_renewed_and_nothing_is_lost_or_double() {
    const MESSAGES: usize = 50_000;
    let mut bench = Bench::new().await;
    let outbox = outbox("c");
    bench.subscribe("+/+", &outbox);
    let Bench { hub, commands: _commands, pipeline, stats, _folder, .. } = bench;
    let stop = CancellationToken::new();
    let running = tokio::spawn(hub.run(stop.clone()));
    let reader = Arc::clone(&outbox);
    let reader = tokio::spawn(async move { numbers(&reader, MESSAGES).await });
    for n in 0..MESSAGES {
        pipeline.ingest(message(&pipeline, &format!("t/{n}"), n.to_string())).await.unwrap();
    }
    let mut seen = tokio::time::timeout(LONG, reader).await.unwrap().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (0..MESSAGES).collect::<Vec<_>>());
    assert!(stats.router_renewals.load(std::sync::atomic::Ordering::Relaxed) >= 1);
    stop.cancel();
    tokio::time::timeout(LONG, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn retained_messages_are_kept_replaced_cleared_and_bounded() {
    let mut bench = Bench::new().await;
    let texts = |kept: Vec<Arc<Routed>>| {
        let mut texts: Vec<_> = kept.iter().map(|r| format!("{}={:?}", r.message.topic, r.message.payload)).collect();
        texts.sort();
        texts
    };
    for (topic, payload) in [("a/1", "x"), ("a/2", "y"), ("a/1", "z"), ("a/3", "no room"), ("a/2", "")] {
        let mut kept = message(&bench.pipeline, topic, payload);
        kept.retain = true;
        bench.hub.open_window(&mut vec![delivered(kept)]).await.unwrap();
        bench.settle().await;
    }
    let outbox = outbox("c");
    assert_eq!(texts(bench.subscribe("a/#", &outbox)), ["a/1=b\"z\""]);
    assert_eq!(texts(bench.subscribe("a/1", &outbox)), ["a/1=b\"z\""]);
    assert_eq!(texts(bench.subscribe("a/2", &outbox)), [""; 0]);
    assert!(bench.stats.drops().any(|drop| drop == ("retained-full", 1)));
}

#[tokio::test]
async fn a_full_queue_drops_the_newest_and_counts_it_and_an_ended_session_is_let_go() {
    let mut bench = Bench::new().await;
    let small = owned(Outbox::new("small".into(), 3, 1 << 20, purse()));
    let other = outbox("other");
    bench.subscribe("a", &small);
    bench.subscribe("a", &other);
    let mut batch = bench.batch("a", 0..10);
    bench.hub.open_window(&mut batch).await.unwrap();
    bench.settle().await;
    assert_eq!(numbers(&small, 3).await, [0, 1, 2]);
    assert_eq!(numbers(&other, 10).await, (0..10).collect::<Vec<_>>());
    assert!(bench.stats.drops().any(|drop| drop == ("queue-full", 7)));
    small.close();
    other.close();
    bench.hub.sweep();
    assert_eq!(bench.stats.filters.load(std::sync::atomic::Ordering::Relaxed), 0);
}

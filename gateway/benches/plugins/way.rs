//! The whole way: a message is made as a radio makes it, ingested, judged on the stage's thread, delivered.
//!
//! It counts when it has been handed to the outputs, the short way as in the daemon; what a broker would do with it then is
//! not in it (`fanout` measures that). Nothing may be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use stile::message::{Origin, Topic, TopicFilter};
use stile::pipeline::{Delivered, Fallback, Intake, Pipeline, ShortWay, Stage};
use tokio::sync::Notify;

use crate::figures::{information, median, process_time, target, targets};
use crate::subject::{Subject, TOPIC};

const ROUNDS: usize = 5;
const MESSAGES: u64 = 400_000;
const PAYLOAD_BYTES: usize = 64;

/// Stands where the broker would: counts what comes, and sees that it comes in order.
#[derive(Default)]
struct Sink {
    count: AtomicU64,
    all: Notify,
}

impl ShortWay for Sink {
    fn hand_on(&self, delivered: Delivered) -> Result<(), Delivered> {
        let number = u64::from_be_bytes(*delivered.message.payload.first_chunk().unwrap());
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        assert_eq!(number, before % MESSAGES, "in order and none lost");
        if (before + 1).is_multiple_of(MESSAGES) {
            self.all.notify_one();
        }
        Ok(())
    }
}

struct Way {
    pipeline: Arc<Pipeline>,
    sink: Arc<Sink>,
    _intake: Intake,
}

impl Way {
    /// One with so many filters in a row.
    async fn new(subject: &Subject, filters: usize) -> Self {
        let (pipeline, intake) = Pipeline::new(1);
        let sink = Arc::<Sink>::default();
        intake.open_short_way(Arc::clone(&sink) as Arc<dyn ShortWay>);
        let stage = |number| Stage {
            name: format!("filter-{number}").into(),
            topics: vec![TopicFilter::new("serial/+/up").unwrap()],
            fallback: Fallback::Drop,
            processor: Some(Box::new(subject.plugin())),
            shelf: None,
        };
        pipeline.set_stages((0..filters).map(stage).collect(), Duration::from_secs(10)).await.unwrap();
        Self { pipeline, sink, _intake: intake }
    }

    /// One round: messages a second, and microseconds of all threads' CPU time for each.
    async fn round(&self) -> (f64, f64) {
        let (before, start) = (process_time(), Instant::now());
        let (topic, name) = (Topic::new(TOPIC).unwrap(), Arc::<str>::from("bench"));
        for number in 0..MESSAGES {
            let mut payload = [0; PAYLOAD_BYTES];
            payload[..8].copy_from_slice(&number.to_be_bytes());
            let (now, origin) = (self.pipeline.clock().now(), Origin::Radio(Arc::clone(&name)));
            let message = self.pipeline.message(now, origin, topic.clone(), Bytes::copy_from_slice(&payload));
            self.pipeline.ingest(message).await.unwrap();
        }
        self.sink.all.notified().await;
        let (count, spent) = (MESSAGES as f64, process_time() - before);
        (count / start.elapsed().as_secs_f64(), spent.as_secs_f64() * 1e6 / count)
    }

    async fn rounds(&self, what: &str) -> (f64, f64) {
        let mut rounds = Vec::new();
        // The first makes the instances.
        for round in 0..=ROUNDS {
            let (rate, cpu) = self.round().await;
            eprintln!("   {what}, round {round} of {ROUNDS}: {rate:.0} messages/s, {cpu:.2} µs of CPU each");
            rounds.push((rate, cpu));
        }
        assert!(self.pipeline.stop(Duration::from_secs(10)).await);
        let ledger = self.pipeline.ledger().snapshot();
        assert!(ledger.balances() && ledger.delivered == (ROUNDS as u64 + 1) * MESSAGES, "{ledger:?}");
        let (rates, costs) = rounds.split_off(1).into_iter().unzip();
        (median(rates), median(costs))
    }
}

/// Keeps this thread, and those that it starts, on one core.
fn stay_on_one_core() {
    let allowed = sched_getaffinity(None).unwrap();
    let core = (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core)).unwrap();
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).unwrap();
}

pub(crate) fn run() {
    let subject = Subject::of("pass");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let measure =
        |filters, what: &str| runtime.block_on(async { Way::new(&subject, filters).await.rounds(what).await });
    targets();
    let (_, none) = measure(0, "no filter");
    information("CPU a message from ingest to delivery, without a filter", &format!("{none:.2} µs"));
    let (rate, cost) = measure(1, "one filter");
    target("The same through one filter, all threads together", &format!("{cost:.2} µs"), "< 3 µs", cost < 3.0);
    information("Messages a second through one filter, on as many cores as there are", &format!("{rate:.0}"));
    stay_on_one_core();
    let subject = Subject::of("pass");
    let measure =
        |filters, what: &str| runtime.block_on(async { Way::new(&subject, filters).await.rounds(what).await });
    for (filters, least) in [(1, 500_000.0), (10, 100_000.0)] {
        let name = if filters == 1 { "one filter".to_owned() } else { format!("{filters} filters in a row") };
        let (rate, _) = measure(filters, &format!("{name}, one core"));
        let figure = format!("Messages a second through {name}, on one core");
        target(&figure, &format!("{rate:.0}"), &format!("≥ {least:.0}"), rate >= least);
    }
}

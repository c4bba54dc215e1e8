//! The path's promises, held against stages made for it. `changes.rs`: other stages while messages come; `order.rs`:
//! order and the ledger under load; `receipts.rs`: what an acknowledgement waits for; `carriers.rs`: who
//! takes messages out of the house; `held.rs`: what is held until it can be judged; `hops.rs`: what watchers are told.

mod carriers;
mod changes;
mod held;
mod hops;
mod order;
mod receipts;

use std::sync::Mutex;
use std::sync::mpsc as threads;
use std::time::Instant;

use super::*;
use crate::message::TopicFilter;

const PATIENCE: Duration = Duration::from_secs(20);

/// A stage that judges each message by a rule.
struct Rule<F>(F);

impl<F: FnMut(&Message) -> Verdict + Send> Processor for Rule<F> {
    fn process(&mut self, batch: &[Message]) -> Judged {
        Judged { verdicts: batch.iter().map(&mut self.0).collect(), ..Judged::default() }
    }
}

fn stage(name: &str, filter: &str, processor: impl Processor + 'static) -> Stage {
    let topics = vec![TopicFilter::new(filter).unwrap()];
    Stage { name: name.into(), topics, fallback: Fallback::Drop, shelf: None, processor: Some(Box::new(processor)) }
}

fn rule(name: &str, filter: &str, rule: impl FnMut(&Message) -> Verdict + Send + 'static) -> Stage {
    stage(name, filter, Rule(rule))
}

/// A stage that judges nothing before it is told to, message by message; the receiver tells of each that it has.
fn held(name: &str, filter: &str) -> (Stage, threads::Receiver<Message>, threads::Sender<Verdict>) {
    let (to_test, seen) = threads::channel();
    let (verdict, from_test) = threads::channel();
    let held = rule(name, filter, move |message| {
        to_test.send(message.clone()).unwrap();
        from_test.recv_timeout(PATIENCE).unwrap_or(Verdict::Pass)
    });
    (held, seen, verdict)
}

async fn path(stages: Vec<Stage>) -> (Arc<Pipeline>, Intake) {
    let (pipeline, delivered) = Pipeline::new(1);
    pipeline.set_stages(stages, PATIENCE).await.unwrap();
    (pipeline, delivered)
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn from_radio(pipeline: &Pipeline, name: &str, payload: &'static str) -> Message {
    pipeline.message(pipeline.clock().now(), Origin::Radio("r".into()), topic(name), payload)
}

fn shown(message: &Message) -> String {
    format!("{}={}", message.topic, String::from_utf8_lossy(&message.payload))
}

/// What has been delivered when all that is under way has come through.
async fn drain(pipeline: &Pipeline, delivered: &mut Intake) -> Vec<String> {
    assert!(pipeline.drain(PATIENCE).await);
    std::iter::from_fn(|| delivered.try_recv().ok()).map(|delivered| shown(&delivered.message)).collect()
}

/// The ledger, which balances.
fn ledger(pipeline: &Pipeline) -> Snapshot {
    let snapshot = pipeline.ledger().snapshot();
    assert!(snapshot.balances(), "{snapshot:?}");
    snapshot
}

/// Waits until something has become true on another thread.
async fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline, "it did not come to that");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn stages_see_messages_in_order_and_what_one_adds_goes_on_from_the_next() {
    let double = |m: &Message| Verdict::Replace(vec![m.clone(), Message { topic: topic("a/copy"), ..m.clone() }]);
    let shout = |m: &Message| Verdict::Modify(Message { payload: m.payload.to_ascii_uppercase().into(), ..m.clone() });
    let (pipeline, mut delivered) = path(vec![rule("double", "a/#", double), rule("shout", "a/copy", shout)]).await;
    pipeline.ingest(from_radio(&pipeline, "a/x", "one")).await.unwrap();
    let mut all = drain(&pipeline, &mut delivered).await;
    pipeline.ingest(from_radio(&pipeline, "b", "two")).await.unwrap();
    all.sort();
    assert_eq!(all, ["a/copy=ONE", "a/x=one"]);
    assert_eq!(drain(&pipeline, &mut delivered).await, ["b=two"]);
    let s = ledger(&pipeline);
    assert_eq!((s.received_total(), s.added, s.delivered, s.filtered), (2, 2, 3, 1));
    let counts = pipeline.stages();
    assert_eq!((counts[0].taken, counts[0].replaced, counts[0].added), (1, 1, 2));
    assert_eq!((counts[1].taken, counts[1].modified, counts[1].waiting), (1, 1, 0));
}

#[tokio::test]
async fn a_message_meets_each_stage_once_by_the_topic_that_it_has_there() {
    let rename = |to: &'static str| move |m: &Message| Verdict::Modify(Message { topic: topic(to), ..m.clone() });
    let stages = vec![rule("1", "b", rename("c")), rule("2", "a", rename("b")), rule("3", "b", rename("a"))];
    let (pipeline, mut delivered) = path(stages).await;
    pipeline.ingest(from_radio(&pipeline, "a", "x")).await.unwrap();
    assert_eq!(drain(&pipeline, &mut delivered).await, ["a=x"]);
    assert_eq!(pipeline.stages().iter().map(|stage| stage.taken).collect::<Vec<_>>(), [0, 1, 1]);
}

#[tokio::test]
async fn what_a_stage_takes_out_is_counted_by_what_it_meant_and_goes_nowhere() {
    let judge = |m: &Message| match m.topic.as_str() {
        "a" => Verdict::Filter,
        _ => Verdict::Drop(DropReason::PluginRejected),
    };
    let (pipeline, mut delivered) = path(vec![rule("judge", "#", judge)]).await;
    pipeline.ingest(from_radio(&pipeline, "a", "x")).await.unwrap();
    pipeline.ingest(from_radio(&pipeline, "b", "x")).await.unwrap();
    assert!(drain(&pipeline, &mut delivered).await.is_empty());
    let s = ledger(&pipeline);
    assert!(s.filtered == 1 && s.dropped["plugin-rejected"] == 1, "{s:?}");
    let counts = &pipeline.stages()[0];
    assert_eq!((counts.filtered, counts.dropped), (1, 1));
}

#[tokio::test]
async fn a_message_whose_task_is_cancelled_while_it_waits_counts_as_abandoned() {
    let (pipeline, _delivered) = Pipeline::new(1);
    for _ in 0..FANOUT_QUEUE {
        pipeline.ingest(from_radio(&pipeline, "a", "x")).await.unwrap();
    }
    let waiting = pipeline.ingest(from_radio(&pipeline, "a", "x"));
    let mut waiting = Box::pin(waiting);
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    assert_eq!(pipeline.ledger().snapshot().in_flight, 1);
    drop(waiting);
    let s = ledger(&pipeline);
    assert!(s.dropped["abandoned"] == 1 && s.in_flight == 0);
}

#[tokio::test]
async fn when_the_broker_is_gone_the_sender_is_told_and_the_message_counts_as_dropped() {
    let (pipeline, delivered) = Pipeline::new(1);
    drop(delivered);
    assert_eq!(pipeline.ingest(from_radio(&pipeline, "a", "x")).await, Err(Closed));
    assert_eq!(ledger(&pipeline).dropped["shutting-down"], 1);
}

#[tokio::test]
async fn a_full_stage_holds_up_its_own_messages_and_no_others() {
    let (held, seen, verdict) = held("held", "slow");
    let (pipeline, mut delivered) = path(vec![held]).await;
    pipeline.ingest(from_radio(&pipeline, "slow", "first")).await.unwrap();
    seen.recv_timeout(PATIENCE).unwrap();
    for _ in 0..STAGE_QUEUE {
        pipeline.ingest(from_radio(&pipeline, "slow", "x")).await.unwrap();
    }
    let mut waiting = Box::pin(pipeline.ingest(from_radio(&pipeline, "slow", "x")));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    pipeline.ingest(from_radio(&pipeline, "fast", "x")).await.unwrap();
    assert_eq!(shown(&delivered.try_recv().unwrap().message), "fast=x");
    assert_eq!(pipeline.stages()[0].waiting, STAGE_QUEUE as usize);
    assert_eq!(ledger(&pipeline).in_flight, u64::from(STAGE_QUEUE) + 2);
    drop(verdict);
    tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn few_large_messages_fill_a_stage_too_and_one_larger_than_all_room_gets_through() {
    let (held, seen, verdict) = held("held", "#");
    let (pipeline, mut delivered) = path(vec![held]).await;
    pipeline.ingest(from_radio(&pipeline, "a", "first")).await.unwrap();
    seen.recv_timeout(PATIENCE).unwrap();
    let large = Message { payload: vec![0; STAGE_QUEUE_BYTES as usize + 1].into(), ..from_radio(&pipeline, "a", "") };
    pipeline.ingest(large.clone()).await.unwrap();
    let mut waiting = Box::pin(pipeline.ingest(from_radio(&pipeline, "a", "x")));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    drop(verdict);
    tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(drain(&pipeline, &mut delivered).await.len(), 3);
}

struct Breaks(Fallback);

impl Processor for Breaks {
    fn process(&mut self, batch: &[Message]) -> Judged {
        assert!(batch.iter().all(|message| message.topic.as_str() == "good"), "a message that it can't stand");
        Judged {
            verdicts: if self.0 == Fallback::Pass { vec![Verdict::Filter] } else { Vec::new() },
            ..Judged::default()
        }
    }
}

#[tokio::test]
async fn a_processor_that_breaks_is_set_aside_and_its_messages_follow_the_fallback_until_another_comes() {
    for fallback in [Fallback::Pass, Fallback::Drop] {
        // The one panics, the other gives no verdict.
        let bad = if fallback == Fallback::Pass { "bad" } else { "good" };
        let breaks = || Stage { fallback, ..stage("breaks", "#", Breaks(fallback)) };
        let (pipeline, mut delivered) = path(vec![breaks()]).await;
        for _ in 0..2 {
            pipeline.ingest(from_radio(&pipeline, bad, "x")).await.unwrap();
            assert_eq!(drain(&pipeline, &mut delivered).await.len(), usize::from(fallback == Fallback::Pass));
        }
        let counts = &pipeline.stages()[0];
        assert_eq!((counts.failures, counts.broken, counts.taken), (1, true, 2));
        assert_eq!(ledger(&pipeline).dropped["plugin-failed"], if fallback == Fallback::Drop { 2 } else { 0 });
        let shout = rule("breaks", "#", |m| Verdict::Modify(Message { payload: "well".into(), ..m.clone() }));
        pipeline.set_stages(vec![Stage { fallback, ..shout }], PATIENCE).await.unwrap();
        pipeline.ingest(from_radio(&pipeline, "a", "x")).await.unwrap();
        assert_eq!(drain(&pipeline, &mut delivered).await, ["a=well"]);
        assert!(!pipeline.stages()[0].broken);
    }
}

/// Says something of its own once, as soon as it may.
struct Ticks(Option<Message>, Instant);

impl Processor for Ticks {
    fn process(&mut self, batch: &[Message]) -> Judged {
        Judged { verdicts: batch.iter().map(|_| Verdict::Pass).collect(), ..Judged::default() }
    }

    fn tick_at(&self) -> Option<Instant> {
        self.0.as_ref().map(|_| self.1)
    }

    fn tick(&mut self) -> Vec<Message> {
        assert!(Instant::now() >= self.1, "too soon");
        self.0.take().into_iter().collect()
    }
}

#[tokio::test]
async fn a_stage_acts_as_time_goes_by_and_that_goes_on_from_the_next() {
    let (pipeline, mut delivered) = Pipeline::new(1);
    let says = pipeline.stamp().message(Origin::Plugin("ticks".into()), topic("t"), "now");
    let ticks = stage("ticks", "#", Ticks(Some(says), Instant::now() + Duration::from_millis(20)));
    let shout = rule("shout", "t", |m| Verdict::Modify(Message { payload: "NOW".into(), ..m.clone() }));
    pipeline.set_stages(vec![ticks, shout], PATIENCE).await.unwrap();
    let said = tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().unwrap();
    assert_eq!((shown(&said.message), said.message.origin.to_string()), ("t=NOW".into(), "plugin:ticks".into()));
    until(|| ledger(&pipeline).delivered == 1).await;
    assert_eq!((ledger(&pipeline).added, pipeline.stages()[0].added), (1, 1));
}

struct Kept(Topic, Mutex<Vec<Message>>);

impl Output for Kept {
    fn topic(&self) -> &Topic {
        &self.0
    }

    fn offer(&self, message: &Message) {
        self.1.lock().unwrap().push(message.clone());
    }
}

#[tokio::test]
async fn an_output_gets_the_messages_of_its_topic_until_it_is_detached() {
    let (pipeline, _delivered) = Pipeline::new(1);
    let kept = Arc::new(Kept(topic("serial/a/down"), Mutex::default()));
    pipeline.attach(kept.clone());
    pipeline.ingest(from_radio(&pipeline, "serial/a/down", "x")).await.unwrap();
    pipeline.ingest(from_radio(&pipeline, "serial/b/down", "x")).await.unwrap();
    pipeline.detach(kept.topic());
    pipeline.ingest(from_radio(&pipeline, "serial/a/down", "x")).await.unwrap();
    assert_eq!(kept.1.lock().unwrap().len(), 1);
}

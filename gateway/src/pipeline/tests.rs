//! The path's promises, held against stages made for it.

use std::sync::Mutex;

use super::*;
use crate::message::TopicFilter;

type Rule = Box<dyn Fn(&Message) -> Verdict + Send + Sync>;

struct TestStage(TopicFilter, Rule);

impl TestStage {
    fn boxed(filter: &str, rule: impl Fn(&Message) -> Verdict + Send + Sync + 'static) -> Box<dyn Stage> {
        Box::new(Self(TopicFilter::new(filter).unwrap(), Box::new(rule)))
    }
}

impl Stage for TestStage {
    fn filter(&self) -> &TopicFilter {
        &self.0
    }

    fn process<'a>(&'a self, message: &'a Message) -> Answer<'a> {
        Box::pin(async move { (self.1)(message) })
    }
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn from_radio(pipeline: &Pipeline, name: &str, payload: &'static str) -> Message {
    pipeline.message(pipeline.clock().now(), Origin::Radio("r".into()), topic(name), payload)
}

fn drain(delivered: &mut mpsc::Receiver<Delivered>) -> Vec<String> {
    let mut out = Vec::new();
    while let Ok(Delivered { message: m, .. }) = delivered.try_recv() {
        out.push(format!("{}={}", m.topic, String::from_utf8_lossy(&m.payload)));
    }
    out
}

#[tokio::test]
async fn stages_see_messages_in_order_and_what_one_adds_goes_on_from_the_next() {
    let double = |m: &Message| Verdict::Replace(vec![m.clone(), Message { topic: topic("a/copy"), ..m.clone() }]);
    let shout = |m: &Message| Verdict::Modify(Message { payload: m.payload.to_ascii_uppercase().into(), ..m.clone() });
    let (pipeline, mut delivered) =
        Pipeline::new(1, vec![TestStage::boxed("a/#", double), TestStage::boxed("a/copy", shout)]);
    pipeline.ingest(from_radio(&pipeline, "a/x", "one")).await.unwrap();
    pipeline.ingest(from_radio(&pipeline, "b", "two")).await.unwrap();
    assert_eq!(drain(&mut delivered), ["a/x=one", "a/copy=ONE", "b=two"]);
    let s = pipeline.ledger().snapshot();
    assert!(s.balances());
    assert_eq!((s.received_total(), s.added, s.delivered, s.filtered), (2, 2, 3, 1));
}

#[tokio::test]
async fn a_filtered_message_is_counted_and_goes_nowhere() {
    let (pipeline, mut delivered) = Pipeline::new(1, vec![TestStage::boxed("#", |_| Verdict::Filter)]);
    pipeline.ingest(from_radio(&pipeline, "a", "x")).await.unwrap();
    assert!(drain(&mut delivered).is_empty());
    let s = pipeline.ledger().snapshot();
    assert!(s.balances() && s.filtered == 1);
}

#[tokio::test]
async fn a_message_whose_task_is_cancelled_while_it_waits_counts_as_abandoned() {
    let (pipeline, _delivered) = Pipeline::new(1, Vec::new());
    for _ in 0..FANOUT_QUEUE {
        pipeline.ingest(from_radio(&pipeline, "a", "x")).await.unwrap();
    }
    let waiting = pipeline.ingest(from_radio(&pipeline, "a", "x"));
    let mut waiting = Box::pin(waiting);
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    assert_eq!(pipeline.ledger().snapshot().in_flight, 1);
    drop(waiting);
    let s = pipeline.ledger().snapshot();
    assert!(s.balances() && s.dropped["abandoned"] == 1 && s.in_flight == 0);
}

#[tokio::test]
async fn when_the_broker_is_gone_the_sender_is_told_and_the_message_counts_as_dropped() {
    let (pipeline, delivered) = Pipeline::new(1, Vec::new());
    drop(delivered);
    assert_eq!(pipeline.ingest(from_radio(&pipeline, "a", "x")).await, Err(Closed));
    let s = pipeline.ledger().snapshot();
    assert!(s.balances() && s.dropped["shutting-down"] == 1);
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
    let (pipeline, _delivered) = Pipeline::new(1, Vec::new());
    let kept = Arc::new(Kept(topic("serial/a/down"), Mutex::default()));
    pipeline.attach(kept.clone());
    pipeline.ingest(from_radio(&pipeline, "serial/a/down", "x")).await.unwrap();
    pipeline.ingest(from_radio(&pipeline, "serial/b/down", "x")).await.unwrap();
    pipeline.detach(kept.topic());
    pipeline.ingest(from_radio(&pipeline, "serial/a/down", "x")).await.unwrap();
    assert_eq!(kept.1.lock().unwrap().len(), 1);
}

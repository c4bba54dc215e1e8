//! What an acknowledgement waits for.

use std::num::NonZeroU16;

use super::*;
use crate::message::{Awaited, Promise, Publication};

const PUBLICATION: Publication = Publication { session: 7, packet_id: NonZeroU16::MIN };

/// Takes a message in for a publisher of QoS 2 that waits.
async fn publish(pipeline: &Pipeline, name: &str) -> Awaited {
    let (receipt, awaited) = Receipt::new(Arc::default(), Some(PUBLICATION));
    pipeline.ingest_for(from_radio(pipeline, name, "x"), Some(receipt)).await.unwrap();
    awaited
}

type Notes = Arc<Mutex<Vec<Receipt>>>;

/// What the store is asked to note, kept.
fn notes(pipeline: &Pipeline) -> Notes {
    let notes = Notes::default();
    let theirs = Arc::clone(&notes);
    pipeline.note_with(move |note, receipt| {
        assert_eq!(note, Note::Publication(PUBLICATION));
        theirs.lock().unwrap().push(receipt);
    });
    notes
}

/// Ends a branch as the hub does; says whether the publication is to be noted with it.
fn hand_on(delivered: Delivered) -> Option<Receipt> {
    let mut noted = None;
    delivered.receipt.unwrap().end(|_, receipt| noted = Some(receipt));
    noted
}

#[tokio::test]
async fn a_publication_that_is_filtered_or_refused_is_noted_before_it_is_acknowledged() {
    for verdict in [|| Verdict::Filter, || Verdict::Drop(DropReason::PluginFailed), || Verdict::Replace(Vec::new())] {
        let (pipeline, _delivered) = path(vec![rule("end", "#", move |_| verdict())]).await;
        let notes = notes(&pipeline);
        let awaited = publish(&pipeline, "a").await;
        assert!(pipeline.drain(PATIENCE).await);
        assert_eq!(awaited.promise(), Promise::Open, "before it is on disk");
        let noted = notes.lock().unwrap().pop().unwrap();
        noted.settle();
        assert_eq!(awaited.promise(), Promise::Kept);
    }
}

#[tokio::test]
async fn of_several_that_come_of_one_the_last_to_be_handed_on_carries_the_note() {
    let three = |m: &Message| Verdict::Replace(vec![m.clone(), m.clone(), Message { topic: topic("no"), ..m.clone() }]);
    let stages = vec![rule("three", "a", three), rule("none", "no", |_| Verdict::Filter)];
    let (pipeline, mut delivered) = path(stages).await;
    let notes = notes(&pipeline);
    let awaited = publish(&pipeline, "a").await;
    assert!(pipeline.drain(PATIENCE).await);
    assert!(notes.lock().unwrap().is_empty(), "two are still to be handed on");
    let [first, last] = [(); 2].map(|()| delivered.try_recv().unwrap());
    assert!(hand_on(first).is_none());
    assert_eq!(awaited.promise(), Promise::Open);
    hand_on(last).unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Kept);
}

#[tokio::test]
async fn where_the_last_that_came_of_one_is_filtered_the_note_is_made_all_the_same() {
    let two = |m: &Message| Verdict::Replace(vec![m.clone(), Message { topic: topic("slow"), ..m.clone() }]);
    let (held, seen, verdict) = held("held", "slow");
    let (pipeline, mut delivered) = path(vec![rule("two", "a", two), held]).await;
    let notes = notes(&pipeline);
    let awaited = publish(&pipeline, "a").await;
    let first = tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().unwrap();
    seen.recv_timeout(PATIENCE).unwrap();
    assert!(hand_on(first).is_none(), "the other is still under way");
    verdict.send(Verdict::Filter).unwrap();
    assert!(pipeline.drain(PATIENCE).await);
    assert_eq!(awaited.promise(), Promise::Open);
    notes.lock().unwrap().pop().unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Kept);
}

/// Adds an alarm to each batch.
struct Alarms(Stamp);

impl Processor for Alarms {
    fn process(&mut self, batch: &[Message]) -> Judged {
        let alarm = self.0.message(Origin::Plugin("alarms".into()), topic("alarm"), "!");
        Judged { verdicts: batch.iter().map(|_| Verdict::Filter).collect(), added: vec![alarm], ..Judged::default() }
    }
}

#[tokio::test]
async fn what_a_stage_adds_to_a_batch_holds_back_the_acknowledgements_of_all_of_it() {
    let (held, seen, verdict) = held("held", "#");
    let (pipeline, mut delivered) = path(vec![held]).await;
    let alarms = stage("alarms", "#", Alarms(pipeline.stamp().clone()));
    let keep = Stage { processor: None, ..rule("held", "#", |_| Verdict::Pass) };
    pipeline.set_stages(vec![keep, alarms], PATIENCE).await.unwrap();
    let awaited = [publish(&pipeline, "a").await, publish(&pipeline, "b").await];
    seen.recv_timeout(PATIENCE).unwrap();
    drop(verdict);
    assert!(pipeline.drain(PATIENCE).await);
    assert!(awaited.iter().all(|awaited| awaited.promise() == Promise::Open));
    while let Ok(alarm) = delivered.try_recv() {
        alarm.receipt.unwrap().end(|_, receipt| receipt.settle());
    }
    assert!(awaited.iter().all(|awaited| awaited.promise() == Promise::Kept));
}

#[tokio::test]
async fn nothing_is_acknowledged_of_what_is_cut_off() {
    let (held, seen, verdict) = held("held", "#");
    let (pipeline, delivered) = path(vec![held]).await;
    let notes = notes(&pipeline);
    let judged = publish(&pipeline, "a").await;
    seen.recv_timeout(PATIENCE).unwrap();
    for _ in 0..STAGE_QUEUE {
        pipeline.ingest(from_radio(&pipeline, "a", "x")).await.unwrap();
    }
    // Its task ends while it waits for room.
    let (receipt, cut_off) = Receipt::new(Arc::default(), Some(PUBLICATION));
    let mut waiting = Box::pin(pipeline.ingest_for(from_radio(&pipeline, "a", "x"), Some(receipt)));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    drop(waiting);
    assert_eq!((cut_off.promise(), ledger(&pipeline).dropped["abandoned"]), (Promise::Lost, 1));
    // The broker is gone before a message comes to it.
    drop(delivered);
    verdict.send(Verdict::Replace(vec![from_radio(&pipeline, "b", "x"); 2])).unwrap();
    drop(verdict);
    assert!(pipeline.drain(PATIENCE).await);
    assert_eq!(judged.promise(), Promise::Lost);
    assert!(notes.lock().unwrap().is_empty());
    assert_eq!(ledger(&pipeline).in_flight, 0);
}

/// Keeps back the receipts of what it is to remember.
struct Remembers(threads::Sender<Receipt>);

impl Processor for Remembers {
    fn process(&mut self, batch: &[Message]) -> Judged {
        let remembered = batch.iter().any(|message| message.topic.as_str() == "a");
        Judged { verdicts: batch.iter().map(|_| Verdict::Pass).collect(), remembered, ..Judged::default() }
    }

    fn sync(&mut self, receipt: Receipt) {
        self.0.send(receipt).unwrap();
    }
}

#[tokio::test]
async fn an_acknowledgement_waits_for_what_the_stage_remembers_of_the_batch() {
    let (to_test, kept) = threads::channel();
    let (pipeline, mut delivered) = path(vec![stage("remembers", "#", Remembers(to_test))]).await;
    let awaited = publish(&pipeline, "a").await;
    assert!(pipeline.drain(PATIENCE).await);
    hand_on(delivered.try_recv().unwrap()).unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Open, "delivered, and not remembered yet");
    kept.recv_timeout(PATIENCE).unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Kept);
    let awaited = publish(&pipeline, "b").await;
    assert!(pipeline.drain(PATIENCE).await);
    hand_on(delivered.try_recv().unwrap()).unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Kept, "nothing was to be remembered");
}

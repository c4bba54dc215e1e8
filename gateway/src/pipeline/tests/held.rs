//! Messages that a stage could not judge are held, in order, until it can.

mod several;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::message::Promise;
use crate::pipeline::Kept;
use crate::pipeline::queue::BATCH;

/// What a keeper was asked to keep: the text of each message, and whether it lay apart. Let go by the receipt's note.
#[derive(Default)]
struct Book {
    last: AtomicU64,
    held: Mutex<Vec<(u64, String, Held)>>,
}

struct Keeps(Arc<Book>);

impl Keeper for Keeps {
    fn keep(&self, kept: Kept, receipt: Option<Receipt>) -> u64 {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.held.lock().unwrap().push((number, shown(&kept.message), kept.held));
        receipt.into_iter().for_each(|receipt| {
            receipt.end(|note, receipt| {
                if let Note::Held(number) = note {
                    self.let_go(number);
                }
                receipt.settle();
            });
        });
        number
    }

    fn take_over(&self, moved: Vec<(u64, Kept)>) -> Vec<u64> {
        let takes = |(number, kept)| {
            self.let_go(number);
            self.keep(kept, None)
        };
        moved.into_iter().map(takes).collect()
    }

    fn set_apart(&self, number: u64) {
        self.0
            .held
            .lock()
            .unwrap()
            .iter_mut()
            .filter(|(n, ..)| *n == number)
            .for_each(|(.., held)| *held = Held::Apart);
    }

    fn let_go(&self, number: u64) {
        self.0.held.lock().unwrap().retain(|(n, ..)| *n != number);
    }
}

/// Can judge nothing while it is closed, and never what begins with a letter that it can't stand.
struct Moody {
    open: Arc<AtomicBool>,
    hates: &'static [u8],
    asked: Arc<AtomicU64>,
}

impl Processor for Moody {
    fn process(&mut self, batch: &[Message]) -> Judged {
        self.asked.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let open = self.open.load(Ordering::Relaxed);
        let verdict = |message: &Message| match message.payload.first() {
            _ if !open => Verdict::Hold(Held::Waits),
            Some(first) if self.hates.contains(first) => Verdict::Hold(Held::Apart),
            _ => Verdict::Pass,
        };
        Judged { verdicts: batch.iter().map(verdict).collect(), ..Judged::default() }
    }

    fn is_ready(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

/// The path with such a stage, and what it is held by.
struct Bench {
    pipeline: Arc<Pipeline>,
    delivered: Intake,
    kept: Arc<Book>,
    shelf: Arc<Shelf>,
    open: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl Bench {
    async fn new(open: bool, room: usize, left: Vec<(u64, Kept)>) -> Self {
        let (pipeline, delivered) = Pipeline::new(1);
        let kept = Arc::<Book>::default();
        let shelf = pipeline.shelf(Box::new(Keeps(Arc::clone(&kept))), room, left);
        let lets_go = Keeps(Arc::clone(&kept));
        pipeline.note_with(move |note, receipt| {
            let Note::Held(number) = note else { panic!("{note:?}") };
            lets_go.let_go(number);
            receipt.settle();
        });
        let open = Arc::new(AtomicBool::new(open));
        let bench = Self { pipeline, delivered, kept, shelf, open, asked: Arc::default() };
        bench.set(b"x").await;
        bench
    }

    /// Has another processor take over.
    async fn set(&self, hates: &'static [u8]) {
        let moody = Moody { open: Arc::clone(&self.open), hates, asked: Arc::clone(&self.asked) };
        let stage = Stage { shelf: Some(Arc::clone(&self.shelf)), ..stage("moody", "#", moody) };
        self.pipeline.set_stages(vec![stage], PATIENCE).await.unwrap();
    }

    async fn publish(&self, payload: &'static str) -> Promise {
        let (receipt, awaited) = Receipt::new(Arc::default(), None);
        self.pipeline.ingest_for(from_radio(&self.pipeline, "t", payload), Some(receipt)).await.unwrap();
        assert!(self.pipeline.drain(PATIENCE).await);
        awaited.promise()
    }

    /// The payloads of the next so many messages. What is delivered leaves nothing behind here, so its notes are made.
    async fn next(&mut self, count: usize) -> Vec<String> {
        let mut came = Vec::new();
        while came.len() < count {
            let delivered = tokio::time::timeout(PATIENCE, self.delivered.recv()).await.unwrap().unwrap();
            came.push(String::from_utf8(delivered.message.payload.to_vec()).unwrap());
            let lets_go = Keeps(Arc::clone(&self.kept));
            delivered.receipt.unwrap().end(|note, receipt| {
                if let Note::Held(number) = note {
                    lets_go.let_go(number);
                }
                receipt.settle();
            });
        }
        came
    }
}

#[tokio::test]
async fn what_could_not_be_judged_goes_on_in_order_and_before_what_came_later() {
    let mut bench = Bench::new(false, 1 << 20, Vec::new()).await;
    for payload in ["a", "b", "c"] {
        assert_eq!(bench.publish(payload).await, Promise::Kept, "it is safe where it is held");
    }
    assert_eq!(bench.asked.load(Ordering::Relaxed), 1, "those behind the first are not asked about");
    assert_eq!((ledger(&bench.pipeline).held, ledger(&bench.pipeline).in_flight), (3, 0));
    assert_eq!(bench.pipeline.stages()[0].held, 3);
    bench.open.store(true, Ordering::Relaxed);
    bench.publish("d").await;
    assert_eq!(bench.next(4).await, ["a", "b", "c", "d"]);
    until(|| bench.kept.held.lock().unwrap().is_empty()).await;
    // A message is counted just after it has been handed over.
    until(|| (ledger(&bench.pipeline).held, ledger(&bench.pipeline).delivered) == (0, 4)).await;
    assert_eq!(bench.shelf.counts(), ShelfCounts::default());
}

#[tokio::test]
async fn one_that_the_stage_fails_at_holds_up_no_other_and_is_tried_again_when_the_stage_has_changed() {
    let mut bench = Bench::new(true, 1 << 20, Vec::new()).await;
    for payload in ["a", "x1", "b", "x2"] {
        bench.publish(payload).await;
    }
    assert_eq!(bench.next(2).await, ["a", "b"]);
    assert_eq!(bench.shelf.counts(), ShelfCounts { waiting: 0, apart: 2, bytes: 512 });
    let asked = bench.asked.load(Ordering::Relaxed);
    bench.set(b"xy").await;
    until(|| bench.asked.load(Ordering::Relaxed) == asked + 2).await;
    until(|| ledger(&bench.pipeline).held == 2).await;
    bench.set(b"").await;
    assert_eq!(bench.next(2).await, ["x1", "x2"]);
    until(|| bench.kept.held.lock().unwrap().is_empty()).await;
    assert_eq!(ledger(&bench.pipeline).held, 0);
}

#[tokio::test]
async fn where_there_is_no_room_the_newest_is_dropped_and_not_acknowledged() {
    let bench = Bench::new(false, 2 * HELD_MIN_BYTES, Vec::new()).await;
    assert_eq!(bench.publish("a").await, Promise::Kept);
    assert_eq!(bench.publish("b").await, Promise::Kept);
    assert_eq!(bench.publish("c").await, Promise::Lost);
    assert_eq!((ledger(&bench.pipeline).held, ledger(&bench.pipeline).dropped["held-full"]), (2, 1));
    assert_eq!(bench.shelf.clear(), 2);
    assert_eq!((ledger(&bench.pipeline).held, ledger(&bench.pipeline).dropped["plugin-failed"]), (0, 2));
    assert!(bench.kept.held.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_an_earlier_run_left_is_counted_in_and_judged_first() {
    let pipeline = Pipeline::new(9).0;
    let left = |number, held, payload| {
        (number, Kept { message: Arc::new(from_radio(&pipeline, "t", payload)), held, behind: None })
    };
    let left = vec![left(1, Held::Apart, "x"), left(2, Held::Waits, "a"), left(3, Held::Waits, "b")];
    let mut bench = Bench::new(true, 0, left).await;
    assert_eq!(bench.next(2).await, ["a", "b"]);
    bench.publish("c").await;
    assert_eq!(bench.next(1).await, ["c"]);
    until(|| ledger(&bench.pipeline).in_flight == 0).await;
    assert_eq!((ledger(&bench.pipeline).received["held"], ledger(&bench.pipeline).held), (3, 1));
    bench.set(b"").await;
    assert_eq!(bench.next(1).await, ["x"]);
}

#[tokio::test]
async fn messages_of_a_stage_that_broke_are_held_until_another_takes_over() {
    let mut bench = Bench::new(true, 1 << 20, Vec::new()).await;
    let shelf = Some(Arc::clone(&bench.shelf));
    let breaks = Stage { shelf, fallback: Fallback::Hold, ..stage("moody", "#", Breaks(Fallback::Drop)) };
    bench.pipeline.set_stages(vec![breaks], PATIENCE).await.unwrap();
    for payload in ["a", "b"] {
        assert_eq!(bench.publish(payload).await, Promise::Kept);
    }
    assert!(bench.pipeline.stages()[0].broken);
    bench.set(b"").await;
    assert_eq!(bench.next(2).await, ["a", "b"]);
}

#[tokio::test]
async fn what_waits_goes_by_the_fallback_where_a_stage_that_broke_holds_nothing() {
    let mut bench = Bench::new(false, 1 << 20, Vec::new()).await;
    for _ in 0..BATCH + 2 {
        assert_eq!(bench.publish("a").await, Promise::Kept);
    }
    let shelf = Some(Arc::clone(&bench.shelf));
    let breaks = Stage { shelf, fallback: Fallback::Pass, ..stage("moody", "#", Breaks(Fallback::Pass)) };
    bench.pipeline.set_stages(vec![breaks], PATIENCE).await.unwrap();
    assert_eq!(bench.next(BATCH + 2).await.len(), BATCH + 2);
    assert!(bench.pipeline.stages()[0].broken);
}

#[tokio::test]
async fn what_a_plugin_made_and_finds_no_room_takes_the_promise_of_nothing_else() {
    let mut bench = Bench::new(false, HELD_MIN_BYTES, Vec::new()).await;
    assert_eq!(bench.publish("a").await, Promise::Kept);
    let made = |to, m: &Message| Message { origin: Origin::Plugin("makes".into()), topic: topic(to), ..m.clone() };
    let makes = rule("makes", "made", move |m| Verdict::Replace(vec![made("t", m), made("other", m)]));
    let shelf = Some(Arc::clone(&bench.shelf));
    let topics = vec![TopicFilter::new("t").unwrap()];
    let moody = Stage { name: "moody".into(), topics, fallback: Fallback::Drop, shelf, processor: None };
    bench.pipeline.set_stages(vec![makes, moody], PATIENCE).await.unwrap();
    let (receipt, awaited) = Receipt::new(Arc::default(), None);
    bench.pipeline.ingest_for(from_radio(&bench.pipeline, "made", "b"), Some(receipt)).await.unwrap();
    assert_eq!(bench.next(1).await, ["b"]);
    until(|| awaited.promise() == Promise::Kept).await;
    assert_eq!((ledger(&bench.pipeline).held, ledger(&bench.pipeline).dropped["held-full"]), (1, 1));
}

fn left(pipeline: &Pipeline, count: usize) -> Vec<(u64, Kept)> {
    let message = || Arc::new(from_radio(pipeline, "t", "a"));
    let left = |number| (number, Kept { message: message(), held: Held::Waits, behind: None });
    (1..=count as u64).map(left).collect()
}

/// A path with a shelf that is worked off, of which one batch is in the stage's hands and one message waits.
async fn worked_off() -> (Arc<Pipeline>, Intake, Arc<Shelf>, (threads::Receiver<Message>, threads::Sender<Verdict>)) {
    let (pipeline, delivered) = Pipeline::new(1);
    let shelf = pipeline.shelf(Box::new(Keeps(Arc::default())), 0, left(&pipeline, BATCH + 1));
    let (stage, seen, verdict) = held("slow", "#");
    pipeline.set_stages(vec![Stage { shelf: Some(Arc::clone(&shelf)), ..stage }], PATIENCE).await.unwrap();
    until(|| shelf.counts().waiting == 1).await;
    seen.recv_timeout(PATIENCE).unwrap();
    (pipeline, delivered, shelf, (seen, verdict))
}

#[tokio::test]
async fn a_shelf_that_is_worked_off_does_not_keep_stages_from_changing() {
    let (pipeline, _delivered, shelf, (_seen, verdict)) = worked_off().await;
    let topics = vec![TopicFilter::new("t").unwrap()];
    let processor = None;
    let stage =
        Stage { name: "slow".into(), topics, fallback: Fallback::Drop, shelf: Some(Arc::clone(&shelf)), processor };
    let changing = Arc::clone(&pipeline);
    let change = tokio::spawn(async move { changing.set_stages(vec![stage], PATIENCE / 2).await });
    tokio::task::yield_now().await;
    (0..BATCH).for_each(|_| verdict.send(Verdict::Filter).unwrap());
    // Nobody says yet what becomes of the last.
    change.await.unwrap().unwrap();
    verdict.send(Verdict::Filter).unwrap();
    until(|| ledger(&pipeline).filtered == BATCH as u64 + 1).await;
    assert_eq!(shelf.counts(), ShelfCounts::default());
}

#[tokio::test]
async fn what_is_on_a_shelf_stays_there_when_the_path_stops() {
    let (pipeline, _delivered, shelf, (_seen, verdict)) = worked_off().await;
    let stopping = Arc::clone(&pipeline);
    let stop = tokio::spawn(async move { stopping.stop(PATIENCE).await });
    tokio::task::yield_now().await;
    (0..BATCH).for_each(|_| verdict.send(Verdict::Filter).unwrap());
    assert!(stop.await.unwrap());
    let ledger = ledger(&pipeline);
    assert_eq!((ledger.filtered, ledger.held, ledger.dropped_total()), (BATCH as u64, 1, 0));
    assert_eq!(shelf.counts().waiting, 1);
}

#[tokio::test]
async fn shelves_are_left_alone_until_all_outputs_are_there() {
    let (pipeline, mut delivered) = Pipeline::new(1);
    pipeline.keep_shelves();
    let shelf = pipeline.shelf(Box::new(Keeps(Arc::default())), 1 << 20, left(&pipeline, 1));
    let stage = Stage { shelf: Some(Arc::clone(&shelf)), ..rule("pass", "#", |_| Verdict::Pass) };
    pipeline.set_stages(vec![stage], PATIENCE).await.unwrap();
    pipeline.ingest(from_radio(&pipeline, "t", "b")).await.unwrap();
    assert!(drain(&pipeline, &mut delivered).await.is_empty());
    assert_eq!(shelf.counts().waiting, 2, "what came later waits behind it");
    pipeline.work_off_shelves().await;
    for expected in ["t=a", "t=b"] {
        let next = tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().unwrap();
        assert_eq!(shown(&next.message), expected);
    }
}

#[tokio::test]
async fn what_lies_apart_leaves_half_of_the_room_to_what_waits() {
    let bench = Bench::new(true, 4 * HELD_MIN_BYTES, Vec::new()).await;
    assert_eq!(bench.publish("x1").await, Promise::Kept);
    assert_eq!(bench.publish("x2").await, Promise::Kept);
    assert_eq!(bench.publish("x3").await, Promise::Lost);
    bench.open.store(false, Ordering::Relaxed);
    assert_eq!(bench.publish("a").await, Promise::Kept);
    assert_eq!(bench.shelf.counts(), ShelfCounts { waiting: 1, apart: 2, bytes: 3 * HELD_MIN_BYTES });
}

#[tokio::test]
async fn what_lies_apart_keeps_its_try_while_nothing_can_be_judged() {
    let mut bench = Bench::new(true, 1 << 20, Vec::new()).await;
    bench.publish("x1").await;
    bench.publish("x2").await;
    let mut missing = true;
    let judge = move |_: &Message| match std::mem::take(&mut missing) {
        true => Verdict::Hold(Held::Waits),
        false => Verdict::Pass,
    };
    let stage = Stage { shelf: Some(Arc::clone(&bench.shelf)), ..rule("moody", "#", judge) };
    bench.pipeline.set_stages(vec![stage], PATIENCE).await.unwrap();
    assert_eq!(bench.next(2).await, ["x1", "x2"]);
    // What was delivered leaves the shelf just after.
    until(|| bench.shelf.counts() == ShelfCounts::default()).await;
}

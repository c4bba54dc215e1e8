//! Who takes messages out of the house gets each once, behind the stages, and answers for it.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::message::{Promise, Publication};

/// Takes what a filter matches and keeps it.
struct Bag {
    filter: TopicFilter,
    taken: Mutex<Vec<(Message, Option<Receipt>)>>,
    full: AtomicBool,
}

impl Bag {
    fn new(filter: &str) -> Arc<Self> {
        let (filter, taken) = (TopicFilter::new(filter).unwrap(), Mutex::default());
        Arc::new(Self { filter, taken, full: AtomicBool::new(false) })
    }

    fn shown(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(message, _)| shown(message)).collect()
    }
}

impl Carrier for Bag {
    fn name(&self) -> &str {
        self.filter.as_str()
    }

    fn wants(&self, message: &Message) -> bool {
        self.filter.matches(message.topic.as_str())
    }

    fn take(&self, record: bytes::Bytes, message: &Message, receipt: Option<Receipt>) {
        assert_eq!(Message::from_record(&record).unwrap().id, message.id);
        self.taken.lock().unwrap().push((message.clone(), receipt));
    }

    fn holds_up(&self, topic: &Topic) -> bool {
        self.full.load(Ordering::Relaxed) && self.filter.matches(topic.as_str())
    }
}

#[tokio::test]
async fn each_carrier_gets_what_it_wants_once_as_the_stages_leave_it() {
    let move_it = |m: &Message| Verdict::Modify(Message { topic: topic("b"), ..m.clone() });
    let (pipeline, mut delivered) =
        path(vec![rule("none", "no", |_| Verdict::Filter), rule("move", "a", move_it)]).await;
    let (all, some) = (Bag::new("#"), Bag::new("b"));
    pipeline.carry(Arc::clone(&all) as Arc<dyn Carrier>);
    pipeline.carry(Arc::clone(&some) as Arc<dyn Carrier>);
    // The same name once more: it takes the place of the first.
    pipeline.carry(Arc::clone(&some) as Arc<dyn Carrier>);
    for name in ["a", "no", "c"] {
        pipeline.ingest(from_radio(&pipeline, name, "x")).await.unwrap();
    }
    assert_eq!(drain(&pipeline, &mut delivered).await.len(), 2);
    let mut taken = all.shown();
    taken.sort();
    assert_eq!((taken, some.shown()), (vec!["b=x".to_owned(), "c=x".to_owned()], vec!["b=x".to_owned()]));
    pipeline.carry_no_more("b");
    pipeline.carry_no_more("#");
    pipeline.ingest(from_radio(&pipeline, "b", "x")).await.unwrap();
    drain(&pipeline, &mut delivered).await;
    assert_eq!((all.shown().len(), some.shown().len()), (2, 1));
    assert_eq!(ledger(&pipeline).delivered, 3);
}

#[tokio::test]
async fn an_acknowledgement_waits_for_the_carrier_too() {
    let (pipeline, mut delivered) = path(Vec::new()).await;
    assert!(!pipeline.asks_for_receipts());
    let bag = Bag::new("#");
    pipeline.carry(Arc::clone(&bag) as Arc<dyn Carrier>);
    assert!(pipeline.asks_for_receipts());
    let (receipt, awaited) = Receipt::new(Arc::default(), None);
    pipeline.ingest_for(from_radio(&pipeline, "a", "x"), Some(receipt)).await.unwrap();
    delivered.try_recv().unwrap().receipt.unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Open);
    let (_, receipt) = bag.taken.lock().unwrap().pop().unwrap();
    receipt.unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Kept);
}

#[tokio::test]
async fn a_publication_of_qos_2_is_noted_when_the_carrier_has_it_safe_and_not_before() {
    let (pipeline, mut delivered) = path(Vec::new()).await;
    let bag = Bag::new("#");
    pipeline.carry(Arc::clone(&bag) as Arc<dyn Carrier>);
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&noted);
    pipeline.note_with(move |_, receipt| notes.lock().unwrap().push(receipt));
    let publication = Publication { session: 1, packet_id: NonZeroU16::MIN };
    let (receipt, awaited) = Receipt::new(Arc::default(), Some(publication));
    pipeline.ingest_for(from_radio(&pipeline, "a", "x"), Some(receipt)).await.unwrap();
    delivered.try_recv().unwrap().receipt.unwrap().end(|_, _| panic!("the carrier does not have it safe yet"));
    let (_, receipt) = bag.taken.lock().unwrap().pop().unwrap();
    pipeline.end(receipt.unwrap());
    assert_eq!(awaited.promise(), Promise::Open);
    noted.lock().unwrap().pop().unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Kept);
}

#[tokio::test]
async fn whoever_is_held_up_hears_of_room() {
    let (pipeline, _delivered) = path(Vec::new()).await;
    let bag = Bag::new("a");
    pipeline.carry(Arc::clone(&bag) as Arc<dyn Carrier>);
    bag.full.store(true, Ordering::Relaxed);
    assert!(pipeline.holds_up(&topic("a")) && !pipeline.holds_up(&topic("b")));
    let told = Arc::clone(pipeline.room()).notified_owned();
    pipeline.carry_no_more("a");
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert!(!pipeline.holds_up(&topic("a")));
}

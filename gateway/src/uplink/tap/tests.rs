//! What goes into a spool, and who waits when it is full.

use std::num::NonZeroU16;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::config::{Direction, Rule, Uplink, Url};
use crate::message::{Publication, QoS};
use crate::sharing::Pseudonyms;
use crate::spool::{Reader, SpoolSettings};
use crate::uplink::run::spool_settings;

const PATIENCE: Duration = Duration::from_secs(20);

struct Stand {
    pipeline: Arc<Pipeline>,
    intake: crate::pipeline::Intake,
    tap: Arc<Tap>,
    spool: Spool,
    reader: Reader,
    _folder: TempDir,
}

fn uplink(when_full: WhenFull) -> Uplink {
    let filter = TopicFilter::new("#").unwrap();
    let (direction, qos) = (Direction::Both, QoS::AtLeastOnce);
    let rule = Rule { filter, direction, qos, local_prefix: String::new(), remote_prefix: String::new() };
    let mut uplink =
        Uplink::new("cloud", Url { tls: false, host: "host".into(), port: 1883, websocket: None }, vec![rule]);
    uplink.spool.when_full = when_full;
    uplink.spool.alarms = vec![TopicFilter::new("alarm/#").unwrap()];
    uplink
}

impl Stand {
    fn new(when_full: WhenFull, max_bytes: u64) -> Self {
        Self::of(&uplink(when_full), max_bytes)
    }

    fn of(uplink: &Uplink, max_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (pipeline, intake) = Pipeline::new(1);
        let clock = Arc::clone(&pipeline);
        let settings = SpoolSettings { max_bytes, ..spool_settings(&uplink.spool) };
        let now: crate::spool::Now = Arc::new(move || clock.clock().now());
        let (spool, _) = Spool::open(folder.path(), "cloud", settings, now).unwrap();
        let reader = spool.reader().unwrap();
        let stats = Arc::<UplinkStats>::default();
        let dead = DeadLetters::new("gw", "cloud", Arc::clone(&pipeline), Arc::clone(&stats)).unwrap();
        let sharing = Sharing::new(uplink, Arc::new(Pseudonyms::of(folder.path(), "cloud")));
        let tap = Arc::new(Tap::new(uplink, sharing, "stile/gw/uplink/".into(), spool.clone(), stats, dead));
        pipeline.carry(Arc::clone(&tap) as Arc<dyn Carrier>);
        Self { pipeline, intake, tap, spool, reader, _folder: folder }
    }

    fn message(&self, origin: Origin, topic: &str, bytes: usize) -> Message {
        let pipeline = &self.pipeline;
        pipeline.message(pipeline.clock().now(), origin, Topic::new(topic).unwrap(), vec![b'x'; bytes])
    }

    async fn publish(&self, topic: &str, bytes: usize) -> Awaited {
        let (receipt, awaited) = Receipt::new(Arc::default(), None);
        let message = self.message(Origin::Client("c".into()), topic, bytes);
        self.pipeline.ingest_for(message, Some(receipt)).await.unwrap();
        awaited
    }

    /// What is told of on `dead` next. What comes before it is settled, as the broker does.
    async fn told(&mut self) -> serde_json::Value {
        let intake = &mut self.intake;
        let telling = async {
            loop {
                let delivered = intake.recv().await.unwrap();
                if delivered.message.topic.as_str() == "stile/gw/uplink/cloud/dead" {
                    return serde_json::from_slice(&delivered.message.payload).unwrap();
                }
                delivered.receipt.into_iter().for_each(Receipt::settle);
            }
        };
        tokio::select! {
            () = self.tap.tend(&self.pipeline) => panic!("it never ends"),
            told = tokio::time::timeout(PATIENCE, telling) => told.unwrap(),
        }
    }

    async fn next(&mut self) -> (String, crate::spool::Seq) {
        let mut batch = tokio::time::timeout(PATIENCE, self.reader.next_batch(1, 1 << 20)).await.unwrap().unwrap();
        let record = batch.remove(0);
        (Message::from_record(&record.bytes).unwrap().topic.to_string(), record.seq)
    }
}

#[tokio::test]
async fn nothing_goes_out_that_came_from_a_remote_or_tells_of_one_or_begins_with_a_dollar() {
    let mut stand = Stand::new(WhenFull::DropOldest, 1 << 20);
    let client = || Origin::Client("c".into());
    for (origin, topic) in [
        (Origin::Uplink("cloud".into()), "a"),
        (Origin::Uplink("other".into()), "a"),
        (Origin::Gateway, "stile/gw/uplink/cloud/dead"),
        (client(), "$SYS/x"),
        (client(), "last"),
    ] {
        stand.pipeline.ingest(stand.message(origin, topic, 1)).await.unwrap();
    }
    assert_eq!(stand.next().await.0, "last");
    assert_eq!(stand.spool.figures().messages, 1);
}

#[tokio::test]
async fn alarms_leave_first() {
    let mut stand = Stand::new(WhenFull::DropOldest, 1 << 20);
    for topic in ["a", "b", "alarm/fire"] {
        stand.pipeline.ingest(stand.message(Origin::Radio("r".into()), topic, 1)).await.unwrap();
    }
    assert_eq!([stand.next().await.0, stand.next().await.0, stand.next().await.0], ["alarm/fire", "a", "b"]);
}

/// Publishes until the spool is full, and gives what was promised of the last message.
async fn fill(stand: &Stand) -> Awaited {
    let topic = Topic::new("a").unwrap();
    for _ in 0..300 {
        let awaited = stand.publish("a", 10_000).await;
        if stand.pipeline.holds_up(&topic) {
            return awaited;
        }
    }
    panic!("it is never full");
}

#[tokio::test]
async fn where_publishers_wait_nothing_of_theirs_is_dropped_and_a_radio_is_not_made_to_wait() {
    let mut stand = Stand::new(WhenFull::Block, 1 << 20);
    let waits = fill(&stand).await;
    let other = Topic::new("$SYS/a").unwrap();
    assert!(!stand.pipeline.holds_up(&other), "only what goes there is held up");
    stand.pipeline.ingest(stand.message(Origin::Radio("r".into()), "r", 10_000)).await.unwrap();
    assert_eq!(stand.tap.stats.deaths().find(|(why, _)| *why == "no-room").unwrap().1, 1);
    let taken = stand.tap.stats.taken.load(std::sync::atomic::Ordering::Relaxed) - 1;
    let told = Arc::clone(stand.pipeline.room()).notified_owned();
    let (tap, pipeline) = (Arc::clone(&stand.tap), Arc::clone(&stand.pipeline));
    let reading = async {
        let mut read = 0;
        while read < taken {
            let (topic, seq) = stand.next().await;
            assert_eq!(topic, "a");
            assert!(stand.reader.acknowledge(seq));
            read += 1;
        }
    };
    tokio::select! {
        () = tap.tend(&pipeline) => {}
        read = tokio::time::timeout(PATIENCE, reading) => read.unwrap(),
    }
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(waits.promise(), Promise::Open, "the broker has a part in it");
    while let Ok(delivered) = stand.intake.try_recv() {
        delivered.receipt.into_iter().for_each(Receipt::settle);
    }
    assert_eq!(waits.promise(), Promise::Kept, "the remote has it");
    assert!(!pipeline.holds_up(&Topic::new("a").unwrap()));
}

#[tokio::test]
async fn whoever_is_held_up_goes_on_when_settings_make_room_though_another_had_been_waiting_for_it() {
    let stand = Stand::new(WhenFull::Block, 1 << 20);
    let promised = fill(&stand).await;
    let topic = Topic::new("a").unwrap();
    tokio::select! {
        () = stand.tap.tend(&stand.pipeline) => panic!("it never ends"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    // As a reload does: what tended it is gone, the limit is another, and something else tends it.
    stand.spool.set(SpoolSettings { max_bytes: 8 << 20, ..spool_settings(&uplink(WhenFull::Block).spool) });
    let goes_on = async {
        while stand.pipeline.holds_up(&topic) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = stand.tap.tend(&stand.pipeline) => panic!("it never ends"),
        done = tokio::time::timeout(PATIENCE, goes_on) => done.unwrap(),
    }
    assert_ne!(promised.promise(), Promise::Lost);
}

#[tokio::test]
async fn bulk_that_waits_for_room_holds_up_no_alarms() {
    let mut stand = Stand::new(WhenFull::Block, 1 << 20);
    fill(&stand).await;
    let alarm = Topic::new("alarm/fire").unwrap();
    assert!(!stand.pipeline.holds_up(&alarm));
    stand.pipeline.ingest(stand.message(Origin::Radio("r".into()), "alarm/fire", 100)).await.unwrap();
    stand.publish("alarm/fire", 100).await;
    assert_eq!(stand.tap.stats.deaths().find(|(why, _)| *why == "no-room").unwrap().1, 0);
    let mut alarms = 0;
    while alarms < 2 {
        let (topic, seq) = stand.next().await;
        stand.reader.acknowledge(seq);
        alarms += usize::from(topic == "alarm/fire");
    }
}

#[tokio::test]
async fn with_other_policies_nobody_is_held_up() {
    for when_full in [WhenFull::DropOldest, WhenFull::DropNewest] {
        let stand = Stand::new(when_full, 1 << 20);
        for _ in 0..200 {
            stand.publish("a", 10_000).await;
        }
        assert!(!stand.pipeline.holds_up(&Topic::new("a").unwrap()), "{when_full:?}");
    }
}

/// Gives the tap a message of QoS 2 under this topic, lets `meanwhile` happen, and waits until its publication is noted.
async fn noted(stand: &mut Stand, topic: &str, meanwhile: impl AsyncFnOnce(&mut Stand)) {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&noted);
    stand.pipeline.note_with(move |_, receipt| notes.lock().unwrap().push(receipt));
    let publication = Publication { session: 1, packet_id: NonZeroU16::MIN };
    let (receipt, awaited) = Receipt::new(Arc::default(), Some(publication));
    let message = stand.message(Origin::Client("c".into()), topic, 1);
    let kept = receipt.branch();
    stand.tap.take(message.to_record().into(), &message, Some(kept));
    receipt.end(|_, _| panic!("the record is not safe yet"));
    meanwhile(stand).await;
    let (tap, pipeline) = (Arc::clone(&stand.tap), Arc::clone(&stand.pipeline));
    let noted_soon = async {
        while noted.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = tap.tend(&pipeline) => {}
        done = tokio::time::timeout(PATIENCE, noted_soon) => done.unwrap(),
    }
    assert_eq!(awaited.promise(), Promise::Open);
    noted.lock().unwrap().pop().unwrap().settle();
    assert_eq!(awaited.promise(), Promise::Kept);
}

#[tokio::test]
async fn what_the_remote_could_never_take_is_told_of_at_once_and_not_queued() {
    let mut cloud = uplink(WhenFull::DropOldest);
    (cloud.limits.payload, cloud.limits.topic_levels) = (Some(100), Some(2));
    let mut stand = Stand::of(&cloud, 1 << 20);
    let promise = stand.publish("a/b", 101).await;
    let told = stand.told().await;
    assert_eq!((&told["reason"], &told["topic"], &told["bytes"]), (&"too-large".into(), &"a/b".into(), &101.into()));
    stand.publish("a/b/c", 1).await;
    assert_eq!(stand.told().await["reason"], "bad-topic");
    stand.publish("a/b", 100).await;
    assert_eq!(stand.spool.figures().messages, 1);
    let dead = |reason| stand.tap.stats.deaths().find(|(why, _)| *why == reason).unwrap().1;
    assert_eq!((dead("too-large"), dead("bad-topic")), (1, 1));
    assert_eq!(promise.promise(), Promise::Kept, "its publisher need not send it again");
}

#[tokio::test]
async fn limits_that_the_remote_named_count_as_long_as_it_is_there() {
    let mut stand = Stand::new(WhenFull::DropOldest, 1 << 20);
    let limits = crate::uplink::Limits {
        receive_maximum: 10,
        maximum_qos: 1,
        retain_available: true,
        maximum_packet_size: Some(2000),
        keep_alive: 60,
        topic_alias_maximum: 0,
    };
    stand.tap.stats.online(limits, String::new());
    // With its properties it is longer than it looks, and measured as it would be sent.
    stand.publish("a", 1995).await;
    let told = stand.told().await;
    assert!(told["detail"].as_str().unwrap().contains("packets of 2000 bytes"), "{told}");
    stand.publish("a", 1500).await;
    assert_eq!(stand.spool.figures().messages, 1);
    stand.tap.stats.offline("lost".to_owned(), String::new());
    stand.publish("a", 3000).await;
    assert_eq!(stand.spool.figures().messages, 2, "when it is back its limits may be others");
}

#[tokio::test]
async fn a_publication_of_qos_2_is_noted_when_its_record_is_safe() {
    let mut stand = Stand::new(WhenFull::DropOldest, 1 << 20);
    noted(&mut stand, "a", async |stand: &mut Stand| {
        let (_, seq) = stand.next().await;
        stand.reader.acknowledge(seq);
    })
    .await;
}

#[tokio::test]
async fn a_publication_of_qos_2_that_is_not_shared_is_noted_too() {
    let mut stand = Stand::new(WhenFull::DropOldest, 1 << 20);
    let share = vec![config::Share::all(vec![TopicFilter::new("b").unwrap()])];
    stand.tap.set(&Uplink { share, ..uplink(WhenFull::DropOldest) });
    noted(&mut stand, "a", async |_: &mut Stand| {}).await;
    assert_eq!(stand.spool.figures().messages, 0);
}

#[tokio::test]
async fn what_is_not_shared_is_in_no_queue_and_its_publisher_is_told_all_the_same() {
    let mut stand = Stand::new(WhenFull::Block, 1 << 20);
    let share = config::Share {
        fields: Some(vec![config::Field::parse("/x").unwrap()]),
        ..config::Share::all(vec![TopicFilter::new("shared").unwrap()])
    };
    stand.tap.set(&Uplink { share: vec![share], ..uplink(WhenFull::Block) });
    let awaited = [stand.publish("other", 1).await, stand.publish("shared", 1).await];
    while let Ok(delivered) = stand.intake.try_recv() {
        delivered.receipt.into_iter().for_each(Receipt::settle);
    }
    assert!(awaited.iter().all(|awaited| awaited.promise() == Promise::Kept));
    let why: Vec<_> = stand.tap.stats.withholdings().filter(|(_, count)| *count > 0).collect();
    assert_eq!(why, [("topic", 1), ("not-json", 1)]);
    assert_eq!(stand.spool.figures().messages, 0);
    assert_eq!(stand.tap.stats.taken.load(std::sync::atomic::Ordering::Relaxed), 0);
    let mut message = stand.message(Origin::Client("c".into()), "shared", 0);
    message.payload = Bytes::from_static(b"{\"x\":1,\"y\":2}");
    stand.pipeline.ingest(message).await.unwrap();
    let mut batch = tokio::time::timeout(PATIENCE, stand.reader.next_batch(1, 1 << 20)).await.unwrap().unwrap();
    assert_eq!(Message::from_record(&batch.remove(0).bytes).unwrap().payload, "{\"x\":1}");
}

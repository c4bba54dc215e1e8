//! Keeping and reading over real files.

use std::ops::ControlFlow;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::*;
use crate::message::{ClockQuality, Message, Origin, Received, Topic, TopicFilter};

struct Bench {
    folder: tempfile::TempDir,
    pipeline: Arc<Pipeline>,
    kept: Arc<Measurements>,
    _intake: tokio::task::JoinHandle<()>,
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000 + seconds)
}

fn settings() -> config::Measurements {
    config::Measurements { interval: Duration::from_secs(600), ..config::Measurements::default() }
}

impl Bench {
    async fn new(folder: tempfile::TempDir, settings: &config::Measurements) -> Self {
        let (pipeline, mut intake) = Pipeline::new(7);
        let drained = tokio::spawn(async move { while intake.recv().await.is_some() {} });
        let kept = Measurements::new(folder.path(), Arc::clone(&pipeline), Supervisor::default());
        kept.set(settings).await;
        Self { folder, pipeline, kept, _intake: drained }
    }

    async fn say(&self, topic: &str, seconds: u64) {
        let received = Received { wall: at(seconds), monotonic: Instant::now(), clock: ClockQuality::Synchronised };
        let origin = Origin::Radio("wwan".into());
        let message = self.pipeline.message(received, origin, Topic::new(topic).unwrap(), seconds.to_string());
        self.pipeline.ingest(message).await.unwrap();
    }

    async fn read(&self, range: Range) -> Vec<u64> {
        let reading = self.kept.read(range).await.unwrap();
        let read = move || {
            let mut all = Vec::new();
            let take = |message: Message| {
                all.push(std::str::from_utf8(&message.payload).unwrap().parse().unwrap());
                ControlFlow::Continue(())
            };
            assert!(reading.run(|| true, take).unwrap().is_continue());
            all
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

fn between(from: u64, to: u64) -> Range {
    Range { from: Some(at(from)), to: Some(at(to)), topics: Vec::new() }
}

/// Four modems at 1 Hz for an hour of their time.
#[tokio::test]
async fn no_record_of_an_hour_is_lost_over_a_restart_and_any_range_of_it_is_found() {
    let bench = Bench::new(tempfile::tempdir().unwrap(), &settings()).await;
    for second in 0..3600 {
        for modem in ["a", "b", "c", "d"] {
            bench.say(&format!("cellular/{modem}/signal"), second).await;
        }
        if second % 100 == 0 {
            tokio::task::yield_now().await;
        }
        if second == 1800 {
            assert_eq!(bench.read(Range::default()).await.len(), 4 * 1801, "what waits for the disk is there too");
        }
    }
    let figures = bench.kept.shown().unwrap().files.unwrap();
    assert_eq!((figures.appended, figures.dropped), (4 * 3600, Default::default()));
    assert!(bench.kept.close().await);
    let bench = Bench::new(bench.folder, &settings()).await;
    let whole: Vec<u64> = (0..3600).flat_map(|second| [second; 4]).collect();
    assert_eq!(bench.read(Range::default()).await, whole);
    // Once more, by what is known of the files now.
    for (from, to) in [(0, 1), (1000, 1010), (3599, 4000)] {
        let expected: Vec<u64> = (from..to.min(3600)).flat_map(|second| [second; 4]).collect();
        assert_eq!(bench.read(between(from, to)).await, expected);
    }
    let one = Range { topics: vec![TopicFilter::new("cellular/b/#").unwrap()], ..between(10, 20) };
    assert_eq!(bench.read(one).await, (10..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_what_the_settings_name_is_kept_and_publishers_do_not_wait_for_it() {
    let bench = Bench::new(tempfile::tempdir().unwrap(), &settings()).await;
    assert!(!bench.pipeline.asks_for_receipts());
    bench.say("cellular/a/signal", 1).await;
    bench.say("cellular/a/state", 2).await;
    bench.say("serial/a/up", 3).await;
    let topics = vec![TopicFilter::new("serial/#").unwrap()];
    bench.kept.set(&config::Measurements { topics, ..settings() }).await;
    bench.say("cellular/a/signal", 4).await;
    bench.say("serial/a/up", 5).await;
    assert_eq!(bench.read(Range::default()).await, [1, 5]);
    bench.kept.set(&config::Measurements { enabled: false, ..settings() }).await;
    bench.say("cellular/a/signal", 6).await;
    assert!(bench.kept.shown().is_none());
    assert_eq!(bench.read(Range::default()).await, [1, 5], "what was kept stays");
    bench.kept.set(&settings()).await;
    bench.say("cellular/a/signal", 7).await;
    assert_eq!(bench.read(Range::default()).await, [1, 5, 7]);
}

#[tokio::test]
async fn what_comes_while_the_folder_cannot_be_opened_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(NAME), "no folder").unwrap();
    let bench = Bench::new(folder, &settings()).await;
    bench.say("cellular/a/signal", 1).await;
    let shown = bench.kept.shown().unwrap();
    assert!(shown.not_open == 1 && shown.files.is_none());
}

#[tokio::test]
async fn no_more_than_a_few_read_at_once() {
    let bench = Bench::new(tempfile::tempdir().unwrap(), &settings()).await;
    let mut readings = Vec::new();
    while let Ok(reading) = bench.kept.read(Range::default()).await {
        readings.push(reading);
    }
    assert_eq!(readings.len(), 4);
    readings.pop();
    assert!(bench.kept.read(Range::default()).await.is_ok());
}

#[tokio::test]
async fn a_look_that_finds_nothing_ends_when_nobody_wants_it_any_more() {
    let bench = Bench::new(tempfile::tempdir().unwrap(), &settings()).await;
    bench.say("cellular/a/signal", 1).await;
    let reading = bench.kept.read(between(100, 200)).await.unwrap();
    let read = move || reading.run(|| false, |_| panic!("nothing is in the range")).unwrap();
    assert!(tokio::task::spawn_blocking(read).await.unwrap().is_break());
}

/// Anything else than that a file has gone.
#[tokio::test]
async fn a_file_that_cannot_be_opened_breaks_a_look_off() {
    let bench = Bench::new(tempfile::tempdir().unwrap(), &settings()).await;
    bench.say("cellular/a/signal", 1).await;
    assert!(bench.kept.close().await);
    let spool = bench.folder.path().join(NAME);
    let file = std::fs::read_dir(spool.join("bulk")).unwrap().next().unwrap().unwrap().path();
    let reading = bench.kept.read(Range::default()).await.unwrap();
    let is_wanted = move || {
        // It was listed already.
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&file, &file).unwrap();
        true
    };
    let read = move || reading.run(is_wanted, |_| ControlFlow::Continue(()));
    assert!(tokio::task::spawn_blocking(read).await.unwrap().is_err());
}

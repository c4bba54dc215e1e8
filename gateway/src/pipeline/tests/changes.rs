//! Other stages while messages come, and the end of them all.

use super::*;
use crate::message::Promise;

/// A stage that writes its mark behind each payload.
fn marks(name: &str, filter: &str, mark: &'static str) -> Stage {
    rule(name, filter, move |m| {
        let payload = [&m.payload[..], mark.as_bytes()].concat().into();
        Verdict::Modify(Message { payload, ..m.clone() })
    })
}

/// The same stage again, with what it has.
fn kept(name: &str, filter: &str) -> Stage {
    Stage { processor: None, ..rule(name, filter, |_| Verdict::Pass) }
}

const MESSAGES: usize = 3000;

/// Takes `MESSAGES` in while `change` is made again and again; gives the marks that each got, in the order in which the
/// messages came out.
async fn under_traffic<F: Future<Output = ()>>(
    pipeline: &Arc<Pipeline>,
    mut delivered: Intake,
    mut change: impl FnMut(usize) -> F,
) -> Vec<String> {
    let source = Arc::clone(pipeline);
    let sender = tokio::spawn(async move {
        for number in 0..MESSAGES {
            let message = Message { payload: number.to_string().into(), ..from_radio(&source, "a", "") };
            source.ingest(message).await.unwrap();
        }
    });
    let receiver = tokio::spawn(async move {
        let mut all = Vec::new();
        while all.len() < MESSAGES {
            let delivered = tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().unwrap();
            all.push(String::from_utf8(delivered.message.payload.to_vec()).unwrap());
        }
        all
    });
    let mut round = 0;
    while !sender.is_finished() {
        change(round).await;
        round += 1;
        tokio::task::yield_now().await;
    }
    sender.await.unwrap();
    let all = receiver.await.unwrap();
    assert!(round > 1, "nothing has changed meanwhile");
    let numbers = all.iter().map(|text| text.trim_end_matches(char::is_alphabetic).parse::<usize>().unwrap());
    assert!(numbers.eq(0..MESSAGES), "lost or out of order");
    assert!(pipeline.drain(PATIENCE).await);
    let s = ledger(pipeline);
    assert_eq!((s.delivered, s.in_flight), (MESSAGES as u64, 0));
    all.iter().map(|text| text.trim_start_matches(char::is_numeric).to_owned()).collect()
}

#[tokio::test]
async fn a_processor_takes_over_under_traffic_and_nothing_is_lost_or_overtaken() {
    let (pipeline, delivered) = path(vec![marks("one", "#", "a"), marks("two", "#", "x")]).await;
    let marks = under_traffic(&pipeline, delivered, |round| {
        let mark = if round % 2 == 0 { "b" } else { "a" };
        let stages = vec![marks("one", "#", mark), kept("two", "#")];
        let pipeline = Arc::clone(&pipeline);
        async move { pipeline.set_stages(stages, PATIENCE).await.unwrap() }
    });
    assert!(marks.await.iter().all(|marks| ["ax", "bx"].contains(&marks.as_str())));
    assert_eq!(
        pipeline.stages()[1].modified,
        MESSAGES as u64,
        "the thread of the one that stayed has counted them all"
    );
}

#[tokio::test]
async fn stages_come_go_and_change_places_under_traffic_and_nothing_is_lost_or_overtaken() {
    let (pipeline, delivered) = path(vec![marks("a", "#", "a")]).await;
    let got = under_traffic(&pipeline, delivered, |round| {
        let stages = match round % 4 {
            0 => vec![kept("a", "#"), marks("b", "#", "b")],
            1 => vec![kept("b", "#"), kept("a", "#")],
            2 => Vec::new(),
            _ => vec![marks("a", "#", "a")],
        };
        let pipeline = Arc::clone(&pipeline);
        async move { pipeline.set_stages(stages, PATIENCE).await.unwrap() }
    });
    assert!(got.await.iter().all(|marks| ["", "a", "ab", "ba"].contains(&marks.as_str())));
}

#[tokio::test]
async fn a_list_that_is_wrong_changes_nothing() {
    let (pipeline, mut delivered) = path(vec![marks("a", "#", "a")]).await;
    let twice = pipeline.set_stages(vec![kept("a", "#"), kept("a", "#")], PATIENCE).await;
    assert!(matches!(twice, Err(StageError::Twice(name)) if &*name == "a"));
    let unknown = pipeline.set_stages(vec![marks("b", "#", "b"), kept("c", "#")], PATIENCE).await;
    assert!(matches!(unknown, Err(StageError::Unknown(name)) if &*name == "c"));
    pipeline.ingest(from_radio(&pipeline, "t", "x")).await.unwrap();
    assert_eq!(drain(&pipeline, &mut delivered).await, ["t=xa"]);
}

#[tokio::test]
async fn a_change_that_can_not_come_in_time_is_given_up_and_the_old_stages_go_on() {
    let (held, seen, verdict) = held("held", "slow");
    let (pipeline, mut delivered) = path(vec![held, marks("a", "#", "a")]).await;
    pipeline.ingest(from_radio(&pipeline, "slow", "x")).await.unwrap();
    seen.recv_timeout(PATIENCE).unwrap();
    let stuck = pipeline.set_stages(Vec::new(), Duration::from_millis(20)).await;
    assert!(matches!(stuck, Err(StageError::Stuck)));
    pipeline.ingest(from_radio(&pipeline, "fast", "x")).await.unwrap();
    assert_eq!(
        tokio::time::timeout(PATIENCE, delivered.recv()).await.unwrap().map(|d| shown(&d.message)).unwrap(),
        "fast=xa"
    );
    // Given up by whoever asked for it, too.
    let mut change = Box::pin(pipeline.set_stages(Vec::new(), PATIENCE));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(change.as_mut().poll(cx).is_pending())).await);
    drop(change);
    pipeline.ingest(from_radio(&pipeline, "slow", "y")).await.unwrap();
    drop(verdict);
    assert_eq!(drain(&pipeline, &mut delivered).await, ["slow=xa", "slow=ya"]);
    pipeline.set_stages(Vec::new(), PATIENCE).await.unwrap();
    assert!(!pipeline.has_stages() && pipeline.stages().is_empty());
}

#[tokio::test]
async fn what_has_not_come_through_when_the_gateway_stops_is_dropped_and_not_acknowledged() {
    let (held, seen, verdict) = held("held", "#");
    let (pipeline, mut delivered) = path(vec![held]).await;
    pipeline.ingest(from_radio(&pipeline, "a", "judged")).await.unwrap();
    seen.recv_timeout(PATIENCE).unwrap();
    let (receipt, awaited) = Receipt::new(Arc::default(), None);
    pipeline.ingest_for(from_radio(&pipeline, "a", "waits"), Some(receipt)).await.unwrap();
    let stopping = Arc::clone(&pipeline);
    let stop = tokio::spawn(async move { stopping.stop(Duration::from_secs(2)).await });
    until(|| ledger(&pipeline).dropped["shutting-down"] == 1).await;
    assert_eq!(awaited.promise(), Promise::Lost);
    assert_eq!(pipeline.ingest(from_radio(&pipeline, "a", "late")).await, Err(Closed));
    drop(verdict);
    assert!(!stop.await.unwrap(), "something was left");
    assert_eq!(delivered.try_recv().map(|d| shown(&d.message)).unwrap(), "a=judged");
    let s = ledger(&pipeline);
    assert_eq!((s.delivered, s.dropped["shutting-down"], s.in_flight), (1, 2, 0));
    let late = pipeline.set_stages(Vec::new(), PATIENCE).await;
    assert!(matches!(late, Err(StageError::Stopping)));
}

#[tokio::test]
async fn a_gateway_that_stops_lets_what_is_under_way_come_through() {
    let (pipeline, mut delivered) = path(vec![marks("a", "#", "a"), marks("b", "#", "b")]).await;
    for _ in 0..100 {
        pipeline.ingest(from_radio(&pipeline, "t", "x")).await.unwrap();
    }
    assert!(pipeline.stop(PATIENCE).await);
    let all: Vec<_> = std::iter::from_fn(|| delivered.try_recv().ok()).collect();
    assert_eq!((all.len(), ledger(&pipeline).delivered), (100, 100));
}

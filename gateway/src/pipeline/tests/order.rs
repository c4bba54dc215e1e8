//! Order and the ledger under load.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;

const TOPICS: usize = 5;

/// What a stage makes of a message, by its number.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Pass,
    FilterEach(usize),
    Double,
    FailEach(usize),
    Drop(usize),
}

fn habits() -> impl Strategy<Value = Vec<(Habit, String)>> {
    let habit = prop_oneof![
        Just(Habit::Pass),
        (2..5_usize).prop_map(Habit::FilterEach),
        Just(Habit::Double),
        (50..90_usize).prop_map(Habit::FailEach),
        (2..5_usize).prop_map(Habit::Drop),
    ];
    let filter = prop_oneof![Just("#".to_owned()), (0..TOPICS).prop_map(|n| format!("t/{n}"))];
    proptest::collection::vec((habit, filter), 0..4)
}

fn number(message: &Message) -> usize {
    std::str::from_utf8(&message.payload).unwrap().parse().unwrap()
}

fn judge(habit: Habit, message: &Message) -> Verdict {
    let number = number(message);
    match habit {
        Habit::FilterEach(n) if number.is_multiple_of(n) => Verdict::Filter,
        Habit::Drop(n) if number.is_multiple_of(n) => Verdict::Drop(DropReason::PluginRejected),
        Habit::FailEach(n) if number % n == n - 1 => panic!("as it was told to"),
        Habit::Double => Verdict::Replace(vec![message.clone(), message.clone()]),
        _ => Verdict::Pass,
    }
}

/// One producer: each has topics that no other has.
async fn send(pipeline: Arc<Pipeline>, producer: usize, each: usize) {
    for n in 0..each {
        let name = format!("t/{}", if n % 2 == 0 { producer } else { producer + TOPICS });
        let message = from_radio(&pipeline, &name, "");
        pipeline.ingest(Message { payload: n.to_string().into(), ..message }).await.unwrap();
    }
}

/// Several producers, each with topics of its own; another thread looks at the ledger all the while.
fn run(habits: &[(Habit, String)], producers: usize, each: usize) -> (Vec<Delivered>, Snapshot) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stages = habits.iter().enumerate().map(|(i, (habit, filter))| {
            let habit = *habit;
            let fallback = if i % 2 == 0 { Fallback::Pass } else { Fallback::Drop };
            Stage { fallback, ..rule(&format!("stage {i}"), filter, move |message| judge(habit, message)) }
        });
        let (pipeline, mut delivered) = path(stages.collect()).await;
        let over = Arc::new(AtomicBool::new(false));
        let (watched, ends) = (Arc::clone(&pipeline), Arc::clone(&over));
        let watch = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                ledger(&watched);
                std::thread::yield_now();
            }
        });
        let all = async {
            let mut all = Vec::new();
            while let Some(delivered) = delivered.recv().await {
                all.push(delivered);
            }
            all
        };
        let sent = async {
            let mut senders = tokio::task::JoinSet::new();
            for producer in 0..producers {
                senders.spawn(send(Arc::clone(&pipeline), producer, each));
            }
            senders.join_all().await;
            assert!(pipeline.stop(PATIENCE).await || habits.is_empty());
            over.store(true, Ordering::Relaxed);
            let snapshot = ledger(&pipeline);
            watch.join().unwrap();
            drop(pipeline);
            snapshot
        };
        tokio::time::timeout(PATIENCE * 3, async { tokio::join!(all, sent) }).await.unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn messages_of_a_topic_keep_their_order_whatever_the_stages_do(
        habits in habits(),
        producers in 1..=TOPICS,
        each in 1..400_usize,
    ) {
        let (all, snapshot) = run(&habits, producers, each);
        let mut last: HashMap<Topic, usize> = HashMap::new();
        for delivered in &all {
            let number = number(&delivered.message);
            let before = last.insert(delivered.message.topic.clone(), number).unwrap_or(0);
            prop_assert!(before <= number, "{} came before {number}", before);
        }
        prop_assert_eq!(snapshot.delivered, all.len() as u64);
        prop_assert_eq!((snapshot.received_total(), snapshot.in_flight), ((producers * each) as u64, 0));
    }
}

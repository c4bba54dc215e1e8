//! When it is written: how long somebody waits, and how often the card is written to for that.

use proptest::prelude::*;

use super::*;

#[test]
fn a_receipt_is_settled_by_the_disk_and_not_before() {
    let mut bench = Bench::new(SpoolSettings { batch: 2, ..small() });
    let first = bench.append("a", Priority::Bulk).unwrap();
    bench.turn(0);
    assert!(!kept(&first), "others may come");
    bench.turn(1);
    assert!(kept(&first), "nobody does");
    let pair = ["b", "c"].map(|text| bench.append(text, Priority::Bulk).unwrap());
    bench.turn(0);
    assert!(pair.iter().all(kept), "two are a batch");
    let alarm = bench.append("d", Priority::Alarm).unwrap();
    bench.turn(0);
    assert!(kept(&alarm), "an alarm waits for nobody");
}

#[test]
fn what_nobody_waits_for_is_written_with_what_comes_in_the_interval() {
    let mut bench = Bench::new(small());
    bench.append_unawaited("a", Priority::Bulk).unwrap();
    bench.turn(49);
    assert_eq!(bench.read(false), Vec::<String>::new());
    bench.turn(1);
    assert_eq!(bench.read(false), ["a"]);
    bench.append_unawaited("b", Priority::Bulk).unwrap();
    let awaited = bench.append("c", Priority::Bulk).unwrap();
    bench.turn(1);
    assert!(kept(&awaited));
    assert_eq!(bench.read(false), ["a", "b", "c"], "what one waits for takes the others along");
}

#[test]
fn as_long_as_somebody_adds_more_it_waits_for_the_interval_at_most() {
    let mut bench = Bench::new(small());
    let first = bench.append("a", Priority::Bulk).unwrap();
    for _ in 0..49 {
        bench.hand.put_on(Duration::from_millis(1));
        bench.append_unawaited("b", Priority::Bulk).unwrap();
        bench.worker.turn();
        assert!(!kept(&first));
    }
    bench.turn(1);
    assert!(kept(&first));
}

/// Appends one at a time, each when the one before is safe. Gives how many that were in so many milliseconds.
fn one_by_one(bench: &mut Bench, time: u64) -> u32 {
    let (mut count, mut awaited) = (0, bench.append("x", Priority::Bulk).unwrap());
    for _ in 0..time {
        bench.turn(1);
        if kept(&awaited) {
            awaited = bench.append("x", Priority::Bulk).unwrap();
            count += 1;
        }
    }
    count
}

#[test]
fn single_records_are_written_early_as_long_as_few_are_and_then_one_an_interval() {
    let mut bench = Bench::new(SpoolSettings { max_bytes: 64 << 20, ..small() });
    bench.turn(10_000);
    assert_eq!(one_by_one(&mut bench, 20), 20);
    let later = one_by_one(&mut bench, 5000);
    assert!((90..=200).contains(&later), "{later} in 100 intervals");
    bench.turn(1000);
    assert_eq!(one_by_one(&mut bench, 20), 20, "and what is not used is saved up");
}

proptest! {
    #[test]
    fn nobody_waits_for_longer_than_the_interval_and_writes_are_few_whatever_comes(
        steps in proptest::collection::vec((0..8_u64, 1..4_usize, prop::bool::weighted(0.9)), 1..400), batch in 1..200_usize,
    ) {
        let settings = SpoolSettings { batch, max_bytes: 64 << 20, segment_bytes: 8 << 20, ..small() };
        let mut bench = Bench::new(settings);
        bench.turn(0);
        let before = bench.figures();
        let mut waiting: Vec<(u64, Awaited)> = Vec::new();
        let (mut now, mut records) = (0, 0);
        for (pause, many, awaited) in steps {
            for _ in 0..many {
                if awaited {
                    waiting.push((now, bench.append("x", Priority::Bulk).unwrap()));
                } else {
                    bench.append_unawaited("x", Priority::Bulk).unwrap();
                }
            }
            records += many as u64;
            bench.worker.turn();
            for _ in 0..pause {
                bench.turn(1);
                now += 1;
                waiting.retain(|(_, awaited)| !kept(awaited));
                prop_assert!(waiting.iter().all(|(since, _)| since + 50 > now), "somebody waits for too long");
            }
        }
        let writes = bench.figures().syncs - before.syncs;
        // Of the cursor, each five seconds.
        let other = now / 5000 + 1;
        let (full, some) = (records / batch as u64, records / 10.max(batch as u64 / 10));
        let most = full + some + 2 * (now / 50 + 1) + 20 + other;
        prop_assert!(writes <= most, "{writes} writes of {records} records in {now} ms, and not {most}");
    }
}

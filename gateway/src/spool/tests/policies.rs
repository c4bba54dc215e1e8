//! What is refused, what is dropped, what waits; and disks that fail.

use std::io::ErrorKind;

use super::*;

fn settings(policy: Policy) -> SpoolSettings {
    SpoolSettings { policy, batch: 1, ..small() }
}

/// 1 KiB of text that begins with its number.
fn text(n: usize) -> String {
    format!("{n:04}{}", "x".repeat(1020))
}

/// The numbers that texts begin with.
fn numbers(texts: &[String]) -> Vec<usize> {
    texts.iter().map(|text| text[..4].parse().unwrap()).collect()
}

#[test]
fn what_the_remote_acknowledges_first_is_never_written() {
    let mut bench = Bench::new(SpoolSettings { durability: Durability::OnOutage, ..small() });
    bench.turn(0);
    let written = bench.figures().bytes_written;
    let awaited = bench.append("a", Priority::Bulk).unwrap();
    assert_eq!(bench.read(true), ["a"]);
    assert!(kept(&awaited));
    bench.turn(10_000);
    assert_eq!(bench.figures().bytes_written, written);
}

#[test]
fn with_always_nothing_is_handed_out_that_a_power_cut_could_take() {
    let mut bench = Bench::new(small());
    bench.append("a", Priority::Bulk).unwrap();
    assert_eq!(bench.read(false), Vec::<String>::new());
    bench.turn(50);
    assert_eq!(bench.read(false), ["a"]);
    let place = |bench: &Bench| bench.spool.0.0.change(|state| state.hand_out(1, 1)).pop().map(|record| record.seq);
    let reader = bench.spool.reader().unwrap();
    let before = place(&bench);
    drop(reader);
    let mut bench = bench.crash(&mut sim::Dice(1));
    bench.turn(0);
    assert!(before.is_some() && place(&bench) == before, "and it keeps its place");
}

#[test]
fn with_on_outage_nothing_is_written_until_the_remote_has_kept_one_waiting() {
    let mut bench = Bench::new(SpoolSettings { durability: Durability::OnOutage, batch: 1, ..small() });
    let awaited = bench.append("a", Priority::Bulk).unwrap();
    bench.turn(999);
    assert!(!kept(&awaited));
    bench.turn(1);
    assert!(kept(&awaited), "an outage");
    let next = bench.append("b", Priority::Bulk).unwrap();
    bench.turn(0);
    assert!(kept(&next), "as with `always` from now on");
    assert_eq!(bench.read(true), ["a", "b"]);
    let held = bench.append("c", Priority::Bulk).unwrap();
    bench.turn(500);
    assert!(!kept(&held), "the remote is prompt again");
    let mut bench = bench.again();
    assert_eq!(bench.read(true), ["c"], "an orderly end writes what is held");
}

#[test]
fn alarms_leave_before_bulk_and_both_in_order() {
    let mut bench = Bench::new(settings(Policy::Block));
    for (text, priority) in
        [("b1", Priority::Bulk), ("a1", Priority::Alarm), ("b2", Priority::Bulk), ("a2", Priority::Alarm)]
    {
        bench.append(text, priority).unwrap();
    }
    bench.turn(0);
    assert_eq!(bench.read(false), ["a1", "a2", "b1", "b2"]);
    let mut bench = bench.again();
    assert_eq!(bench.opened, Opened { messages: 4, clean: true, ..Opened::default() });
    assert_eq!(bench.read(true), ["a1", "a2", "b1", "b2"]);
}

#[test]
fn the_place_on_disk_moves_over_what_is_acknowledged_without_a_gap() {
    let mut bench = Bench::new(settings(Policy::Block));
    (0..6).for_each(|n| drop(bench.append(&text(n), Priority::Bulk)));
    bench.turn(0);
    let reader = bench.spool.reader().unwrap();
    let batch = bench.spool.0.0.change(|state| state.hand_out(10, usize::MAX));
    for n in [0, 1, 3, 5] {
        assert!(reader.acknowledge(batch[n].seq));
    }
    assert!(!reader.acknowledge(batch[1].seq), "a second time");
    assert!(!reader.acknowledge(Seq { number: 99, ..batch[0].seq }), "for nothing");
    drop(reader);
    assert_eq!(numbers(&bench.read(false)), [2, 4], "once more, what is not acknowledged");
    let mut bench = bench.again();
    assert_eq!(numbers(&bench.read(true)), [2, 3, 4, 5], "on disk there is one place");
}

#[test]
fn a_full_spool_refuses_newcomers_but_alarms_have_room_of_their_own() {
    let mut bench = Bench::new(settings(Policy::DropNewest));
    let mut taken = 0;
    while bench.append(&text(taken), Priority::Bulk).is_ok() {
        taken += 1;
        bench.turn(0);
    }
    assert!(taken > 200, "{taken}");
    assert_eq!(bench.append(&text(taken), Priority::Bulk).unwrap_err(), Refused::Full);
    let alarm = bench.append(&text(9999), Priority::Alarm).unwrap();
    bench.turn(0);
    assert!(kept(&alarm));
    assert_eq!(bench.figures().dropped, Dropped { full: 2, ..Dropped::default() });
    assert_eq!(bench.read(true).len(), taken + 1);
    bench.turn(0);
    assert!(bench.append(&text(0), Priority::Bulk).is_ok(), "there is room again");
}

#[test]
fn the_oldest_make_room_bulk_before_alarms_and_each_is_counted() {
    let mut bench = Bench::new(settings(Policy::DropOldest));
    (0..20).for_each(|n| drop(bench.append(&text(n), Priority::Alarm)));
    for n in 20..1000 {
        let awaited = bench.append(&text(n), Priority::Bulk).unwrap();
        bench.turn(0);
        assert!(kept(&awaited));
        assert!(bench.disk.used() < BYTES_MIN as usize + 16_384, "{}", bench.disk.used());
    }
    let figures = bench.figures();
    assert!(figures.dropped.oldest > 700, "{figures:?}");
    assert_eq!(figures.messages + figures.dropped.oldest, 1000);
    let came = numbers(&bench.read(true));
    assert_eq!(came.len() as u64, figures.messages);
    assert_eq!(came[..20], (0..20).collect::<Vec<_>>(), "no alarm is dropped for bulk");
    assert!(came[20..].is_sorted() && came.last() == Some(&999));
    assert_eq!(bench.figures().messages, 0);
}

#[test]
fn a_disk_that_fails_when_room_is_to_be_made_is_not_taken_for_a_full_spool() {
    let mut bench = Bench::new(settings(Policy::DropOldest));
    for n in 0..1000 {
        bench.append_unawaited(&text(n), Priority::Bulk).unwrap();
        bench.turn(0);
    }
    bench.disk.fail(0, ErrorKind::Other, true);
    for n in 1000..1600 {
        bench.append_unawaited(&text(n), Priority::Bulk).unwrap();
    }
    bench.turn(0);
    assert_eq!((bench.figures().failing, bench.figures().dropped.full), (true, 0));
    bench.disk.heal();
    bench.turn(1000);
    let figures = bench.figures();
    assert_eq!((figures.failing, figures.dropped.full, figures.dropped.disk), (false, 0, 0));
    assert_eq!(figures.messages + figures.dropped.oldest, 1600);
    assert_eq!(numbers(&bench.read(true)).last(), Some(&1599));
}

#[test]
fn when_all_are_alarms_the_oldest_alarm_goes_and_bulk_gets_no_room() {
    let mut bench = Bench::new(settings(Policy::DropOldest));
    for n in 0..600 {
        bench.append(&text(n), Priority::Alarm).unwrap();
        bench.turn(0);
    }
    let bulk = bench.append(&text(9999), Priority::Bulk).unwrap();
    bench.turn(0);
    assert!(kept(&bulk), "it is dropped, which is all that can be said of it");
    let figures = bench.figures();
    assert_eq!((figures.dropped.full, figures.messages + figures.dropped.oldest), (1, 600));
    assert_eq!(numbers(&bench.read(true)).last(), Some(&599));
}

#[test]
fn what_is_too_old_is_dropped_also_when_nobody_was_there_meanwhile() {
    let age = Duration::from_secs(3600);
    let mut bench = Bench::new(SpoolSettings { max_age: Some(age), ..settings(Policy::Block) });
    (0..30).for_each(|n| drop(bench.append(&text(n), Priority::Bulk)));
    bench.turn(0);
    bench.hand.put_on(age / 2);
    let bench = bench.again();
    (30..40).for_each(|n| drop(bench.append(&text(n), Priority::Bulk)));
    let hand = bench.hand.clone();
    let mut bench = bench.again();
    hand.put_on(age / 2 + Duration::from_secs(1));
    (0..8).for_each(|_| bench.turn(1000));
    assert_eq!((bench.figures().dropped.expired, bench.figures().messages), (30, 10));
    assert!(bench.figures().oldest_age.unwrap() < age);
    assert_eq!(numbers(&bench.read(true)), (30..40).collect::<Vec<_>>());
}

#[test]
fn how_long_a_record_has_waited_is_known_until_it_is_acknowledged() {
    let mut bench = Bench::new(settings(Policy::Block));
    drop(bench.append(&text(1), Priority::Bulk));
    bench.turn(0);
    bench.hand.put_on(Duration::from_secs(5));
    let reader = bench.spool.reader().unwrap();
    let record = bench.spool.0.0.change(|state| state.hand_out(1, usize::MAX)).remove(0);
    bench.hand.put_on(Duration::from_secs(2));
    assert_eq!(reader.waited(record.seq), Some(Duration::from_secs(7)));
    assert!(reader.acknowledge(record.seq));
    assert_eq!(reader.waited(record.seq), None);
}

#[test]
fn what_is_no_record_is_refused() {
    let bench = Bench::new(settings(Policy::Block));
    for bytes in [0, BYTES_MIN as usize / 4, RECORD_MAX + 1] {
        assert_eq!(bench.append(&"x".repeat(bytes), Priority::Bulk).unwrap_err(), Refused::Size, "{bytes} bytes");
    }
    assert_eq!(bench.figures().dropped.size, 3);
}

#[test]
fn a_disk_that_fails_is_tried_again_and_nothing_is_lost_by_it() {
    for (after, kind) in (0..4).flat_map(|after| [(after, ErrorKind::StorageFull), (after, ErrorKind::Other)]) {
        let mut bench = Bench::new(settings(Policy::DropNewest));
        bench.append("a", Priority::Bulk).unwrap();
        bench.turn(0);
        bench.disk.fail(after, kind, true);
        let awaited = bench.append("b", Priority::Bulk).unwrap();
        bench.turn(0);
        let failing = bench.figures().failing;
        bench.turn(500);
        bench.disk.heal();
        bench.turn(1000);
        assert!(kept(&awaited), "{after} {kind}");
        let figures = bench.figures();
        assert!((failing || after > 1) && !figures.failing, "{figures:?}");
        let mut bench = bench.crash(&mut sim::Dice(7));
        assert_eq!(
            (bench.read(true), bench.opened.quarantined),
            (vec!["a".into(), "b".into()], Quarantined::default())
        );
    }
}

#[test]
fn on_a_full_disk_what_the_remote_acknowledges_goes_on_and_the_rest_is_dropped_and_counted() {
    let mut bench = Bench::new(settings(Policy::DropOldest));
    bench.disk.leave(0);
    let lost = bench.append("lost", Priority::Bulk).unwrap();
    bench.turn(0);
    let sent = bench.append("sent", Priority::Bulk).unwrap();
    assert_eq!(bench.read(false), ["lost", "sent"]);
    let reader = bench.spool.reader().unwrap();
    let batch = bench.spool.0.0.change(|state| state.hand_out(10, usize::MAX));
    assert!(batch.iter().all(|record| record.again));
    assert!(reader.acknowledge(batch[1].seq));
    assert!(kept(&sent) && !kept(&lost));
    bench.turn(2000);
    bench.turn(1000);
    assert!(kept(&lost), "its publisher need not wait for ever");
    assert!(!reader.acknowledge(batch[0].seq));
    let figures = bench.figures();
    assert_eq!((figures.dropped.disk, figures.acknowledged, figures.messages), (1, 1, 0), "{figures:?}");
    assert!(figures.failing && figures.last_error.is_some());
    bench.disk.heal();
    bench.turn(1000);
    assert!(!bench.figures().failing, "it finds out by itself");
    bench.append("next", Priority::Bulk).unwrap();
    drop(reader);
    assert_eq!(bench.read(true), ["next"]);
}

#[test]
fn with_block_a_disk_that_fails_makes_publishers_wait_and_drops_nothing() {
    let mut bench = Bench::new(settings(Policy::Block));
    bench.disk.fail(0, ErrorKind::ReadOnlyFilesystem, true);
    let awaited = bench.append("a", Priority::Bulk).unwrap();
    (0..100).for_each(|_| bench.turn(1000));
    assert!(!kept(&awaited));
    let mut taken = 0;
    while bench.append(&text(taken), Priority::Bulk).is_ok() {
        taken += 1;
    }
    let refused = bench.spool.try_append(text(0).into(), Priority::Bulk, None).unwrap_err();
    assert!(refused.wait, "{refused:?}");
    bench.disk.heal();
    (0..5).for_each(|_| bench.turn(1000));
    assert!(kept(&awaited));
    assert_eq!(bench.figures().dropped, Dropped::default());
    assert_eq!(bench.read(true).len(), taken + 1);
}

#[test]
fn what_can_not_be_read_is_tried_again_and_then_passed_over() {
    let bench = Bench::new(settings(Policy::Block));
    (0..30).for_each(|n| drop(bench.append(&text(n), Priority::Bulk)));
    let mut bench = bench.again();
    bench.disk.fail_reading(true);
    bench.turn(0);
    assert_eq!((bench.figures().messages, bench.figures().last_error.is_some()), (30, true));
    bench.disk.fail_reading(false);
    bench.turn(1000);
    assert_eq!(bench.read(false).len(), 30);
    let mut bench = bench.again();
    bench.disk.fail_reading(true);
    (0..20).for_each(|_| bench.turn(1000));
    bench.disk.heal();
    let figures = bench.figures();
    assert_eq!((figures.messages, figures.quarantined.messages), (0, 30), "{figures:?}");
    bench.append("next", Priority::Bulk).unwrap();
    assert_eq!(bench.read(true), ["next"]);
}

//! A ring: nobody acknowledges, the oldest files go, and whoever wants records looks through the files meanwhile.

use std::ops::ControlFlow;

use super::*;

fn ring() -> SpoolSettings {
    SpoolSettings { ring: true, policy: Policy::DropOldest, batch: 10, ..small() }
}

fn text(n: u64) -> String {
    format!("{n:05}{}", "x".repeat(200))
}

/// The numbers of all records in the files of a folder.
fn numbers(folder: &Path) -> Vec<u64> {
    let mut browser = Spool::browse(folder).unwrap();
    let mut numbers = Vec::new();
    for (file, _) in browser.files() {
        let read = browser.records(file, |record| {
            numbers.push(std::str::from_utf8(&record[..5]).unwrap().parse().unwrap());
            ControlFlow::Continue(())
        });
        assert!(read.unwrap().is_continue());
    }
    assert_eq!(browser.lost(), 0);
    numbers
}

#[test]
fn what_makes_room_goes_a_file_at_a_time_and_nothing_stays_in_memory() {
    let mut bench = Bench::new(ring());
    let all = 3000;
    for n in 0..all {
        bench.append_unawaited(&text(n), Priority::Bulk).unwrap();
        bench.turn(if n % 10 == 9 { 1 } else { 0 });
    }
    let figures = bench.figures();
    assert!(figures.disk_bytes <= BYTES_MIN && figures.dropped.oldest > 0, "{figures:?}");
    assert_eq!(figures.messages + figures.dropped.oldest, all);
    assert_eq!(bench.spool.0.0.state().lanes[1].window.oldest(), None);
    let kept = figures.messages;
    let bench = bench.crash(&mut sim::Dice(3));
    assert_eq!((bench.figures().messages, bench.opened.quarantined), (kept, Quarantined::default()));
}

#[test]
fn what_is_too_old_goes_with_its_file() {
    let mut bench = Bench::new(SpoolSettings { max_age: Some(Duration::from_secs(3600)), ..ring() });
    for n in 0..200 {
        bench.append_unawaited(&text(n), Priority::Bulk).unwrap();
        bench.turn(60_000);
    }
    let figures = bench.figures();
    // The last hour, and what shares a file with it.
    assert!((60..90).contains(&figures.messages), "{figures:?}");
    assert_eq!(figures.messages + figures.dropped.expired, 200);
}

#[test]
fn what_fills_slowly_is_ended_so_that_it_goes_in_time() {
    let (interval, age) = (Duration::from_secs(10), Some(Duration::from_secs(3600)));
    let settings = SpoolSettings { interval, max_age: age, max_bytes: 64 << 20, segment_bytes: 1 << 20, ..ring() };
    let mut bench = Bench::new(settings);
    for n in 0..600 {
        bench.append_unawaited(&text(n), Priority::Bulk).unwrap();
        bench.turn(60_000);
    }
    let figures = bench.figures();
    assert!((60..75).contains(&figures.messages), "{figures:?}");
    assert_eq!(figures.messages + figures.dropped.expired, 600);
    // One for each reading, one in five minutes for the place, and two for each file, which ends and goes.
    assert!(figures.syncs < 600 + 125 + 2 * 80, "{}", figures.syncs);
    let kept = figures.messages;
    let bench = bench.crash(&mut sim::Dice(3));
    assert_eq!((bench.figures().messages, bench.opened.quarantined), (kept, Quarantined::default()));
}

#[test]
fn an_end_that_the_disk_did_not_take_passes_for_no_damage() {
    let (interval, age) = (Duration::from_secs(10), Some(Duration::from_secs(3600)));
    let mut bench = Bench::new(SpoolSettings { interval, max_age: age, ..ring() });
    bench.append_unawaited(&text(0), Priority::Bulk).unwrap();
    bench.turn(60_000);
    bench.disk.fail(0, io::ErrorKind::Other, false);
    bench.turn(600_000);
    assert!(bench.figures().failing && bench.disk.is_well());
    for n in 1..5 {
        bench.append_unawaited(&text(n), Priority::Bulk).unwrap();
        bench.turn(60_000);
    }
    assert!(!bench.figures().failing);
    let bench = bench.crash(&mut sim::Dice(3));
    assert_eq!((bench.figures().messages, bench.opened.quarantined), (5, Quarantined::default()));
}

#[test]
fn a_trickle_is_written_once_an_interval_and_the_place_hardly_ever() {
    let interval = Duration::from_secs(10);
    let mut bench =
        Bench::new(SpoolSettings { interval, batch: 500, max_bytes: 64 << 20, segment_bytes: 1 << 20, ..ring() });
    for n in 0..3600 {
        for modem in 0..4 {
            bench.append_unawaited(&text(4 * n + modem), Priority::Bulk).unwrap();
        }
        bench.turn(1000);
    }
    bench.turn(10_000);
    let figures = bench.figures();
    assert_eq!((figures.messages, figures.dropped), (4 * 3600, Dropped::default()));
    assert!(figures.syncs < 400, "{} in 360 intervals", figures.syncs);
}

#[tokio::test]
async fn the_files_are_looked_through_while_it_goes_on_and_a_torn_end_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Hand::new();
    let (spool, _) = Spool::open(folder.path(), "kept", ring(), clock.now()).unwrap();
    for n in 0..100 {
        spool.try_append(text(n).into(), Priority::Bulk, None).unwrap();
    }
    spool.flush().await.unwrap();
    assert_eq!(numbers(folder.path()), (0..100).collect::<Vec<_>>());
    for n in 100..150 {
        spool.try_append(text(n).into(), Priority::Bulk, None).unwrap();
    }
    spool.flush().await.unwrap();
    spool.close().await.unwrap();
    let names = std::fs::read_dir(folder.path().join("bulk")).unwrap().map(|file| file.unwrap().path());
    let last = names.max().unwrap();
    // As after a power cut: of a batch that nobody was promised anything of, a part is there.
    let mut torn = std::fs::read(&last).unwrap();
    torn.extend_from_slice(&torn.clone()[24..200]);
    std::fs::write(&last, &torn).unwrap();
    assert_eq!(numbers(folder.path()), (0..150).collect::<Vec<_>>());
    let (spool, opened) = Spool::open(folder.path(), "kept", ring(), clock.now()).unwrap();
    assert_eq!((spool.figures().messages, opened.quarantined), (150, Quarantined::default()), "{opened:?}");
    spool.try_append(text(150).into(), Priority::Bulk, None).unwrap();
    spool.flush().await.unwrap();
    assert_eq!(numbers(folder.path()), (0..151).collect::<Vec<_>>());
}

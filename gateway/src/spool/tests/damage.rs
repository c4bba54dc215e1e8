//! Real files with flipped bits, zeroed blocks and cuts anywhere: what was not hit is there, and what was is counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const MANY: usize = 120;

fn text(n: usize) -> String {
    format!("{n:04}{}", "y".repeat(100 + n % 50))
}

fn open(folder: &Path) -> (Spool, Worker, Opened) {
    let disk = Box::new(RealDisk(folder.to_owned()));
    Spool::over(disk, "cloud", SpoolSettings { batch: 10, ..small() }, Hand::new().now(), None).unwrap()
}

/// Some segments that were closed in order, with records 0 to `MANY`.
fn filled(folder: &Path) -> Vec<PathBuf> {
    let (spool, mut worker, _) = open(folder);
    for n in 0..MANY {
        spool.try_append(text(n).into(), Priority::Bulk, None).unwrap();
        worker.turn();
    }
    spool.0.0.change(State::close);
    worker.turn();
    let mut files: Vec<_> = fs::read_dir(folder.join("bulk")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 3, "{files:?}");
    files
}

/// All records, in order, each whole.
fn drain(spool: &Spool, worker: &mut Worker) -> Vec<usize> {
    let reader = spool.reader().unwrap();
    let mut came = Vec::new();
    loop {
        worker.turn();
        let batch = spool.0.0.change(|state| state.hand_out(50, usize::MAX));
        if batch.is_empty() {
            return came;
        }
        for record in batch {
            let said = std::str::from_utf8(&record.bytes).unwrap();
            let n: usize = said[..4].parse().unwrap();
            assert_eq!(said, text(n));
            came.push(n);
            assert!(reader.acknowledge(record.seq));
        }
    }
}

/// Which records stand in which bytes of a file.
fn places(path: &Path) -> Vec<(usize, std::ops::Range<usize>)> {
    let bytes = fs::read(path).unwrap();
    let heads = bytes.windows(4).enumerate().filter_map(|(at, window)| {
        let n: usize = std::str::from_utf8(window).ok()?.parse().ok()?;
        let whole = bytes[at..].starts_with(text(n).as_bytes());
        whole.then(|| (n, at - 24..at + text(n).len()))
    });
    heads.collect()
}

/// Damages one file and says what may be missing: the records that were hit.
fn hit(file: &Path, kind: u8, at: usize, by: u8) -> BTreeSet<usize> {
    let places = places(file);
    let mut bytes = fs::read(file).unwrap();
    let range = match kind {
        0 => at..at + 1,
        1 => at / 512 * 512..(at / 512 * 512 + 512).min(bytes.len()),
        _ => at..bytes.len(),
    };
    match kind {
        0 => bytes[at] ^= by,
        1 => bytes[range.clone()].fill(0),
        _ => bytes.truncate(at),
    }
    fs::write(file, bytes).unwrap();
    let touched = |place: &std::ops::Range<usize>| place.start < range.end && range.start < place.end;
    places.into_iter().filter(|(_, place)| touched(place)).map(|(n, _)| n).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_costs_what_it_hit_and_is_counted(
        file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), kind in 0..3_u8, by in 1..=255_u8,
        again in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = filled(folder.path());
        let file = &files[file.index(files.len())];
        let length = fs::metadata(file).unwrap().len() as usize;
        let hit = hit(file, kind, at.index(length), by);
        let (mut spool, mut worker, _) = open(folder.path());
        let mut counted = 0;
        if again {
            spool.0.0.change(State::close);
            worker.turn();
            counted = spool.figures().quarantined.messages;
            (spool, worker, _) = open(folder.path());
        }
        let came = drain(&spool, &mut worker);
        prop_assert!(came.is_sorted_by(|a, b| a < b));
        let missing: BTreeSet<usize> = (0..MANY).filter(|n| !came.contains(n)).collect();
        prop_assert!(missing.is_subset(&hit), "{:?} was hit, and {:?} is missing", hit, missing);
        let figures = spool.figures();
        // What the first run was past, the second does not count again.
        let (now, all) = (figures.quarantined.messages, missing.len() as u64);
        prop_assert!(now == all || counted == all && now < all, "{} of {}, {:?}", now, all, figures);
        prop_assert_eq!((figures.messages, figures.bytes), (0, 0));
        if !missing.is_empty() {
            let kept = fs::read_dir(folder.path().join("quarantine")).map_or(0, Iterator::count);
            prop_assert!(kept == 1 || came.len() == MANY - hit.len() && kept <= 1, "{} files kept aside", kept);
        }
        // It goes on.
        spool.try_append("next".into(), Priority::Bulk, None).unwrap();
        spool.0.0.change(State::close);
        worker.turn();
        let (spool, mut worker, opened) = open(folder.path());
        prop_assert_eq!((opened.messages, opened.quarantined), (1, Quarantined::default()));
        worker.turn();
        prop_assert_eq!(&spool.0.0.change(|state| state.hand_out(2, usize::MAX))[0].bytes[..], b"next");
    }

    #[test]
    fn a_cursor_that_is_hit_costs_repetitions_at_most(
        at in 0..8192_usize, zeros in any::<bool>(), by in 1..=255_u8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        let (spool, mut worker, _) = open(folder.path());
        let reader = spool.reader().unwrap();
        worker.turn();
        for record in spool.0.0.change(|state| state.hand_out(5, usize::MAX)) {
            assert!(reader.acknowledge(record.seq));
        }
        drop(reader);
        spool.0.0.change(State::close);
        worker.turn();
        let cursor = folder.path().join("cursor");
        let mut bytes = fs::read(&cursor).unwrap();
        if zeros { bytes.fill(0) } else { bytes[at] ^= by }
        fs::write(&cursor, bytes).unwrap();
        let (spool, mut worker, opened) = open(folder.path());
        prop_assert_eq!(opened.cursor_lost, zeros);
        let came = drain(&spool, &mut worker);
        prop_assert_eq!(opened.quarantined.messages, 0);
        prop_assert!(came.is_sorted() && came.ends_with(&[5, MANY - 1][1..]) && came.len() >= MANY - 5, "{:?}", came);
    }
}

#[test]
fn files_of_others_are_left_alone_and_a_file_that_is_gone_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let files = filled(folder.path());
    let gone = places(&files[1]).len();
    fs::remove_file(&files[1]).unwrap();
    fs::write(folder.path().join("bulk/notes.txt"), "mine").unwrap();
    fs::write(folder.path().join("bulk/0000000001-0000000000000000-00000000.log.new"), "half").unwrap();
    let (spool, mut worker, opened) = open(folder.path());
    assert_eq!(opened.quarantined.messages as usize, gone);
    assert_eq!(drain(&spool, &mut worker).len(), MANY - gone);
    assert_eq!(fs::read_to_string(folder.path().join("bulk/notes.txt")).unwrap(), "mine");
}

#[test]
fn what_is_kept_aside_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..6 {
        for file in filled(folder.path()) {
            let mut bytes = fs::read(&file).unwrap();
            bytes[200] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
        let (spool, mut worker, _) = open(folder.path());
        drain(&spool, &mut worker);
        spool.0.0.change(State::close);
        worker.turn();
    }
    let kept = fs::read_dir(folder.path().join("quarantine")).unwrap().count();
    assert_eq!(kept, 16);
}

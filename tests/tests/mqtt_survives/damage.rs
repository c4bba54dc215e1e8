//! A damaged database costs what was in it, never the start; and what comes after is kept again.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use stile_tests::packet::{Connect, V5};
use stile_tests::{Neighbour, Random, RawClient, Stile};

use super::{come_back, resume, wait_connections};

const DATABASE: &str = "stile.db";
const LOG: &str = "stile.db-wal";

/// A killed daemon that has kept something: a session, and more retained messages than fit in a few pages.
fn killed() -> Stile {
    let mut stile = Stile::start("");
    let (mut client, _) = come_back(&stile, &Connect::persistent(V5, "before"));
    client.subscribe(&[("kept/#", 1)], &[]);
    client.cut();
    wait_connections(&stile, 0.0);
    let mut writer = RawClient::connect(stile.mqtt, V5, "writer");
    for i in 0..60 {
        writer.publish_acked(true, &format!("kept/{i}"), &[], "x".repeat(500));
    }
    stile.kill();
    stile
}

/// The daemon starts, serves, and keeps what comes from now on.
#[track_caller]
fn expect_recovers(stile: &mut Stile, what: &str) {
    println!("{what}");
    stile.start_again();
    Neighbour::of(stile).is_well();
    let me = Connect::persistent(V5, "after");
    let (mut client, _) = come_back(stile, &me);
    assert_eq!(client.subscribe(&[("after", 1)], &[]), [1], "{what}");
    client.cut();
    let mut writer = RawClient::connect(stile.mqtt, V5, "writer");
    writer.publish_acked(true, "after", &[], "kept");
    stile.kill_and_start();
    let mut client = resume(stile, &me);
    assert_eq!(client.next_acked().text, "kept", "{what}");
    let mut reader = RawClient::connect(stile.mqtt, V5, "reader");
    assert_eq!(reader.subscribe(&[("after", 1)], &[]), [1]);
    assert!(reader.next_acked().retain, "{what}");
    stile.kill();
}

/// Turns over one bit of each of so many bytes.
fn flip(path: &Path, random: &mut Random, count: usize) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let size = file.metadata().unwrap().len();
    assert!(size > 0, "{} is empty", path.display());
    for _ in 0..count {
        let (at, mut byte) = (random.below(size), [0]);
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1 << random.below(8)], at).unwrap();
    }
}

#[test]
fn a_database_that_is_garbage_empty_or_cut_short_does_not_stop_the_start() {
    let mut random = Random::new(1);
    let mut garbage = vec![0; 50_000];
    garbage.fill_with(|| random.number() as u8);
    // Whether or not the log of latest changes is still there and fits.
    for (with_log, contents) in [(true, &garbage[..]), (false, &garbage), (true, b""), (false, b""), (true, b"SQLite")]
    {
        let mut stile = killed();
        std::fs::write(stile.data(DATABASE), contents).unwrap();
        if !with_log {
            let _ = std::fs::remove_file(stile.data(LOG));
        }
        expect_recovers(&mut stile, &format!("{} bytes of garbage, log: {with_log}", contents.len()));
    }
    for part in [1, 2, 3] {
        // A start and a stop bring all into the database itself.
        let mut stile = killed();
        stile.start_again();
        stile.stop();
        let file = OpenOptions::new().write(true).open(stile.data(DATABASE)).unwrap();
        let size = file.metadata().unwrap().len();
        file.set_len(size * part / 4 + 10).unwrap();
        expect_recovers(&mut stile, &format!("{part} quarters of the database"));
    }
}

#[test]
fn flipped_bits_in_the_log_of_latest_changes_do_not_stop_the_start() {
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    for count in [1, 1, 20] {
        let mut stile = killed();
        flip(&stile.data(LOG), &mut random, count);
        expect_recovers(&mut stile, &format!("{count} bits of the log"));
    }
    let mut stile = killed();
    let log = OpenOptions::new().write(true).open(stile.data(LOG)).unwrap();
    log.set_len(log.metadata().unwrap().len() / 2 + 5).unwrap();
    expect_recovers(&mut stile, "half of the log");
}

#[test]
fn flipped_bits_in_the_database_do_not_stop_the_start() {
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    for count in [1, 5, 50, 500, 5000] {
        let mut stile = killed();
        stile.start_again();
        stile.stop();
        flip(&stile.data(DATABASE), &mut random, count);
        expect_recovers(&mut stile, &format!("{count} bits of the database"));
    }
}

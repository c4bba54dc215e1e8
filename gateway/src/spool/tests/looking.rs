//! Looking at the files of a spool that nobody has open; and those that earlier versions wrote.

use std::fs;

use super::*;
use crate::message::{Message, MessageId, Origin, Topic};

fn message(n: u64, topic: &str) -> Message {
    let received = Received {
        wall: UNIX_EPOCH + Duration::from_secs(1_763_757_995),
        monotonic: Instant::now(),
        clock: ClockQuality::Synchronised,
    };
    let id = MessageId { run: 7, sequence: n };
    Message::new(id, received, Origin::Client("meter".into()), Topic::new(topic).unwrap(), format!("reading {n}"))
}

/// Five bulk records of which two are acknowledged, and an alarm; closed in order.
fn filled(folder: &Path) {
    let disk = Box::new(RealDisk(folder.to_owned()));
    let lock = folder::lock(folder).unwrap();
    let (spool, mut worker, _) = Spool::over(disk, "cloud", small(), Hand::new().now(), Some(lock)).unwrap();
    for n in 0..5 {
        spool.try_append(message(n, "meter/power").to_record().into(), Priority::Bulk, None).unwrap();
    }
    let (told, _done) = oneshot::channel();
    spool.0.0.change(|state| state.flushes.push(told));
    worker.turn();
    let reader = spool.reader().unwrap();
    for record in spool.0.0.change(|state| state.hand_out(2, usize::MAX)) {
        assert!(reader.acknowledge(record.seq));
    }
    spool.try_append(message(5, "door/alarm").to_record().into(), Priority::Alarm, None).unwrap();
    assert!(matches!(Stopped::open(folder), Err(SpoolError::Locked { .. })), "a gateway has it");
    spool.0.0.change(State::close);
    worker.turn();
}

fn exported(spool: &Stopped) -> Vec<(Priority, u64, u64)> {
    let mut all = Vec::new();
    spool.export(|stored| {
        let message = Message::from_record(&stored.bytes).unwrap();
        all.push((stored.seq.priority, stored.seq.number, message.id.sequence));
        true
    });
    all
}

const WAITING: [(Priority, u64, u64); 4] =
    [(Priority::Alarm, 0, 5), (Priority::Bulk, 2, 2), (Priority::Bulk, 3, 3), (Priority::Bulk, 4, 4)];

#[test]
fn what_waits_is_shown_without_being_touched() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let spool = Stopped::open(folder.path()).unwrap();
    let contents = spool.contents();
    let counts: Vec<_> = contents.lanes.iter().map(|lane| (lane.lane, lane.messages, lane.first, lane.end)).collect();
    assert_eq!(counts, [("alarm", 1, 0, 1), ("bulk", 3, 2, 5)]);
    assert_eq!((contents.cursor, contents.clean, contents.damage), (true, true, Quarantined::default()));
    let (reports, missing) = spool.verify();
    let states: Vec<_> = reports.iter().map(|report| (report.state, report.records, report.lost)).collect();
    assert_eq!((states, missing), (vec![(FileState::Whole, 1, 0), (FileState::Whole, 5, 0)], 0));
    assert_eq!(exported(&spool), WAITING);
    drop(spool);
    assert_eq!(Stopped::open(folder.path()).unwrap().contents(), contents);
}

#[test]
fn damage_is_found_by_reading_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let file = fs::read_dir(folder.path().join("bulk")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&file).unwrap();
    let place = whole.windows(9).position(|window| window == b"reading 3").unwrap();
    let mut hit = whole.clone();
    hit[place] ^= 1;
    fs::write(&file, &hit).unwrap();
    let spool = Stopped::open(folder.path()).unwrap();
    assert_eq!(spool.contents().damage, Quarantined::default(), "not by its end");
    let report = spool.verify().0.pop().unwrap();
    assert_eq!((report.state, report.records, report.lost), (FileState::Damaged, 4, 1));
    assert_eq!(exported(&spool), [WAITING[0], WAITING[1], WAITING[3]]);
    fs::write(&file, &whole[..place]).unwrap();
    let spool = Stopped::open(folder.path()).unwrap();
    let (reports, missing) = spool.verify();
    assert_eq!((reports[1].state, missing), (FileState::Unfinished, 2), "the cursor knows how many there were");
    fs::remove_file(&file).unwrap();
    assert_eq!(Stopped::open(folder.path()).unwrap().verify().1, 3);
}

/// What one version wrote, each later one must read.
#[test]
fn a_spool_of_version_1_is_read() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spool-1");
    assert_eq!(exported(&Stopped::open(&golden).unwrap()), WAITING);
    assert!(Stopped::open(&golden).unwrap().contents().clean);
}

//! The store with real files: what is promised is there after the process is gone, and damage costs only itself.

mod audit;
mod held;
mod memories;
mod remotes;

use std::num::{NonZeroU16, NonZeroU32};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::message::{Awaited, MessageId, Origin, Promise, QoS, Received};

fn message(topic: &str, payload: &str) -> Arc<Message> {
    let received =
        Received { wall: UNIX_EPOCH, monotonic: Instant::now(), clock: crate::message::ClockQuality::Unknown };
    let id = MessageId { run: 1, sequence: 1 };
    Arc::new(Message::new(id, received, Origin::Client("p".into()), Topic::new(topic).unwrap(), payload.to_owned()))
}

fn receipt() -> (Receipt, Awaited) {
    Receipt::new(Arc::default(), None)
}

fn session(client: &str) -> SessionRow {
    SessionRow { client: client.into(), user: None, expiry: Duration::from_secs(60), left: None }
}

fn queued(session: u64, packet_id: u16, payload: &str) -> QueuedRow {
    QueuedRow {
        session,
        packet_id: NonZeroU16::new(packet_id).unwrap(),
        qos: QoS::ExactlyOnce,
        retain: true,
        subscription_id: NonZeroU32::new(9),
        share: Some(TopicFilter::new("$share/g/a/#").unwrap()),
        released: false,
        message: message("a/b", payload),
    }
}

const OPTIONS: SubscriptionRow =
    SubscriptionRow { qos: QoS::AtLeastOnce, no_local: true, retain_as_published: true, subscription_id: None };

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

/// A session with one of everything, on disk.
async fn filled(folder: &Path) -> Stored {
    let (store, _) = Store::open(folder).unwrap();
    let id = store.begin_session(SessionRow { user: Some("u".into()), left: Some(SystemTime::now()), ..session("c") });
    store.subscribe(id, &filter("$share/g/a/#"), Some(OPTIONS), receipt().0);
    store.queue(queued(id, 7, "one"), Vec::new(), true);
    store.queue(queued(id, 8, "two"), Vec::new(), true);
    store.retain(&message("a/b", "kept"), true, None);
    store.receive(Publication { session: id, packet_id: NonZeroU16::MAX }, receipt().0);
    store.flush().await.unwrap();
    drop(store);
    Store::open(folder).unwrap().1
}

#[tokio::test]
async fn what_was_written_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let stored = filled(folder.path()).await;
    let found = &stored.sessions[0];
    assert_eq!((&*found.row.client, found.row.user.as_deref()), ("c", Some("u")));
    assert_eq!(found.row.expiry, Duration::from_secs(60));
    assert!(found.row.left.unwrap().elapsed().unwrap() < Duration::from_secs(60));
    assert_eq!(found.subscriptions, [(filter("$share/g/a/#"), OPTIONS)]);
    assert_eq!(found.received, [NonZeroU16::MAX]);
    let mut rows = found.queued.iter().map(|(_, row)| row.clone());
    for (packet_id, payload) in [(7, "one"), (8, "two")] {
        let mut row = rows.next().unwrap();
        let expected = queued(found.id, packet_id, payload);
        assert_eq!(row.message.payload, expected.message.payload);
        row.message = Arc::clone(&expected.message);
        assert_eq!(row, expected);
    }
    assert_eq!(stored.retained[0].payload, "kept");
    assert_eq!((stored.unreadable, &stored.set_aside), (0, &None));
    let mode = folder.path().join(FILE).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may read it");
}

#[tokio::test]
async fn a_receipt_is_settled_by_the_disk_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let (told, awaited) = receipt();
    store.retain(&message("a", "x"), true, Some(told));
    assert_eq!(awaited.promise(), Promise::Open);
    store.flush().await.unwrap();
    assert_eq!(awaited.promise(), Promise::Kept);
}

#[tokio::test]
async fn what_its_client_acknowledges_first_is_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let (told, awaited) = receipt();
    let row = store.queue(queued(1, 1, "x"), vec![told], true);
    store.forget(row);
    assert_eq!(awaited.promise(), Promise::Kept);
    store.flush().await.unwrap();
    assert_eq!(store.figures().commits.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_group_is_written_when_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let id = store.begin_session(session("c"));
    store.open_group();
    let (told, awaited) = receipt();
    store.queue(queued(id, 1, "x"), vec![told], false);
    let early = store.queue(queued(id, 2, "y"), Vec::new(), false);
    store.flush().await.unwrap();
    assert_eq!(awaited.promise(), Promise::Open);
    store.forget(early);
    store.close_group();
    store.flush().await.unwrap();
    assert_eq!(awaited.promise(), Promise::Kept);
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().1.sessions[0].queued.len(), 1);
}

#[tokio::test]
async fn what_goes_is_gone_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let id = filled(folder.path()).await.sessions[0].id;
    let (store, stored) = Store::open(folder.path()).unwrap();
    let rows: Vec<u64> = stored.sessions[0].queued.iter().map(|(row, _)| *row).collect();
    store.forget(rows[0]);
    store.release(rows[1], receipt().0);
    store.clear_retained(&Topic::new("a/b").unwrap(), None);
    store.subscribe(id, &filter("$share/g/a/#"), None, receipt().0);
    store.forget_received(id, NonZeroU16::MAX, receipt().0);
    store.flush().await.unwrap();
    drop(store);
    let (store, stored) = Store::open(folder.path()).unwrap();
    let found = &stored.sessions[0];
    assert_eq!((found.queued.len(), found.queued[0].1.released), (1, true));
    assert!(found.subscriptions.is_empty() && found.received.is_empty() && stored.retained.is_empty());
    store.end_session(id);
    store.flush().await.unwrap();
    drop(store);
    let (_store, stored) = Store::open(folder.path()).unwrap();
    assert!(stored.sessions.is_empty());
}

#[tokio::test]
async fn numbers_go_on_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let stored = filled(folder.path()).await;
    let (store, _) = Store::open(folder.path()).unwrap();
    assert!(store.begin_session(session("d")) > stored.sessions[0].id);
    let row = store.queue(queued(1, 1, "x"), Vec::new(), true);
    assert!(row > stored.sessions[0].queued[1].0);
}

#[tokio::test]
async fn a_failed_transaction_keeps_its_changes_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let id = store.begin_session(session("c"));
    store.flush().await.unwrap();
    store.0.database.lock().unwrap().break_writes(true);
    let (told, awaited) = receipt();
    let row = store.queue(queued(id, 1, "x"), vec![told], false);
    let (other, acknowledged) = receipt();
    let early = store.queue(queued(id, 2, "y"), vec![other], false);
    assert!(store.flush().await.is_err());
    assert!(store.figures().failing.load(Ordering::Relaxed));
    assert_eq!(awaited.promise(), Promise::Open);
    store.forget(early);
    assert_eq!(acknowledged.promise(), Promise::Kept, "its client has it");
    store.0.database.lock().unwrap().break_writes(false);
    store.flush().await.unwrap();
    assert_eq!(awaited.promise(), Promise::Kept);
    drop(store);
    let queued = Store::open(folder.path()).unwrap().1.sessions.remove(0).queued;
    assert_eq!(queued.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [row]);
}

#[tokio::test]
async fn nothing_piles_up_while_the_disk_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let id = store.begin_session(session("c"));
    store.flush().await.unwrap();
    store.0.database.lock().unwrap().break_writes(true);
    store.retain(&message("first", "x"), true, None);
    assert!(store.flush().await.is_err());
    for n in 0..1000 {
        store.open_group();
        let (told, _given_up) = receipt();
        let row = store.queue(queued(id, 1, "x"), vec![told], true);
        store.retain(&message(&format!("t/{n}"), "x"), true, Some(receipt().0));
        store.close_group();
        store.open_group();
        store.forget(row);
        store.close_group();
        store.clear_retained(&Topic::new(&format!("t/{n}")).unwrap(), Some(receipt().0));
        let other = store.begin_session(session("d"));
        store.end_session(other);
    }
    assert!(store.flush().await.is_err());
    let left = format!("{:?}", store.pending());
    let count = |what: &str| left.matches(what).count();
    assert_eq!((count("Gone"), count("\"t/"), count("ended: true"), count("Receipt {")), (0, 0, 0, 0));
}

#[tokio::test]
async fn what_may_be_on_disk_after_a_failure_is_taken_off_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let id = store.begin_session(session("c"));
    store.queue(queued(id, 9, "stays"), Vec::new(), false);
    store.flush().await.unwrap();
    let row = store.queue(queued(id, 1, "x"), Vec::new(), false);
    let other = store.begin_session(session("d"));
    store.subscribe(other, &filter("a"), Some(OPTIONS), receipt().0);
    store.receive(Publication { session: other, packet_id: NonZeroU16::MAX }, receipt().0);
    let held =
        store.hold(HeldRow { owner: "p".into(), apart: false, behind: None, message: message("a", "held") }, None);
    let batch = store.pending().take();
    // It is written, and all that comes back is that it failed.
    store.0.database.lock().unwrap().write(&batch).unwrap();
    store.forget(row);
    store.pending().give_back(batch, Instant::now());
    store.end_session(other);
    store.note(Note::Held(held), Receipt::held(held));
    store.flush().await.unwrap();
    drop(store);
    let stored = Store::open(folder.path()).unwrap().1;
    assert_eq!((stored.sessions.len(), stored.sessions[0].queued.len(), stored.held.len()), (1, 1, 0));
    assert_eq!(stored.sessions[0].queued[0].1.message.payload, "stays");
}

#[tokio::test]
async fn nothing_piles_up_of_what_a_failing_disk_was_tried_with() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let id = store.begin_session(session("c"));
    store.flush().await.unwrap();
    store.0.database.lock().unwrap().break_writes(true);
    for _ in 0..100 {
        let row = store.queue(queued(id, 1, "x"), Vec::new(), true);
        let held =
            store.hold(HeldRow { owner: "p".into(), apart: false, behind: None, message: message("a", "held") }, None);
        let other = store.begin_session(session("d"));
        assert!(store.flush().await.is_err());
        store.forget(row);
        store.note(Note::Held(held), Receipt::held(held));
        store.end_session(other);
        // Its message was under way for longer than it was.
        store.receive(Publication { session: other, packet_id: NonZeroU16::MIN }, receipt().0);
    }
    assert!(store.flush().await.is_err());
    let left = format!("{:?}", store.pending());
    let count = |what: &str| left.matches(what).count();
    assert_eq!((count("Gone"), count("Put"), count("ended: "), count("Receipt {")), (0, 0, 0, 0), "{left}");
}

/// Runs the writer, until the test ends.
fn written(store: &Store) -> tokio_util::sync::DropGuard {
    let stop = CancellationToken::new();
    tokio::spawn(store.clone().run(stop.clone()));
    stop.drop_guard()
}

/// Waits until a promise is kept.
async fn kept(awaited: &Awaited) {
    let kept = async {
        while awaited.promise() != Promise::Kept {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), kept).await.expect("nobody wrote it");
}

#[tokio::test]
async fn the_writer_wakes_for_what_comes_after_a_group_that_came_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let id = store.begin_session(session("c"));
    store.flush().await.unwrap();
    let _writer = written(&store);
    for group in [true, false] {
        if group {
            store.open_group();
        }
        let (told, published) = receipt();
        let row = store.queue(queued(id, 1, "x"), vec![told], true);
        // The writer looks, and there is nothing yet that may be written.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        store.forget(row);
        store.close_group();
        kept(&published).await;
        tokio::time::sleep(2 * GRACE).await;
        let (told, awaited) = receipt();
        store.subscribe(id, &filter("a/#"), Some(OPTIONS), told);
        kept(&awaited).await;
    }
}

#[tokio::test]
async fn a_shared_message_outlives_the_session_that_gave_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let id = store.begin_session(session("a"));
    store.queue(queued(id, 1, "x"), Vec::new(), true);
    store.end_session(id);
    store.flush().await.unwrap();
    drop(store);
    for _ in 0..2 {
        let (store, stored) = Store::open(folder.path()).unwrap();
        assert_eq!((stored.homeless.len(), stored.sessions.len()), (1, 0));
        assert!(store.begin_session(session("b")) > id, "it must not belong to another session by its number");
    }
}

#[tokio::test]
async fn one_message_in_many_queues_is_one_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    for client in ["a", "b"] {
        let id = store.begin_session(session(client));
        store.queue(queued(id, 1, "x"), Vec::new(), true);
    }
    store.flush().await.unwrap();
    drop(store);
    let (_, stored) = Store::open(folder.path()).unwrap();
    let message = |n: usize| &stored.sessions[n].queued[0].1.message;
    assert!(Arc::ptr_eq(message(0), message(1)));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let file = folder.path().join(FILE);
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute_batch(&format!("PRAGMA user_version = 99; PRAGMA application_id = {}", 0x5374_0000 + 99))
        .unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Newer { layout: 99, .. })));
    assert!(file.exists());
}

#[tokio::test]
async fn a_damaged_row_costs_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let connection = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    connection.execute("UPDATE queued SET message = x'0100' WHERE packet_id = 7", []).unwrap();
    drop(connection);
    let (store, stored) = Store::open(folder.path()).unwrap();
    assert_eq!((stored.unreadable, stored.sessions[0].queued.len(), stored.retained.len()), (1, 1, 1));
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().1.unreadable, 0, "it is not met twice");
}

#[tokio::test]
async fn flipped_bits_in_the_header_are_damage_and_not_a_newer_version() {
    for (at, by) in [(63, 0x20), (63, 1), (18, 4), (56, 1), (44, 8), (100, 0xff), (200, 1)] {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path()).await;
        let file = folder.path().join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[at] ^= by;
        std::fs::write(&file, bytes).unwrap();
        let (store, _) = Store::open(folder.path()).unwrap_or_else(|error| panic!("byte {at}: {error}"));
        store.retain(&message("a", "x"), true, None);
        store.flush().await.unwrap_or_else(|error| panic!("byte {at}: {error}"));
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), [b'x'; 5000]).unwrap();
    let (store, stored) = Store::open(folder.path()).unwrap();
    assert!(stored.set_aside.unwrap().exists());
    store.retain(&message("a", "x"), true, None);
    store.flush().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Zeroes, bits and cuts anywhere in the file or its log: it opens, nothing is made up, and it can be written.
    #[test]
    fn any_damage_costs_at_most_what_it_hit(
        log in any::<bool>(), at in any::<prop::sample::Index>(), cut in any::<bool>(), by in 1..=255_u8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let payload = "payload ".repeat(40);
        for n in 0..40 {
            store.retain(&message(&format!("t/{n}"), &payload), true, None);
        }
        runtime.block_on(store.flush()).unwrap();
        // As after a power cut: copied while the log is in use.
        let copy = tempfile::tempdir().unwrap();
        for name in [FILE.to_owned(), format!("{FILE}-wal")] {
            let mut bytes = std::fs::read(folder.path().join(&name)).unwrap();
            if log == name.ends_with("-wal") {
                let at = at.index(bytes.len());
                bytes[at] ^= by;
                bytes.truncate(if cut { at } else { bytes.len() });
            }
            std::fs::write(copy.path().join(&name), bytes).unwrap();
        }
        let (store, stored) = Store::open(copy.path()).unwrap();
        for message in &stored.retained {
            prop_assert_eq!(&message.payload[..], payload.as_bytes());
        }
        store.retain(&message("new", "x"), true, None);
        runtime.block_on(store.flush()).unwrap();
        drop(store);
        let (_, stored) = Store::open(copy.path()).unwrap();
        prop_assert!(stored.retained.iter().any(|message| message.topic.as_str() == "new"));
    }
}

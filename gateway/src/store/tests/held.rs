//! Messages that are held for plugins.

use super::*;
use crate::message::Note;

fn row(payload: &str) -> HeldRow {
    HeldRow { owner: "p".into(), apart: false, behind: None, message: message("a/b", payload) }
}

/// The payloads of what is held, and whether it lies apart.
fn held(folder: &Path) -> Vec<(String, bool)> {
    let rows = Store::open(folder).unwrap().1.held.into_values();
    rows.map(|row| (String::from_utf8(row.message.payload.to_vec()).unwrap(), row.apart)).collect()
}

fn end(store: &Store, number: u64) {
    Receipt::held(number).end(|note, receipt| store.note(note, receipt));
}

#[tokio::test]
async fn what_is_held_is_found_again_in_order_until_it_is_held_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let behind: Option<Arc<[Arc<str>]>> = Some(["a".into(), "b".into()].into());
    let rows = ["1", "2", "3"].map(|payload| HeldRow { behind: behind.clone(), ..row(payload) });
    let numbers: Vec<_> = rows.into_iter().map(|row| store.hold(row, None)).collect();
    store.set_apart(numbers[1]);
    store.flush().await.unwrap();
    store.set_apart(numbers[2]);
    end(&store, numbers[0]);
    store.flush().await.unwrap();
    drop(store);
    assert_eq!(held(folder.path()), [("2".to_owned(), true), ("3".to_owned(), true)]);
    let (store, stored) = Store::open(folder.path()).unwrap();
    assert!(stored.held.values().all(|row| row.behind == behind), "{:?}", stored.held);
    let next = store.hold(row("4"), None);
    assert_eq!(next, numbers[2] + 1);
    end(&store, next);
    store.flush().await.unwrap();
    assert_eq!(store.figures().commits.load(Ordering::Relaxed), 0, "it was never written");
}

#[tokio::test]
async fn a_publication_is_noted_with_the_message_that_is_held_and_acknowledged_when_both_are_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let session_id = filled(folder.path()).await.sessions[0].id;
    let (store, _) = Store::open(folder.path()).unwrap();
    let publication = Publication { session: session_id, packet_id: NonZeroU16::MIN };
    let (told, awaited) = Receipt::new(Arc::default(), Some(publication));
    store.hold(row("1"), Some(told));
    assert_eq!(awaited.promise(), Promise::Open);
    store.flush().await.unwrap();
    assert_eq!(awaited.promise(), Promise::Kept);
    drop(store);
    let stored = Store::open(folder.path()).unwrap().1;
    assert_eq!((stored.held.len(), stored.sessions[0].received.contains(&NonZeroU16::MIN)), (1, true));
}

#[tokio::test]
async fn what_ends_while_the_disk_fails_is_gone_when_it_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    store.0.database.lock().unwrap().break_writes(true);
    let number = store.hold(row("1"), None);
    assert!(store.flush().await.is_err());
    // With what it leaves behind, in one group.
    store.open_group();
    store.retain(&message("a", "left behind"), true, None);
    store.note(Note::Held(number), Receipt::held(number));
    store.close_group();
    store.0.database.lock().unwrap().break_writes(false);
    store.flush().await.unwrap();
    drop(store);
    let stored = Store::open(folder.path()).unwrap().1;
    assert_eq!((stored.held.len(), stored.retained.len()), (0, 1));
}

#[tokio::test]
async fn what_is_held_for_another_instead_is_so_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let numbers = ["1", "2"].map(|payload| store.hold(row(payload), None));
    store.flush().await.unwrap();
    let moved = ["1", "2"].map(|payload| HeldRow { owner: "q".into(), ..row(payload) });
    let anew = store.hold_instead(numbers.into_iter().zip(moved).collect());
    assert_eq!(anew, [numbers[1] + 1, numbers[1] + 2]);
    store.flush().await.unwrap();
    assert_eq!(store.figures().commits.load(Ordering::Relaxed), 2);
    drop(store);
    let held = Store::open(folder.path()).unwrap().1.held;
    assert_eq!(held.values().map(|row| &*row.owner).collect::<Vec<_>>(), ["q", "q"]);
}

//! What plugins remember.

use super::*;

fn row(value: &str) -> Option<MemoryRow> {
    Some(MemoryRow { value: value.as_bytes().into(), lasts: None })
}

fn remember(store: &Store, changes: &[(&str, Option<MemoryRow>, bool)]) {
    let changes = changes.iter().map(|(key, row, fresh)| ((*key).to_owned(), row.clone(), *fresh));
    store.remember(&"p".into(), changes.collect());
}

/// What is on disk of the plugin `p`.
fn found(folder: &Path) -> StoredMemory {
    Store::open(folder).unwrap().1.memories.remove("p").unwrap_or_default()
}

#[tokio::test]
async fn what_a_plugin_remembers_is_found_again_with_the_time_that_it_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let lasting = |left, at| Some(MemoryRow { value: [0, 255].into(), lasts: Some(Lasts { left, at }) });
    let key = "with\0nul and ü";
    remember(&store, &[("a", row("1"), true), ("b", lasting(Duration::from_millis(1500), Some(at)), true)]);
    remember(&store, &[(key, lasting(Duration::from_secs(9), None), true), ("gone", row("x"), true)]);
    store.leave_memory(&"p".into(), Some(at));
    store.flush().await.unwrap();
    remember(&store, &[("a", row("2"), false), ("gone", None, false)]);
    store.flush().await.unwrap();
    drop(store);
    let memory = found(folder.path());
    assert_eq!(memory.left, Some(at));
    let expected = [
        ("a".to_owned(), row("2").unwrap()),
        ("b".to_owned(), lasting(Duration::from_secs(2), Some(at)).unwrap()),
        (key.to_owned(), lasting(Duration::from_secs(9), None).unwrap()),
    ];
    assert_eq!(memory.entries, expected);
}

#[tokio::test]
async fn a_memory_that_ends_is_gone_and_a_new_one_may_have_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    remember(&store, &[("old", row("1"), true)]);
    store.leave_memory(&"p".into(), Some(SystemTime::now()));
    store.flush().await.unwrap();
    store.end_memory(&"p".into());
    remember(&store, &[("new", row("1"), true)]);
    store.flush().await.unwrap();
    drop(store);
    let expected = StoredMemory { entries: vec![("new".into(), row("1").unwrap())], left: None };
    assert_eq!(found(folder.path()), expected);
}

#[tokio::test]
async fn while_the_disk_fails_changes_coalesce_and_those_who_wait_go_on_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    remember(&store, &[("kept", row("0"), true)]);
    store.flush().await.unwrap();
    store.0.database.lock().unwrap().break_writes(true);
    let (told, awaited) = receipt();
    for number in 1..=3 {
        remember(&store, &[("kept", row(&number.to_string()), false), ("new", None, true)]);
        assert!(store.flush().await.is_err());
    }
    store.sync(told);
    assert_eq!(store.undeleted("p"), 0);
    remember(&store, &[("gone", row("1"), true)]);
    assert!(store.flush().await.is_err());
    remember(&store, &[("gone", None, false)]);
    assert_eq!(store.undeleted("p"), 68, "nobody can tell whether the disk has it");
    assert_eq!(awaited.promise(), Promise::Open);
    store.0.database.lock().unwrap().break_writes(false);
    store.flush().await.unwrap();
    assert_eq!((awaited.promise(), store.undeleted("p")), (Promise::Kept, 0));
    drop(store);
    assert_eq!(found(folder.path()).entries, [("kept".to_owned(), row("3").unwrap())]);
}

#[tokio::test]
async fn a_file_of_the_first_layout_gets_what_it_lacks_and_a_damaged_one_keeps_what_plugins_remember() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let file = folder.path().join(FILE);
    let older = rusqlite::Connection::open(&file).unwrap();
    let mark = 0x5374_0001;
    older
        .execute_batch(&format!(
            "DROP TABLE memory; DROP TABLE left_memory; DROP TABLE held; DROP TABLE remote; DROP TABLE audit; PRAGMA user_version = 1; PRAGMA application_id = {mark}"
        ))
        .unwrap();
    drop(older);
    let (store, stored) = Store::open(folder.path()).unwrap();
    assert_eq!((stored.sessions.len(), stored.retained.len(), &stored.set_aside), (1, 1, &None));
    remember(&store, &[("a", row("1"), true)]);
    store.flush().await.unwrap();
    drop(store);
    // A layout that can't be, with all tables there.
    let damaged = rusqlite::Connection::open(&file).unwrap();
    damaged.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(damaged);
    let (_store, stored) = Store::open(folder.path()).unwrap();
    assert!(stored.set_aside.is_some(), "nothing of it is trusted, and the start goes on");
}

//! The gateway's own sessions at remotes.

use super::*;
use crate::store::pending::Batch;

fn row(uplink: &str) -> RemoteRow {
    RemoteRow { uplink: uplink.into(), place: "mqtt://there:1883 gw".to_owned(), doubted: false }
}

fn publication(session: u64, packet_id: u16) -> Publication {
    Publication { session, packet_id: NonZeroU16::new(packet_id).unwrap() }
}

#[tokio::test]
async fn what_a_remote_has_not_released_is_found_again_beside_sessions_of_clients() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let client = store.begin_session(session("c"));
    let (up, other) = (store.begin_remote(row("up")), store.begin_remote(row("other")));
    for (session, packet_id) in [(client, 1), (up, 2), (up, 3), (other, 4)] {
        store.note(Note::Publication(publication(session, packet_id)), receipt().0);
    }
    store.forget_received(up, NonZeroU16::new(3).unwrap(), receipt().0);
    store.update_remote(up, RemoteRow { doubted: true, ..row("up") });
    store.end_session(other);
    store.flush().await.unwrap();
    drop(store);
    let (store, stored) = Store::open(folder.path()).unwrap();
    assert_eq!(stored.sessions[0].received, [NonZeroU16::MIN]);
    let doubted = RemoteRow { doubted: true, ..row("up") };
    let expected = StoredRemote { id: up, row: doubted, received: vec![NonZeroU16::new(2).unwrap()] };
    assert_eq!(stored.remotes, [expected]);
    assert!(store.begin_remote(row("new")) > up, "numbers are not given twice");
}

#[tokio::test]
async fn what_a_remote_sent_outlasts_damage_elsewhere_and_a_transaction_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let up = store.begin_remote(row("up"));
    store.note(Note::Publication(publication(up, 2)), receipt().0);
    store.flush().await.unwrap();
    let other = store.begin_remote(row("other"));
    store.note(Note::Publication(publication(up, 5)), receipt().0);
    let batch = store.pending().take();
    // It is written, and all that comes back is that it failed.
    store.0.database.lock().unwrap().write(&batch).unwrap();
    store.pending().give_back(batch, Instant::now());
    store.end_session(other);
    store.flush().await.unwrap();
    drop(store);
    let (store, stored) = Store::open(folder.path()).unwrap();
    let mut received = stored.remotes[0].received.clone();
    received.sort_unstable();
    assert_eq!((stored.remotes.len(), received), (1, [2, 5].map(|id| NonZeroU16::new(id).unwrap()).to_vec()));
    // Written into a new file as a whole.
    let copy = tempfile::tempdir().unwrap();
    let (fresh, _) = Store::open(copy.path()).unwrap();
    fresh.0.database.lock().unwrap().write(&Batch::of(&stored)).unwrap();
    drop((store, fresh));
    assert_eq!(Store::open(copy.path()).unwrap().1.remotes, stored.remotes);
}

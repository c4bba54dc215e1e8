//! Over restarts and power cuts: what came is known again, and nothing new is taken for it.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::config::{Uplink, Url};
use crate::store::Stored;

const ONE: NonZeroU16 = NonZeroU16::MIN;

struct Gateway {
    folder: TempDir,
    store: Store,
    taken: Taken,
}

fn uplink(host: &str) -> Uplink {
    Uplink::new("cloud", Url { tls: false, host: host.into(), port: 1883, websocket: None }, Vec::new())
}

fn open(folder: &Path, host: &str) -> (Store, Taken) {
    let (store, Stored { mut remotes, .. }) = Store::open(folder).unwrap();
    let taken = Taken::new(store.clone(), &uplink(host), remotes.pop());
    (store, taken)
}

impl Gateway {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, taken) = open(folder.path(), "there");
        Self { folder, store, taken }
    }

    /// A message of QoS 2 comes, and what it leaves behind is to be written.
    fn come(&mut self, id: NonZeroU16) -> Awaited {
        let (receipt, awaited) = self.taken.receipt(QoS::ExactlyOnce, id);
        receipt.end(|note, receipt| self.store.note(note, receipt));
        awaited
    }

    async fn write(&self) {
        self.store.flush().await.unwrap();
    }

    /// The power fails, and what was not written is gone.
    fn cut(self) -> Self {
        self.cut_and_go_to("there")
    }

    fn cut_and_go_to(self, host: &str) -> Self {
        let Self { folder, store, taken } = self;
        drop((store, taken));
        let (store, taken) = open(folder.path(), host);
        Self { folder, store, taken }
    }

    fn knows(&self, id: NonZeroU16) -> bool {
        self.taken.known(id).is_some()
    }
}

#[tokio::test]
async fn a_message_is_known_again_when_it_was_written_and_until_it_is_released() {
    let mut gateway = Gateway::new();
    let first = gateway.come(ONE);
    assert!(gateway.knows(ONE) && first.promise() == Promise::Open);
    let mut gateway = gateway.cut();
    assert!(!gateway.knows(ONE), "nothing of it was kept, and its remote was told nothing");
    let again = gateway.come(ONE);
    gateway.write().await;
    assert_eq!(again.promise(), Promise::Kept);
    let mut gateway = gateway.cut();
    assert!(gateway.knows(ONE));
    assert!(gateway.taken.known(ONE).unwrap().is_none(), "it is safe already");
    let released = gateway.taken.released(ONE).unwrap().unwrap();
    assert!(!gateway.knows(ONE) && released.promise() == Promise::Open, "the remote is not told yet");
    let again = gateway.taken.released(ONE).unwrap().unwrap();
    assert_eq!(again.promise(), Promise::Open, "nor when it asks again");
    gateway.write().await;
    assert_eq!((released.promise(), again.promise()), (Promise::Kept, Promise::Kept));
    assert!(!gateway.cut().knows(ONE));
}

#[tokio::test]
async fn a_session_that_the_remote_has_forgotten_is_forgotten_on_disk_before_it_is_asked_for_anything() {
    let mut gateway = Gateway::new();
    gateway.come(ONE);
    gateway.write().await;
    assert!(gateway.taken.connected(true).is_none() && gateway.knows(ONE));
    let clear = gateway.taken.connected(false).unwrap();
    assert!(!gateway.knows(ONE) && clear.promise() == Promise::Open);
    gateway.write().await;
    assert_eq!(clear.promise(), Promise::Kept);
    let gateway = gateway.cut();
    assert!(!gateway.knows(ONE));
}

#[tokio::test]
async fn what_is_found_from_between_connect_and_connack_is_not_believed() {
    let mut gateway = Gateway::new();
    gateway.come(ONE);
    gateway.write().await;
    let before = gateway.taken.connecting().unwrap();
    assert_eq!(before.promise(), Promise::Open);
    gateway.write().await;
    assert_eq!(before.promise(), Promise::Kept);
    let mut gateway = gateway.cut();
    assert!(!gateway.knows(ONE), "the remote may have begun another session");
    // With the same session it is believed again.
    gateway.come(ONE);
    gateway.taken.connecting();
    gateway.taken.connected(true);
    gateway.write().await;
    assert!(gateway.cut().knows(ONE));
}

#[tokio::test]
async fn with_nothing_to_remember_nothing_is_written_at_a_connection() {
    let mut gateway = Gateway::new();
    assert!(gateway.taken.connecting().is_none());
    assert_eq!(gateway.taken.connected(false).unwrap().promise(), Promise::Kept);
    let (receipt, _) = gateway.taken.receipt(QoS::AtLeastOnce, ONE);
    receipt.settle();
    assert!(!gateway.knows(ONE), "QoS 1 may come twice");
}

#[tokio::test]
async fn another_remote_is_another_session() {
    let mut gateway = Gateway::new();
    gateway.come(ONE);
    gateway.write().await;
    gateway.taken.set(&uplink("there"));
    assert!(gateway.knows(ONE));
    let mut gateway = gateway.cut_and_go_to("elsewhere");
    assert!(!gateway.knows(ONE));
    gateway.come(ONE);
    gateway.taken.set(&uplink("there"));
    assert!(!gateway.knows(ONE));
}

#[tokio::test]
async fn a_message_that_was_lost_on_its_way_is_new_and_a_release_too_early_is_refused() {
    let mut gateway = Gateway::new();
    let (receipt, _awaited) = gateway.taken.receipt(QoS::ExactlyOnce, ONE);
    assert!(gateway.knows(ONE) && gateway.taken.released(ONE).is_err());
    drop(receipt);
    assert!(!gateway.knows(ONE));
    assert!(gateway.taken.released(ONE).is_ok());
}

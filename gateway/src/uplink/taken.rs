//! Which messages of the remote have been taken in: those of QoS 2 that it has not released yet.
//!
//! The store keeps it, as it does for clients: that a message came is noted with all that it leaves behind, in one
//! transaction, so that one that comes again after a power cut is known (MQTT 5.0, section 4.3.3), and an identifier is free
//! when that is on disk.
//!
//! Packet identifiers mean something within one session. A remote that has forgotten it gives them to other messages, and
//! whoever took those for repetitions would lose them. So what is remembered goes, on disk too, before the gateway asks a
//! new session for anything. From CONNECT until CONNACK nobody here knows which session the remote has; what is found from
//! such a moment is not believed, and then a message may come twice.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::trouble::Trouble;
use crate::config;
use crate::message::{Awaited, Promise, Publication, QoS, Receipt};
use crate::store::{RemoteRow, Store, StoredRemote};

/// The longest that CONNECT waits for the store. One that fails for longer keeps no messages of QoS 2 either, and what goes
/// to the remote must not wait for it.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// See the module's head.
pub(super) struct Taken {
    store: Store,
    row: RemoteRow,
    /// Its number in the store; `None` while there is nothing to remember.
    session: Option<u64>,
    /// By identifier, what the message's safety hangs on; `None` of one that was found in the store.
    received: HashMap<NonZeroU16, Option<Awaited>>,
    told: Arc<Notify>,
}

/// Where the remote is, and as whom the gateway comes there.
fn place(uplink: &config::Uplink) -> String {
    format!("{} {}", uplink.url, uplink.client_id)
}

impl Taken {
    /// What was `found` in the store, if it is of the same session.
    pub(super) fn new(store: Store, uplink: &config::Uplink, found: Option<StoredRemote>) -> Self {
        let row = RemoteRow { uplink: uplink.name.as_str().into(), place: place(uplink), doubted: false };
        let mut taken = Self { store, row, session: None, received: HashMap::new(), told: Arc::default() };
        if let Some(StoredRemote { id, row, received }) = found {
            taken.session = Some(id);
            taken.received = received.into_iter().map(|id| (id, None)).collect();
            if row != taken.row {
                taken.forget();
            }
        }
        taken
    }

    /// Takes other settings.
    pub(super) fn set(&mut self, uplink: &config::Uplink) {
        let place = place(uplink);
        if self.row.place != place {
            self.forget();
            self.row.place = place;
        }
    }

    /// Told when something of it is safe.
    pub(super) fn told(&self) -> Arc<Notify> {
        Arc::clone(&self.told)
    }

    fn forget(&mut self) {
        self.received.clear();
        self.row.doubted = false;
        self.session.take().into_iter().for_each(|session| self.store.end_session(session));
    }

    /// That all so far is on disk.
    fn sync(&self) -> Awaited {
        let (receipt, awaited) = Receipt::new(self.told(), None);
        self.store.sync(receipt);
        awaited
    }

    fn doubt(&mut self, doubted: bool) {
        if let (Some(session), true) = (self.session, self.row.doubted != doubted) {
            self.row.doubted = doubted;
            self.store.update_remote(session, self.row.clone());
        }
    }

    /// CONNECT is to follow. Gives what must be on disk before.
    pub(super) fn connecting(&mut self) -> Option<Awaited> {
        self.session?;
        if self.received.is_empty() {
            self.forget();
        } else {
            self.doubt(true);
        }
        Some(self.sync())
    }

    /// CONNACK: whether the remote still has the session. Gives what must be on disk before it is asked for anything.
    pub(super) fn connected(&mut self, session_present: bool) -> Option<Awaited> {
        if session_present {
            self.doubt(false);
            return None;
        }
        self.forget();
        Some(self.sync())
    }

    /// Whether a message has been taken in already, and what its safety hangs on. One that was lost on its way is new.
    pub(super) fn known(&self, id: NonZeroU16) -> Option<Option<Awaited>> {
        let lost = |awaited: &Awaited| awaited.promise() == Promise::Lost;
        self.received.get(&id).filter(|awaited| !awaited.as_ref().is_some_and(lost)).cloned()
    }

    /// The receipt for a message that is taken in. One of QoS 2 is remembered from now on.
    pub(super) fn receipt(&mut self, qos: QoS, id: NonZeroU16) -> (Receipt, Awaited) {
        if qos != QoS::ExactlyOnce {
            return Receipt::new(self.told(), None);
        }
        let session = *self.session.get_or_insert_with(|| self.store.begin_remote(self.row.clone()));
        let (receipt, awaited) = Receipt::new(self.told(), Some(Publication { session, packet_id: id }));
        self.received.insert(id, Some(awaited.clone()));
        (receipt, awaited)
    }

    /// PUBREL. Gives what must be on disk before the remote may use the identifier for another message.
    pub(super) fn released(&mut self, id: NonZeroU16) -> Result<Option<Awaited>, Trouble> {
        let Some(session) = self.session else { return Ok(None) };
        match self.received.get(&id) {
            Some(Some(awaited)) if awaited.promise() == Promise::Open => {
                Err(Trouble::Protocol("a release of what was not acknowledged".to_owned()))
            }
            Some(_) => {
                self.received.remove(&id);
                let (receipt, awaited) = Receipt::new(self.told(), None);
                self.store.forget_received(session, id, receipt);
                Ok(Some(awaited))
            }
            // It was released before, and perhaps that is not on disk yet.
            None => Ok(Some(self.sync())),
        }
    }
}

/// Waits until something is on disk, but not for ever.
pub(super) async fn on_disk(awaited: &Awaited, told: &Notify) {
    let waiting = async {
        while awaited.promise() == Promise::Open {
            told.notified().await;
        }
    };
    // A disk that fails is told of by the store.
    let _ = timeout(STORE_PATIENCE, waiting).await;
}

#[cfg(test)]
mod tests;

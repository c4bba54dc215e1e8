//! Ending the session of a client that is away, because somebody says so.

use super::{Entry, Registry, Will};
use crate::broker::session::Session;

impl Registry {
    /// Takes out the session of a client that is away, with the will that waits with it. None when it is there, or has no
    /// session.
    pub(in crate::broker) fn end_parked(&self, client: &str) -> Option<(Box<Session>, Option<Will>)> {
        let mut clients = self.lock();
        if !matches!(clients.entries.get(client)?, Entry::Parked { .. }) {
            return None;
        }
        match clients.entries.remove(client)? {
            Entry::Parked { session, will, .. } => Some((session, will.map(|(_, will)| will))),
            Entry::Live { .. } => None,
        }
    }
}

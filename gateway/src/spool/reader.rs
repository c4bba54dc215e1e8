//! The one reader's side: batches out, acknowledgements in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::state::State;
use super::{Priority, Shared};

/// A record's place in the spool. A record that is on disk keeps it over restarts. With
/// [`Durability::OnOutage`](super::Durability::OnOutage) records are handed out that are not: after an end that was not
/// [clean](super::Opened::clean), others may get the places of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq {
    /// Its lane.
    pub priority: Priority,
    /// Its number there; one lane's numbers rise in the order of appending.
    pub number: u64,
}

/// A record on its way to the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What to acknowledge it by.
    pub seq: Seq,
    /// What was appended.
    pub bytes: Bytes,
    /// It was handed out before, in this run of the process: the remote may have it.
    pub again: bool,
}

/// Hands records out. There is one at a time; letting it go makes room for another.
pub struct Reader(Arc<Shared>);

impl Reader {
    pub(super) fn of(shared: &Arc<Shared>) -> Option<Self> {
        shared.change(State::begin_reading).then(|| Self(Arc::clone(shared)))
    }

    /// The next records: at least one, at most `messages`, of at most `bytes` together unless the first weighs more.
    /// Waits until there is one. In order, alarms before bulk. A few thousand records and 2 MiB a lane may be under way;
    /// then it waits for acknowledgements. `None` when the spool was closed. Safe to cancel.
    pub async fn next_batch(&mut self, messages: usize, bytes: usize) -> Option<Vec<Record>> {
        loop {
            let (batch, closed) = self.0.change(|state| (state.hand_out(messages, bytes), state.is_closed()));
            if closed {
                return None;
            }
            if !batch.is_empty() {
                return Some(batch);
            }
            // One who is told before it waits is told all the same.
            self.0.more.notified().await;
        }
    }

    /// The remote has it. In any order; the place on disk moves on over those that have none unacknowledged before them.
    /// Says whether it was under way: `false` for one that is acknowledged already, was dropped, or was never handed out.
    pub fn acknowledge(&self, seq: Seq) -> bool {
        let now = (self.0.now)();
        self.0.change(|state| state.acknowledge(seq, now.monotonic))
    }

    /// How long a record has waited since it was appended, by a clock that never jumps; `None` for one that is let go of.
    pub fn waited(&self, seq: Seq) -> Option<Duration> {
        self.0.state().waited(seq, (self.0.now)().monotonic)
    }

    /// Hands out once more, from the beginning, what is not acknowledged: after a connection was lost.
    pub fn rewind(&mut self) {
        self.0.change(State::rewind);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.state().end_reading();
    }
}

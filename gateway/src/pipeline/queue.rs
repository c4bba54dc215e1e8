//! What waits for one stage: a bounded queue between those who hand messages on and the stage's thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;

use super::line::Item;
use super::{Closed, DropReason};
use crate::message::Message;

/// Bytes that wait for one stage. Policy: the sender waits. That can't close a circle, since a stage hands on to later
/// stages alone, and the last of them to the fan-out. A message that is larger waits until the queue is empty.
pub const STAGE_QUEUE_BYTES: u32 = 1024 * 1024;
/// Messages that wait for one stage, each of which counts for at least its share of the bytes.
pub const STAGE_QUEUE: u32 = 512;
/// Messages that a stage is given at once: what waits, and never more than that is waited for.
pub const BATCH: usize = 64;

/// Why [`Queue::take`] returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There are messages.
    Batch,
    /// The time has come, or something else has changed.
    Awoken,
    /// Nothing will ever come again.
    Closed,
}

#[derive(Default)]
struct State {
    items: VecDeque<(Item, u32)>,
    /// The stage's thread sleeps.
    asleep: bool,
    poked: bool,
    closed: bool,
}

/// See the module's head.
pub(super) struct Queue {
    /// What is left of the bytes.
    room: Semaphore,
    state: Mutex<State>,
    awake: Condvar,
}

impl Default for Queue {
    fn default() -> Self {
        let room = Semaphore::new(STAGE_QUEUE_BYTES as usize);
        Self { room, state: Mutex::default(), awake: Condvar::new() }
    }
}

fn weight(message: &Message) -> u32 {
    let bytes = u32::try_from(message.weight()).unwrap_or(u32::MAX);
    bytes.clamp(STAGE_QUEUE_BYTES / STAGE_QUEUE, STAGE_QUEUE_BYTES)
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.asleep) {
            self.awake.notify_one();
        }
    }

    /// Adds a message, when there is room for it.
    pub(super) async fn push(&self, item: Item) -> Result<(), Closed> {
        let weight = weight(&item.message);
        let Ok(permit) = self.room.acquire_many(weight).await else {
            item.ticket.dropped(DropReason::ShuttingDown);
            return Err(Closed);
        };
        permit.forget();
        let mut state = self.lock();
        if state.closed {
            drop(state);
            item.ticket.dropped(DropReason::ShuttingDown);
            return Err(Closed);
        }
        state.items.push_back((item, weight));
        self.wake(&mut state);
        Ok(())
    }

    /// Waits for messages until `until`, and takes what there is.
    pub(super) fn take(&self, batch: &mut Vec<Item>, until: Option<Instant>) -> Taken {
        let mut state = self.lock();
        loop {
            if !state.items.is_empty() {
                let count = state.items.len().min(BATCH);
                let mut room = 0;
                batch.extend(state.items.drain(..count).map(|(item, weight)| {
                    room += weight as usize;
                    item
                }));
                drop(state);
                self.room.add_permits(room);
                return Taken::Batch;
            }
            if state.closed {
                return Taken::Closed;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if std::mem::take(&mut state.poked) || left.is_some_and(|left| left.is_zero()) {
                return Taken::Awoken;
            }
            state.asleep = true;
            state = match left {
                Some(left) => self.awake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.awake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.asleep = false;
        }
    }

    /// Has the stage's thread look around.
    pub(super) fn poke(&self) {
        let mut state = self.lock();
        state.poked = true;
        self.wake(&mut state);
    }

    /// Takes nothing more. What is still in it counts as dropped, and is not acknowledged.
    pub(super) fn close(&self) {
        self.room.close();
        let mut state = self.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.items);
        self.wake(&mut state);
        // Not under the lock: with the last message its stages may go, and with those this very queue is closed.
        drop(state);
        left.into_iter().for_each(|(item, _)| item.ticket.dropped(DropReason::ShuttingDown));
    }

    /// Whether nothing is taken any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }
}

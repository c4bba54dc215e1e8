//! A shelf: messages that a stage could not judge and that are held until it can, in order and bounded.
//!
//! There are two places on it. What *waits* could not be judged because nothing could: it is judged in its order, and before
//! anything that came later. What lies *apart* is a message at which the stage failed while others went well: it is tried
//! again when the stage has changed, one between two batches, and nobody waits for it.
//! A shelf outlives the stage's thread, and by its [`Keeper`] the process. The stage's thread alone puts and takes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::queue::BATCH;
use super::{DropReason, Ticket};
use crate::message::{Message, Receipt};

/// What each message on a shelf counts for at least, so that the bytes bound their number too.
pub const HELD_MIN_BYTES: usize = 256;

/// Why a message was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing can be judged now.
    Waits,
    /// The stage failed at this one.
    Apart,
}

/// Keeps what is on a shelf over a restart.
pub trait Keeper: Send + Sync {
    /// Keeps a message. The receipt is settled when it is safe. Gives the number by which it is let go, which is noted
    /// with what the message leaves behind in the end (see [`Receipt::held`]).
    fn keep(&self, message: &Arc<Message>, held: Held, receipt: Option<Receipt>) -> u64;

    /// Notes that a message lies apart from now on.
    fn set_apart(&self, number: u64);

    /// Keeps a message no longer.
    fn let_go(&self, number: u64);
}

/// A message on a shelf.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) number: u64,
    /// Where it lies or lay.
    pub(super) held: Held,
    pub(super) message: Arc<Message>,
    pub(super) ticket: Ticket,
}

/// Whether shelves are left alone, all of them.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Stages change: what is worked off would keep the line from running empty.
    pub(super) changing: AtomicBool,
    /// Not all outputs are there.
    pub(super) kept: AtomicBool,
}

impl Pause {
    pub(super) fn is_on(&self) -> bool {
        self.changing.load(Ordering::Acquire) || self.kept.load(Ordering::Acquire)
    }
}

#[derive(Debug, Default)]
struct Places {
    waiting: VecDeque<Laid>,
    apart: VecDeque<Laid>,
    /// Those of `apart`, from the front, that are to be tried again.
    again: usize,
    bytes: usize,
    /// Those of `apart`.
    apart_bytes: usize,
}

impl Places {
    /// Whether one that weighs so much finds room. What lies apart may have half of it, or one publisher whose messages
    /// the stage fails at would leave none for all that wait.
    fn have_room(&self, room: usize, weight: usize, held: Held) -> bool {
        self.bytes + weight <= room && (held == Held::Waits || self.apart_bytes + weight <= room / 2)
    }

    fn set_apart(&mut self, laid: Laid) {
        self.apart_bytes += weight(&laid.message);
        self.apart.push_back(laid);
    }
}

/// See the module's head.
pub struct Shelf {
    keeper: Box<dyn Keeper>,
    room: AtomicUsize,
    places: Mutex<Places>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// What is on a shelf at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShelfCounts {
    /// Messages that wait.
    pub waiting: usize,
    /// Messages that lie apart.
    pub apart: usize,
    /// What they weigh together.
    pub bytes: usize,
}

fn weight(message: &Message) -> usize {
    message.weight().max(HELD_MIN_BYTES)
}

impl Shelf {
    /// One with room for so many bytes, and with what an earlier run left, each with its number and its ticket, in order.
    pub(super) fn new(keeper: Box<dyn Keeper>, room: usize, left: Vec<(u64, Held, Arc<Message>, Ticket)>) -> Self {
        let mut places = Places::default();
        for (number, held, message, mut ticket) in left {
            ticket.hold();
            places.bytes += weight(&message);
            let laid = Laid { number, held, message, ticket };
            if held == Held::Waits { places.waiting.push_back(laid) } else { places.set_apart(laid) }
        }
        Self { keeper, room: AtomicUsize::new(room), places: Mutex::new(places) }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it room for so many bytes. What is on it already stays.
    pub fn set_room(&self, bytes: usize) {
        self.room.store(bytes, Ordering::Relaxed);
    }

    /// What is on it.
    pub fn counts(&self) -> ShelfCounts {
        let places = self.lock();
        ShelfCounts { waiting: places.waiting.len(), apart: places.apart.len(), bytes: places.bytes }
    }

    /// Lays a message on it. Where there is no room, it is dropped.
    ///
    /// # Errors
    /// The receipt of a message that was dropped.
    pub(super) fn put(
        &self,
        message: Message,
        mut ticket: Ticket,
        receipt: Option<Receipt>,
        held: Held,
    ) -> Result<(), Option<Receipt>> {
        let mut places = self.lock();
        let weight = weight(&message);
        if !places.have_room(self.room.load(Ordering::Relaxed), weight, held) {
            drop(places);
            ticket.dropped(DropReason::HeldFull);
            return Err(receipt);
        }
        ticket.hold();
        let message = Arc::new(message);
        let number = self.keeper.keep(&message, held, receipt);
        places.bytes += weight;
        let laid = Laid { number, held, message, ticket };
        if held == Held::Waits {
            places.waiting.push_back(laid);
        } else {
            places.set_apart(laid);
        }
        Ok(())
    }

    /// Lets all go that is on it, as dropped. Gives the number of messages.
    pub fn clear(&self) -> usize {
        let Places { waiting, apart, .. } = std::mem::take(&mut *self.lock());
        let all = waiting.into_iter().chain(apart);
        let gone = all.map(|laid| {
            self.keeper.let_go(laid.number);
            laid.ticket.dropped(DropReason::PluginFailed);
        });
        gone.count()
    }

    /// Lays back what was taken, in its order: before all that waits, or apart. What lay apart and has to wait is the next
    /// of those to be tried again.
    pub(super) fn put_back(&self, laid: Vec<(Laid, Held)>) {
        let mut places = self.lock();
        let mut waiting = Vec::new();
        for (mut laid, held) in laid {
            laid.ticket.hold();
            places.bytes += weight(&laid.message);
            match (laid.held, held) {
                (Held::Waits, Held::Waits) => waiting.push(laid),
                (Held::Apart, Held::Waits) => {
                    places.again += 1;
                    places.apart_bytes += weight(&laid.message);
                    places.apart.push_front(laid);
                }
                (was, Held::Apart) => {
                    laid.held = Held::Apart;
                    if was == Held::Waits {
                        self.keeper.set_apart(laid.number);
                    }
                    places.set_apart(laid);
                }
            }
        }
        waiting.into_iter().rev().for_each(|laid| places.waiting.push_front(laid));
    }

    /// All that lies apart is to be tried again.
    pub(super) fn try_again(&self) {
        let mut places = self.lock();
        places.again = places.apart.len();
    }

    /// Whether anything is to be judged before what comes now.
    pub(super) fn waits(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Whether anything is to be judged now at all.
    pub(super) fn is_due(&self) -> bool {
        let places = self.lock();
        !places.waiting.is_empty() || places.again > 0
    }

    /// Takes what is to be judged next: a batch of what waits, or one that lies apart.
    pub(super) fn take(&self) -> Option<(Held, Vec<Laid>)> {
        let mut places = self.lock();
        let waiting = places.waiting.len().min(BATCH);
        let (held, taken): (_, Vec<_>) = if waiting > 0 {
            (Held::Waits, places.waiting.drain(..waiting).collect())
        } else if places.again > 0 {
            places.again -= 1;
            (Held::Apart, places.apart.pop_front().into_iter().collect())
        } else {
            return None;
        };
        let bytes = taken.iter().map(|laid| weight(&laid.message)).sum::<usize>();
        places.bytes -= bytes;
        if held == Held::Apart {
            places.apart_bytes -= bytes;
        }
        Some((held, taken))
    }
}

//! A shelf: messages that a stage could not judge and that are held until it can, in order and bounded.
//!
//! There are two places on it. What *waits* could not be judged because nothing could: it is judged in its order, and before
//! anything that came later. What lies *apart* is a message at which the stage failed while others went well: it is tried
//! again when the stage has changed, one between two batches, and nobody waits for it.
//! A shelf outlives the stage's thread, and by its [`Keeper`] the process. The stage's thread alone puts and takes.
//!
//! The room that a message has on a shelf is its own until it ends or has room on a later one. So what was promised when it
//! was laid down holds on its whole way: where a later shelf is full, it lies there all the same, in the room of the earlier.
//! `room.rs` keeps the accounts.

mod room;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::room::Account;
pub(super) use self::room::Room;
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

/// Names of stages.
pub type Names = Arc<[Arc<str>]>;

/// A message on a shelf, for whoever keeps it over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The message.
    pub message: Arc<Message>,
    /// Why it was not judged.
    pub held: Held,
    /// The stages that it has behind it; `None` where nobody knows. It meets none of them again, in whatever order they
    /// stand when it goes on.
    pub behind: Option<Names>,
}

/// Keeps what is on a shelf over a restart.
pub trait Keeper: Send + Sync {
    /// Keeps a message. The receipt is settled when it is safe. Gives the number by which it is let go, which is noted
    /// with what the message leaves behind in the end (see [`Receipt::held`]).
    fn keep(&self, kept: Kept, receipt: Option<Receipt>) -> u64;

    /// Keeps messages that were kept under these numbers, by this keeper or another, under new ones, in one step.
    fn take_over(&self, moved: Vec<(u64, Kept)>) -> Vec<u64>;

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
}

impl Places {
    fn lay(&mut self, laid: Laid) {
        if laid.held == Held::Waits { self.waiting.push_back(laid) } else { self.apart.push_back(laid) }
    }
}

/// See the module's head.
pub struct Shelf {
    keeper: Box<dyn Keeper>,
    account: Arc<Account>,
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
    /// The room that is taken, also by those that lie on a later shelf because that is full.
    pub bytes: usize,
}

fn weight(message: &Message) -> usize {
    message.weight().max(HELD_MIN_BYTES)
}

impl Shelf {
    /// One with room for so many bytes, and with what an earlier run left, each with its number and its ticket, in order.
    pub(super) fn new(keeper: Box<dyn Keeper>, room: usize, left: Vec<(u64, Kept, Ticket)>) -> Self {
        let account = Arc::new(Account { room: AtomicUsize::new(room), ..Account::default() });
        let mut places = Places::default();
        for (number, Kept { message, held, behind }, mut ticket) in left {
            ticket.hold();
            ticket.behind = behind;
            ticket.room = Some(Room::take(&account, weight(&message), held));
            places.lay(Laid { number, held, message, ticket });
        }
        Self { keeper, account, places: Mutex::new(places) }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it room for so many bytes. What is on it already stays.
    pub fn set_room(&self, bytes: usize) {
        self.account.room.store(bytes, Ordering::Relaxed);
    }

    /// What is on it.
    pub fn counts(&self) -> ShelfCounts {
        let places = self.lock();
        let bytes = self.account.taken.load(Ordering::Relaxed);
        ShelfCounts { waiting: places.waiting.len(), apart: places.apart.len(), bytes }
    }

    /// Lays a message on it. Where there is no room, and it has none on an earlier shelf, it is dropped.
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
        if !self.house(&message, &mut ticket, held) {
            ticket.dropped(DropReason::HeldFull);
            return Err(receipt);
        }
        ticket.hold();
        let message = Arc::new(message);
        let kept = Kept { message: Arc::clone(&message), held, behind: ticket.behind.clone() };
        let number = self.keeper.keep(kept, receipt);
        self.lock().lay(Laid { number, held, message, ticket });
        Ok(())
    }

    /// Takes what is to be laid on another shelf: what `elsewhere` gives something for, in order.
    pub(super) fn take_for<T>(&self, elsewhere: impl Fn(&Laid) -> Option<T>) -> Vec<(Laid, T)> {
        let mut places = self.lock();
        let Places { waiting, apart, again } = std::mem::take(&mut *places);
        let mut taken = Vec::new();
        for (place, laid) in apart.into_iter().enumerate() {
            match elsewhere(&laid) {
                Some(to) => taken.push((laid, to)),
                None => {
                    places.again += usize::from(place < again);
                    places.apart.push_back(laid);
                }
            }
        }
        for laid in waiting {
            match elsewhere(&laid) {
                Some(to) => taken.push((laid, to)),
                None => places.waiting.push_back(laid),
            }
        }
        taken
    }

    /// Lays down what lay on other shelves, and sees that all that waits is in order: of one topic, what has more stages
    /// behind it is older.
    pub(super) fn take_over(&self, moved: Vec<Laid>) {
        let kept = moved.iter().map(|laid| {
            let Laid { number, message, ticket, .. } = laid;
            (*number, Kept { message: Arc::clone(message), held: Held::Waits, behind: ticket.behind.clone() })
        });
        let numbers = self.keeper.take_over(kept.collect());
        let mut places = self.lock();
        for (number, mut laid) in numbers.into_iter().zip(moved) {
            (laid.number, laid.held) = (number, Held::Waits);
            self.house(&laid.message, &mut laid.ticket, Held::Waits);
            places.lay(laid);
        }
        let behind = |laid: &Laid| laid.ticket.behind.as_ref().map_or(usize::MAX, |names| names.len());
        places.waiting.make_contiguous().sort_by_key(|laid| Reverse(behind(laid)));
    }

    /// Finds room for a message here, or lets it keep what it has on an earlier shelf. Says whether it has any.
    fn house(&self, message: &Message, ticket: &mut Ticket, held: Held) -> bool {
        let weight = weight(message);
        let room = Room::find(&self.account, weight, held);
        ticket.room = room.or_else(|| Some(ticket.room.take()?.lend(weight)));
        ticket.room.is_some()
    }

    /// Whether all of its room is taken by what lies on later shelves: what is on it has to wait for those. Else messages
    /// that grow on their way could fill the memory.
    pub(super) fn has_lent_all(&self) -> bool {
        self.account.lent.load(Ordering::Relaxed) > self.account.room.load(Ordering::Relaxed)
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
            match (laid.held, held) {
                (Held::Waits, Held::Waits) => waiting.push(laid),
                (Held::Apart, Held::Waits) => {
                    places.again += 1;
                    places.apart.push_front(laid);
                }
                (was, Held::Apart) => {
                    laid.held = Held::Apart;
                    if was == Held::Waits {
                        self.keeper.set_apart(laid.number);
                        laid.ticket.room.iter_mut().for_each(Room::set_apart);
                    }
                    places.lay(laid);
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
        if waiting > 0 {
            Some((Held::Waits, places.waiting.drain(..waiting).collect()))
        } else if places.again > 0 {
            places.again -= 1;
            Some((Held::Apart, places.apart.pop_front().into_iter().collect()))
        } else {
            None
        }
    }
}

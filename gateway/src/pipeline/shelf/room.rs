//! Room on a shelf: how much there is, and what each message takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::pipeline::Held;

/// How much room a shelf has, and how much of it is taken.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) room: AtomicUsize,
    pub(super) taken: AtomicUsize,
    /// Of that, by what lies apart.
    pub(super) apart: AtomicUsize,
    /// Of that, by what lies on later shelves.
    pub(super) lent: AtomicUsize,
}

/// The room on a shelf that one message has.
#[derive(Debug)]
pub(in crate::pipeline) struct Room {
    account: Arc<Account>,
    bytes: usize,
    held: Held,
    lent: bool,
}

impl Room {
    /// What lies apart may have half of the room, or one publisher whose messages the stage fails at would leave none for
    /// all that wait. None is taken by two at once, since a shelf has one thread.
    pub(super) fn find(account: &Arc<Account>, bytes: usize, held: Held) -> Option<Self> {
        let read = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let room = read(&account.room);
        let fits = read(&account.taken) + bytes <= room;
        let fits = fits && (held == Held::Waits || read(&account.apart) + bytes <= room / 2);
        fits.then(|| Self::take(account, bytes, held))
    }

    /// Takes it whether or not there is so much.
    pub(super) fn take(account: &Arc<Account>, bytes: usize, held: Held) -> Self {
        account.taken.fetch_add(bytes, Ordering::Relaxed);
        let mut room = Self { account: Arc::clone(account), bytes, held: Held::Waits, lent: false };
        if held == Held::Apart {
            room.set_apart();
        }
        room
    }

    pub(super) fn set_apart(&mut self) {
        if std::mem::replace(&mut self.held, Held::Apart) == Held::Waits {
            self.account.apart.fetch_add(self.bytes, Ordering::Relaxed);
        }
    }

    /// Its message, which may weigh more by now, lies on a later shelf.
    pub(super) fn lend(self, weight: usize) -> Self {
        let mut lent = Self::take(&self.account, self.bytes.max(weight), self.held);
        lent.lent = true;
        lent.account.lent.fetch_add(lent.bytes, Ordering::Relaxed);
        lent
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.account.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.held == Held::Apart {
            self.account.apart.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        if self.lent {
            self.account.lent.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

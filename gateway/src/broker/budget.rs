//! Room for what waits: one bound for all clients together.
//!
//! Whoever holds a message for a client holds a [`Room`], and gives it back by dropping it; so nothing is counted twice
//! or forgotten, wherever a message goes. Never decides what to do without room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::stats::Stats;

/// What each client may hold beside the common bound: while others fill that, one that keeps up loses nothing.
const OWN: u64 = 16 * 1024;
/// What a client takes at a time, and gives back at a time, so that not every message is counted where all threads count.
const LOT: u64 = 16 * 1024;

/// What all clients share. How much of it is taken stands in the counters.
#[derive(Debug)]
pub(super) struct Budget {
    limit: AtomicU64,
    stats: Arc<Stats>,
}

impl Budget {
    pub(super) fn new(limit: usize, stats: Arc<Stats>) -> Arc<Self> {
        let budget = Self { limit: AtomicU64::default(), stats };
        budget.set_limit(limit);
        Arc::new(budget)
    }

    /// Sets the limit. What is taken already may stay.
    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit as u64, Ordering::Relaxed);
    }

    /// One client's part of it.
    pub(super) fn purse(self: &Arc<Self>) -> Arc<Purse> {
        Arc::new(Purse { budget: Arc::clone(self), free: AtomicU64::new(OWN) })
    }

    fn take(&self, bytes: u64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let more = |taken: u64| taken.checked_add(bytes).filter(|taken| *taken <= limit);
        self.stats.queue_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// One client's part: what is its own, and what it has taken from the budget and not used.
#[derive(Debug)]
pub(super) struct Purse {
    budget: Arc<Budget>,
    free: AtomicU64,
}

impl Purse {
    /// Room for so many bytes, if there is any.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        let bytes = bytes as u64;
        if self.spend(bytes).is_err() {
            let lot = bytes.max(LOT);
            if self.budget.take(lot) {
                self.free.fetch_add(lot - bytes, Ordering::Relaxed);
            } else if !self.budget.take(bytes) {
                return None;
            }
        }
        Some(Room { purse: Arc::clone(self), bytes })
    }

    /// Room for what was kept over a restart, also beyond the limit.
    pub(super) fn take_anyway(self: &Arc<Self>, bytes: usize) -> Room {
        self.take(bytes).unwrap_or_else(|| {
            let bytes = bytes as u64;
            Stats::add(&self.budget.stats.queue_bytes, bytes);
            Room { purse: Arc::clone(self), bytes }
        })
    }

    fn spend(&self, bytes: u64) -> Result<u64, u64> {
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes))
    }

    fn put_back(&self, bytes: u64) {
        if self.free.fetch_add(bytes, Ordering::Relaxed) + bytes >= OWN + 2 * LOT {
            self.settle();
        }
    }

    /// Gives back what is neither used nor its own.
    pub(super) fn settle(&self) {
        let free = self.free.load(Ordering::Relaxed);
        let over = free.saturating_sub(OWN);
        // Fails when somebody else has just spent of it; then it is in use.
        if over > 0 && self.free.compare_exchange(free, OWN, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            Stats::subtract(&self.budget.stats.queue_bytes, over);
        }
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Room for one message.
#[derive(Debug)]
pub(super) struct Room {
    purse: Arc<Purse>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.purse.put_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &Budget) -> u64 {
        budget.stats.queue_bytes.load(Ordering::Relaxed)
    }

    #[test]
    fn what_is_taken_stays_within_the_limit_and_comes_back_to_nothing() {
        let budget = Budget::new(100_000, Arc::default());
        let (greedy, modest) = (budget.purse(), budget.purse());
        let rooms: Vec<_> = std::iter::from_fn(|| greedy.take(1000)).collect();
        // But for what is too little for one more.
        assert!((114..=116).contains(&rooms.len()), "{}", rooms.len());
        assert!(taken(&budget) <= 100_000);
        // What is its own, nobody takes from the other.
        assert!(modest.take(OWN as usize).is_some() && modest.take(OWN as usize + 1).is_none());
        drop(modest.take_anyway(30_000));
        modest.settle();
        drop(rooms);
        assert!(taken(&budget) < 2 * LOT, "given back in lots: {}", taken(&budget));
        greedy.settle();
        assert_eq!(taken(&budget), 0);
    }

    #[test]
    fn a_client_that_is_gone_leaves_nothing_behind_whoever_is_last() {
        let budget = Budget::new(1 << 20, Arc::default());
        let purse = budget.purse();
        let rooms: Vec<_> = (0..100).map_while(|_| purse.take(1000)).collect();
        drop(purse);
        assert!(taken(&budget) > 0);
        drop(rooms);
        assert_eq!(taken(&budget), 0);
    }

    #[test]
    fn many_threads_leave_the_count_right() {
        let budget = Budget::new(200_000, Arc::default());
        let purse = budget.purse();
        std::thread::scope(|scope| {
            for size in [100, 3000, 20_000, 50_000] {
                let purse = &purse;
                scope.spawn(move || (0..2000).for_each(|n| drop((purse.take(size), purse.take(n)))));
            }
        });
        purse.settle();
        assert_eq!((taken(&budget), purse.free.load(Ordering::Relaxed)), (0, OWN));
    }
}

//! Receipts: whoever published a message learns when it is safe, and nobody on its way waits for the disk.
//!
//! A receipt travels with its message and is cloned for each place that has to keep it. It is fulfilled when all of
//! them have settled theirs. One that is let go unsettled, because its task was cut off, is lost, and so is the
//! promise: what it stands for must not be acknowledged.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The QoS 2 publication that a message came by: noted together with what the message leaves behind, so that a
/// repeated PUBLISH is known for one after a power cut (MQTT 5.0, section 4.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// The publisher's session, by its number in the store.
    pub session: u64,
    /// The publisher's packet identifier.
    pub packet_id: NonZeroU16,
}

#[derive(Debug)]
struct State {
    outstanding: AtomicUsize,
    lost: AtomicBool,
    told: Arc<Notify>,
}

/// One holder's part of a promise; a clone is another part.
#[derive(Debug)]
pub struct Receipt {
    state: Arc<State>,
    settled: bool,
    publication: Option<Publication>,
}

/// The other end: what is promised, for whoever waits.
#[derive(Debug, Clone)]
pub struct Awaited(Arc<State>);

impl Receipt {
    /// Makes both ends; `told` is notified when the promise is fulfilled or lost.
    pub fn new(told: Arc<Notify>, publication: Option<Publication>) -> (Self, Awaited) {
        let state = Arc::new(State { outstanding: AtomicUsize::new(1), lost: AtomicBool::new(false), told });
        (Self { state: Arc::clone(&state), settled: false, publication }, Awaited(state))
    }

    /// The QoS 2 publication that it belongs to.
    pub fn publication(&self) -> Option<Publication> {
        self.publication
    }

    /// Whether somebody still waits for the promise.
    pub fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.state) > self.state.outstanding.load(Ordering::Relaxed)
    }

    /// This holder has done its part.
    pub fn settle(mut self) {
        self.settled = true;
    }
}

impl Clone for Receipt {
    fn clone(&self) -> Self {
        self.state.outstanding.fetch_add(1, Ordering::Relaxed);
        Self { state: Arc::clone(&self.state), settled: false, publication: self.publication }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.settled {
            self.state.lost.store(true, Ordering::Relaxed);
        }
        // Release and Acquire, so that whoever sees none outstanding sees what was lost.
        if self.state.outstanding.fetch_sub(1, Ordering::Release) == 1 {
            self.state.told.notify_one();
        }
    }
}

/// How a promise stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Not everybody has done his part.
    Open,
    /// It is safe.
    Kept,
    /// Somebody was cut off; it never will be.
    Lost,
}

impl Awaited {
    /// How it stands now.
    pub fn promise(&self) -> Promise {
        if self.0.outstanding.load(Ordering::Acquire) > 0 {
            Promise::Open
        } else if self.0.lost.load(Ordering::Relaxed) {
            Promise::Lost
        } else {
            Promise::Kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_when_all_have_done_their_part() {
        let (receipt, awaited) = Receipt::new(Arc::default(), None);
        let other = receipt.clone();
        receipt.settle();
        assert_eq!(awaited.promise(), Promise::Open);
        other.settle();
        assert_eq!(awaited.promise(), Promise::Kept);
    }

    #[test]
    fn a_part_that_is_cut_off_loses_the_whole_promise() {
        let (receipt, awaited) = Receipt::new(Arc::default(), None);
        drop(receipt.clone());
        assert_eq!(awaited.promise(), Promise::Open);
        receipt.settle();
        assert_eq!(awaited.promise(), Promise::Lost);
    }

    #[test]
    fn it_shows_when_nobody_waits_any_more() {
        let (receipt, awaited) = Receipt::new(Arc::default(), None);
        let other = receipt.clone();
        assert!(receipt.is_awaited() && other.is_awaited());
        drop(awaited);
        assert!(!receipt.is_awaited());
    }

    #[tokio::test]
    async fn the_end_is_told() {
        let told = Arc::new(Notify::new());
        let (receipt, awaited) = Receipt::new(Arc::clone(&told), None);
        receipt.settle();
        told.notified().await;
        assert_eq!(awaited.promise(), Promise::Kept);
    }
}

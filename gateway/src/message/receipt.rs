//! Receipts: whoever published a message learns when it is safe, and nobody on its way waits for the disk.
//!
//! A receipt travels with its message and is cloned for each place that has to keep it. It is fulfilled when all of
//! them have settled theirs. One that is let go unsettled, because its task was cut off, is lost, and so is the
//! promise: what it stands for must not be acknowledged.
//!
//! On its way a message may become several. Each then takes a *branch* of the receipt along. A publication of QoS 2 is
//! noted with what the last branch leaves behind: were it noted sooner, a power cut could take the other branches, and
//! the repeated PUBLISH that should bring them back would pass for one that was taken. A branch that is cut off never
//! ends, and then nothing is noted at all.

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

/// What is noted together with what a message leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// That it came.
    Publication(Publication),
    /// That it was held, by its number in the store, and is held no more.
    Held(u64),
}

#[derive(Debug)]
struct State {
    outstanding: AtomicUsize,
    /// Messages under way that came of this one. Never 0: who finds 1 is the last.
    branches: AtomicUsize,
    lost: AtomicBool,
    /// Its message has been given to a stage, and something that came of it has not been handed on yet.
    judged: AtomicBool,
    told: Arc<Notify>,
    note: Option<Note>,
}

/// One holder's part of one promise.
#[derive(Debug)]
struct Part {
    state: Arc<State>,
    settled: bool,
    /// It goes with a message that is under way, and not with a place that keeps one.
    branch: bool,
}

impl Part {
    fn of(state: &Arc<State>, branch: bool) -> Self {
        // The reference first: who compares the two must never find one part too many and take it for nobody waiting.
        let state = Arc::clone(state);
        state.outstanding.fetch_add(1, Ordering::Relaxed);
        if branch {
            state.branches.fetch_add(1, Ordering::Relaxed);
        }
        Self { state, settled: false, branch }
    }

    fn branch(&self) -> Self {
        Self::of(&self.state, self.branch)
    }

    fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.state) > self.state.outstanding.load(Ordering::Relaxed)
    }

    /// Whether nothing else of the message is under way. If something is, this branch is counted out.
    fn is_last(&self) -> bool {
        let less = |branches: usize| (branches > 1).then(|| branches - 1);
        // Acquire and Release, so that what the others left behind comes before what the last one notes.
        self.branch && self.state.branches.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_err()
    }

    fn settle(mut self) {
        self.settled = true;
    }
}

impl Clone for Part {
    fn clone(&self) -> Self {
        Self::of(&self.state, false)
    }
}

impl Drop for Part {
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

/// One holder's part of a promise, or of several; a clone is another part, for a place that keeps the message.
#[derive(Debug, Clone)]
pub struct Receipt {
    first: Part,
    /// Of a message that came of several.
    more: Vec<Part>,
}

/// The other end: what is promised, for whoever waits.
#[derive(Debug, Clone)]
pub struct Awaited(Arc<State>);

impl Receipt {
    /// Makes both ends; `told` is notified when the promise is fulfilled or lost.
    pub fn new(told: Arc<Notify>, publication: Option<Publication>) -> (Self, Awaited) {
        Self::noting(told, publication.map(Note::Publication))
    }

    /// For a message that was held, of which nobody waits any more: that it is held no more is noted with what it leaves
    /// behind.
    pub fn held(number: u64) -> Self {
        Self::noting(Arc::default(), Some(Note::Held(number))).0
    }

    fn noting(told: Arc<Notify>, note: Option<Note>) -> (Self, Awaited) {
        let state = Arc::new(State {
            outstanding: AtomicUsize::new(1),
            branches: AtomicUsize::new(1),
            lost: AtomicBool::new(false),
            judged: AtomicBool::new(false),
            told,
            note,
        });
        let first = Part { state: Arc::clone(&state), settled: false, branch: true };
        (Self { first, more: Vec::new() }, Awaited(state))
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.more)
    }

    fn into_parts(self) -> impl Iterator<Item = Part> {
        std::iter::once(self.first).chain(self.more)
    }

    /// Another part, for another message that comes of this one.
    #[must_use]
    pub fn branch(&self) -> Self {
        Self { first: self.first.branch(), more: self.more.iter().map(Part::branch).collect() }
    }

    /// This and the other in one, for a message that came of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.more.extend(other.into_parts());
        self
    }

    /// Whether something is to be noted with what the message leaves behind. Then a place that keeps it takes a
    /// [`branch`](Self::branch), and [ends](Self::end) it when the message is safe there.
    pub fn notes(&self) -> bool {
        self.parts().any(|part| part.state.note.is_some())
    }

    /// Whether somebody still waits for the promise.
    pub fn is_awaited(&self) -> bool {
        self.parts().any(Part::is_awaited)
    }

    /// Its message is given to a stage, which may take its time.
    pub fn judged(&self) {
        self.parts().for_each(|part| part.state.judged.store(true, Ordering::Relaxed));
    }

    /// This holder has done its part.
    pub fn settle(self) {
        self.into_parts().for_each(Part::settle);
    }

    /// A message has been handed on, or goes nowhere. Settles its part, but gives the last one of what is to be noted (a
    /// publication of QoS 2, the end of a message that was held) to `note`, to be settled when that is done.
    pub fn end(self, mut note: impl FnMut(Note, Self)) {
        for part in self.into_parts() {
            let last = part.is_last();
            if last {
                part.state.judged.store(false, Ordering::Relaxed);
            }
            match part.state.note {
                Some(what) if last => note(what, Self { first: part, more: Vec::new() }),
                _ => part.settle(),
            }
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
    /// Whether a stage has the message, or something that came of it, in its hands: then no disk is to blame.
    pub fn is_judged(&self) -> bool {
        self.0.judged.load(Ordering::Relaxed)
    }

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

    const PUBLICATION: Publication = Publication { session: 7, packet_id: NonZeroU16::MIN };

    /// Ends a branch; says whether it was the last, which then keeps its part.
    fn ends_last(receipt: Receipt) -> Option<Receipt> {
        let mut last = None;
        receipt.end(|note, receipt| {
            assert_eq!(note, Note::Publication(PUBLICATION));
            assert!(last.replace(receipt).is_none());
        });
        last
    }

    #[test]
    fn a_publication_is_noted_with_the_last_branch_and_kept_when_that_is_done() {
        let (receipt, awaited) = Receipt::new(Arc::default(), Some(PUBLICATION));
        let (one, kept) = (receipt.branch(), receipt.clone());
        assert!(ends_last(receipt).is_none(), "one is under way");
        let noted = ends_last(one).unwrap();
        kept.settle();
        assert_eq!(awaited.promise(), Promise::Open);
        noted.settle();
        assert_eq!(awaited.promise(), Promise::Kept);
    }

    #[test]
    fn a_branch_that_is_cut_off_keeps_the_publication_from_being_noted() {
        let (receipt, awaited) = Receipt::new(Arc::default(), Some(PUBLICATION));
        drop(receipt.branch());
        assert!(ends_last(receipt).is_none());
        assert_eq!(awaited.promise(), Promise::Lost);
    }

    #[test]
    fn what_came_of_several_messages_holds_back_all_of_their_promises() {
        let (one, first) = Receipt::new(Arc::default(), None);
        let (two, second) = Receipt::new(Arc::default(), Some(PUBLICATION));
        let both = one.branch().and(two.branch());
        one.settle();
        assert!(ends_last(two).is_none());
        let stored = both.clone();
        let noted = ends_last(both).unwrap();
        assert_eq!((first.promise(), second.promise()), (Promise::Open, Promise::Open));
        stored.settle();
        assert_eq!((first.promise(), second.promise()), (Promise::Kept, Promise::Open));
        noted.settle();
        assert_eq!(second.promise(), Promise::Kept);
    }
}

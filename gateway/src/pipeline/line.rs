//! A line: the stages of one moment, in their order. Every message under way knows its own, so when a line has gone,
//! all that was in it has come through.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::exit::Exit;
use super::shelf::{Laid, Names};
use super::worker::Worker;
use super::{Closed, Fallback, Held, Shelf, Ticket};
use crate::message::{Message, Receipt, Topic, TopicFilter};

/// A stage's place in the line.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) worker: Arc<Worker>,
    pub(super) topics: Vec<TopicFilter>,
    pub(super) fallback: Fallback,
    pub(super) shelf: Option<Arc<Shelf>>,
}

impl Place {
    fn wants(&self, topic: &Topic) -> bool {
        self.topics.iter().any(|filter| filter.matches(topic.as_str()))
    }

    /// Whether a message has been here before it was held at another stage.
    fn is_behind(&self, ticket: &Ticket) -> bool {
        ticket.behind.as_ref().is_some_and(|names| names.contains(self.worker.name()))
    }
}

/// See the module's head.
pub(super) struct Line {
    pub(super) places: Vec<Place>,
    /// For each place, the stages before it.
    before: Vec<Names>,
    pub(super) exit: Arc<Exit>,
    /// Never used: the other end sees it go.
    _alive: oneshot::Sender<()>,
}

/// A message in a stage's queue, or in its hands.
pub(super) struct Item {
    pub(super) message: Message,
    pub(super) ticket: Ticket,
    pub(super) receipt: Option<Receipt>,
    pub(super) line: Arc<Line>,
    /// The stage's place.
    pub(super) at: usize,
    /// It was taken from the stage's shelf: its number, and where it lay.
    pub(super) laid: Option<(u64, Held)>,
}

impl Line {
    /// Makes a line; the receiver ends when nothing is under way in it any more, and nobody can hand it anything.
    pub(super) fn new(places: Vec<Place>, exit: Arc<Exit>) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (alive, gone) = oneshot::channel();
        let names: Vec<_> = places.iter().map(|place| Arc::clone(place.worker.name())).collect();
        let before = (0..places.len()).map(|at| names[..at].into()).collect();
        (Arc::new(Self { places, before, exit, _alive: alive }), gone)
    }

    /// The stages that a message at the place `at` has behind it: those that stand before it, and those that it had behind it
    /// when it was held.
    pub(super) fn behind(&self, at: usize, ticket: &Ticket) -> Option<Names> {
        let before = self.before.get(at)?;
        let earlier = ticket.behind.iter().flat_map(|names| names.iter());
        let mut others = earlier.filter(|name| !before.contains(name)).peekable();
        match others.peek() {
            None => Some(Arc::clone(before)),
            Some(_) => Some(before.iter().chain(others).cloned().collect()),
        }
    }

    /// Hands a message to the first stage from the place `from` on that wants it, or to the exit where none does. Waits
    /// for room there.
    pub(super) async fn hand_on(
        self: &Arc<Self>,
        message: Message,
        ticket: Ticket,
        receipt: Option<Receipt>,
        from: usize,
    ) -> Result<(), Closed> {
        let mut next = self.places.iter().enumerate().skip(from);
        let next = next.find(|(_, place)| place.wants(&message.topic) && !place.is_behind(&ticket));
        match next {
            Some((at, place)) => {
                receipt.iter().for_each(Receipt::judged);
                place
                    .worker
                    .queue()
                    .push(Item { message, ticket, receipt, line: Arc::clone(self), at, laid: None })
                    .await
            }
            None => self.exit.deliver(message, ticket, receipt).await,
        }
    }
}

/// What is held at a stage and has not been at one that stands before it now goes there first, or it would go past that.
pub(super) fn resettle(places: &[Place]) {
    let mut moved: Vec<Vec<Laid>> = places.iter().map(|_| Vec::new()).collect();
    for (at, place) in places.iter().enumerate() {
        let first = |laid: &Laid| {
            let topic = &laid.message.topic;
            let goes =
                |earlier: &Place| earlier.shelf.is_some() && earlier.wants(topic) && !earlier.is_behind(&laid.ticket);
            laid.ticket.behind.as_ref().and_then(|_| places[..at].iter().position(goes))
        };
        for (laid, to) in place.shelf.iter().flat_map(|shelf| shelf.take_for(first)) {
            moved[to].push(laid);
        }
    }
    for (place, moved) in places.iter().zip(moved) {
        if let Some(shelf) = &place.shelf {
            shelf.take_over(moved);
        }
    }
}

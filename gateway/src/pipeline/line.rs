//! A line: the stages of one moment, in their order. Every message under way knows its own, so when a line has gone,
//! all that was in it has come through.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::exit::Exit;
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
}

/// See the module's head.
pub(super) struct Line {
    pub(super) places: Vec<Place>,
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
        (Arc::new(Self { places, exit, _alive: alive }), gone)
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
        let next = self.places.iter().enumerate().skip(from).find(|(_, place)| place.wants(&message.topic));
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

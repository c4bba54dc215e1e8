//! A stage's thread and its shelf: what could not be judged is laid there, and judged when it can be.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::count;
use super::run::{Rider, Run};
use crate::message::{Message, Origin, Receipt};
use crate::pipeline::line::{Item, Line};
use crate::pipeline::shelf::Laid;
use crate::pipeline::{DropReason, Fallback, Held, Processor, Shelf};

/// How often a stage that could judge nothing is asked again.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was taken from the shelf and is to be put back, in order.
pub(super) type Back = Vec<(Laid, Held)>;

impl Run {
    fn shelf(&self) -> Option<(Arc<Line>, usize, Arc<Shelf>)> {
        let (line, at) = self.line()?;
        let shelf = Arc::clone(line.places.get(at)?.shelf.as_ref()?);
        Some((line, at, shelf))
    }

    /// Whether what waits would come off the shelf. It does where a stage that broke holds nothing.
    fn is_ready(&mut self, fallback: Fallback) -> bool {
        let ready = |processor: &mut Option<Box<dyn Processor>>| {
            processor.as_ref().map_or(fallback != Fallback::Hold, |processor| processor.is_ready())
        };
        self.call(ready).unwrap_or_default()
    }

    /// Whether messages that have just come must go behind others that wait.
    pub(super) fn must_wait(&self, batch: &[Item]) -> bool {
        let shelf = batch.first().and_then(|item| item.line.places.get(item.at)?.shelf.as_ref());
        shelf.is_some_and(|shelf| shelf.waits())
    }

    /// When the shelf is to be looked at again, if anything on it is to be judged.
    pub(super) fn look_again_at(&self) -> Option<Instant> {
        if self.shared.pause.is_on() {
            return None;
        }
        let (.., shelf) = self.shelf()?;
        shelf.is_due().then(|| self.patient_until.unwrap_or_else(Instant::now))
    }

    /// Judges what waits on the shelf, a batch at a time, and of what lies apart one. Whether it is to be asked again
    /// before anything new is judged.
    pub(super) fn judge_held(&mut self, waker: &Waker) -> bool {
        if self.shared.pause.is_on() {
            return false;
        }
        let Some((line, at, shelf)) = self.shelf() else { return false };
        if std::mem::take(&mut self.took_over) {
            shelf.try_again();
            self.patient_until = None;
        }
        let now = Instant::now();
        if !shelf.is_due() || self.patient_until.is_some_and(|until| now < until) || self.shared.queue.is_closed() {
            return false;
        }
        self.patient_until = None;
        let fallback = line.places.get(at).map_or(Fallback::Drop, |place| place.fallback);
        if shelf.has_lent_all() || !self.is_ready(fallback) {
            self.patient_until = Some(now + PATIENCE);
            return false;
        }
        let Some((held, taken)) = shelf.take() else { return false };
        let mut batch = taken.into_iter().map(|laid| laid.item(&line, at)).collect();
        self.judge(&mut batch, held == Held::Apart, waker);
        let more = shelf.waits();
        if held == Held::Waits && !more {
            log::info!(stage = &*self.shared.name; "all that was held until a stage could judge it has been judged");
        }
        more && self.patient_until.is_none()
    }

    /// Lays a message on the shelf without asking about it.
    pub(super) fn hold(&mut self, item: Item) {
        let (message, rider) = item.apart();
        count(&self.shared.figures.taken, 1);
        self.lay(message, rider, Held::Waits, &mut Vec::new());
    }

    /// Lays a message on the shelf. What was taken from there goes to `back`.
    pub(super) fn lay(&self, message: Message, rider: Rider, held: Held, back: &mut Back) {
        let Rider { mut ticket, receipt, line, at, laid } = rider;
        let Some(shelf) = line.places.get(at).and_then(|place| place.shelf.as_ref()) else {
            count(&self.shared.figures.dropped, 1);
            ticket.dropped(DropReason::PluginFailed);
            return line.exit.end(receipt);
        };
        if let Some((number, lay)) = laid {
            // Its receipt stands for the end of its being held, which has not come.
            return back.push((Laid { number, held: lay, message: Arc::new(message), ticket }, held));
        }
        ticket.behind = line.behind(at, &ticket);
        let first = held == Held::Waits && !shelf.waits();
        let made = matches!(message.origin, Origin::Plugin(_));
        if let Err(receipt) = shelf.put(message, ticket, receipt, held) {
            count(&self.shared.figures.dropped, 1);
            // Whoever published it may send it again. Of what a plugin made nobody can, and what else came of the same
            // publication may have been delivered.
            return if made { line.exit.end(receipt) } else { drop(receipt) };
        }
        count(&self.shared.figures.held, 1);
        if first {
            log::warn!(stage = &*self.shared.name; "a stage can judge nothing now; messages are held until it can");
        }
    }

    /// Puts back what was taken from the shelf and could not be judged.
    pub(super) fn lay_back(&mut self, line: &Line, at: usize, back: Back) {
        let Some(shelf) = line.places.get(at).and_then(|place| place.shelf.as_ref()) else { return };
        if back.iter().any(|(_, held)| *held == Held::Waits) {
            self.patient_until = Some(Instant::now() + PATIENCE);
        }
        shelf.put_back(back);
    }
}

impl Laid {
    /// On its way again, from the stage where it was held.
    fn item(self, line: &Arc<Line>, at: usize) -> Item {
        let Self { number, held, message, mut ticket } = self;
        ticket.resume();
        let receipt = Some(Receipt::held(number));
        let message = Arc::unwrap_or_clone(message);
        Item { message, ticket, receipt, line: Arc::clone(line), at, laid: Some((number, held)) }
    }
}

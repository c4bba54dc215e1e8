//! The stage's thread: takes what waits, has it judged, hands each message on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use super::held::Back;
use super::{Shared, count, lock};
use crate::message::{Message, Receipt};
use crate::pipeline::line::{Item, Line};
use crate::pipeline::queue::Taken;
use crate::pipeline::{DropReason, Fallback, Held, Judged, Processor, Ticket, Verdict};

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, which has no runtime. Spurious wakes cost a turn and nothing else.
fn wait_for<F: Future>(waker: &Waker, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// The thread's own.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    /// `None` when it broke.
    pub(super) processor: Option<Box<dyn Processor>>,
    /// Another processor has taken over, or the first: what is on the shelf may fare better.
    pub(super) took_over: bool,
    /// Until when the shelf is left alone, since nothing could be judged.
    pub(super) patient_until: Option<Instant>,
}

impl Run {
    pub(super) fn run(mut self) {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut batch = Vec::new();
        loop {
            self.make_way();
            if self.judge_held(&waker) {
                continue;
            }
            let ticks = self.due();
            let due = ticks.into_iter().chain(self.look_again_at()).min();
            match self.shared.queue.take(&mut batch, due) {
                Taken::Batch => {
                    // What came after a replacement is the successor's.
                    self.make_way();
                    if self.must_wait(&batch) {
                        batch.drain(..).for_each(|item| self.hold(item));
                    } else {
                        self.judge(&mut batch, false, &waker);
                    }
                }
                Taken::Awoken => {}
                Taken::Closed => break,
            }
            if ticks.is_some_and(|due| due <= Instant::now()) {
                self.tick(&waker);
            }
        }
        self.call(|processor| drop(processor.take()));
    }

    /// Between two batches: lets a successor take over.
    fn make_way(&mut self) {
        let successor = lock(&self.shared.successor).take();
        if let Some(successor) = successor {
            self.call(|processor| drop(processor.replace(successor)));
            self.shared.figures.broken.store(false, Ordering::Relaxed);
            self.took_over = true;
        }
    }

    /// Calls what is not ours, so that its panic is not ours either. One that panicked is not called again: what it left
    /// behind may be half done.
    pub(super) fn call<R>(&mut self, what: impl FnOnce(&mut Option<Box<dyn Processor>>) -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(|| what(&mut self.processor))) {
            Ok(result) => Some(result),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                self.set_aside(&text.unwrap_or_else(|| "no message".to_owned()));
                None
            }
        }
    }

    fn set_aside(&mut self, why: &str) {
        count(&self.shared.figures.failures, 1);
        self.shared.figures.broken.store(true, Ordering::Relaxed);
        log::error!(stage = &*self.shared.name, error = why; "a stage broke and is set aside; its messages follow on-failure");
        let broken = self.processor.take();
        // One that panics again when it goes has been told of.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(broken)));
    }

    pub(super) fn line(&self) -> Option<(Arc<Line>, usize)> {
        let (line, at) = &*lock(&self.shared.line);
        Some((line.upgrade()?, *at))
    }

    fn due(&mut self) -> Option<Instant> {
        self.line()?;
        self.call(|processor| processor.as_ref().and_then(|processor| processor.tick_at())).flatten()
    }

    fn tick(&mut self, waker: &Waker) {
        // Held meanwhile, so that whoever waits for the line to run empty waits for this too.
        let Some((line, at)) = self.line() else { return };
        let added = self.call(|processor| processor.as_mut().map(|processor| processor.tick())).flatten();
        self.add(&line, at, added.unwrap_or_default(), None, waker);
    }

    /// Judges a batch; `again`: it is one message that lay apart.
    pub(super) fn judge(&mut self, batch: &mut Vec<Item>, again: bool, waker: &Waker) {
        count(&self.shared.figures.taken, batch.len());
        let (messages, riders): (Vec<_>, Vec<_>) = batch.drain(..).map(Item::apart).unzip();
        let Some((line, at)) = riders.first().map(|rider: &Rider| (Arc::clone(&rider.line), rider.at)) else { return };
        let judged = self.call(|processor| {
            processor.as_mut().map(|processor| match &messages[..] {
                [message] if again => processor.judge_again(message),
                _ => processor.process(&messages),
            })
        });
        let judged = judged.flatten();
        let Judged { mut verdicts, added, remembered } = judged.unwrap_or_default();
        if self.processor.is_some() && verdicts.len() != messages.len() {
            self.set_aside(&format!("{} verdicts for {} messages", verdicts.len(), messages.len()));
            verdicts.clear();
        }
        let fallback = line.places.get(at).map_or(Fallback::Drop, |place| place.fallback);
        verdicts.resize_with(messages.len(), || match fallback {
            Fallback::Pass => Verdict::Pass,
            Fallback::Drop => Verdict::Drop(DropReason::PluginFailed),
            Fallback::Hold => Verdict::Hold(Held::Waits),
        });
        if remembered {
            self.sync(&riders);
        }
        // What was added came of the whole batch, so whoever waits for one of it waits for that too.
        let held = (!added.is_empty()).then(|| riders.iter().filter_map(|rider| rider.receipt.as_ref()));
        let held = held.and_then(|receipts| receipts.map(Receipt::branch).reduce(Receipt::and));
        let mut back = Vec::new();
        for ((message, rider), verdict) in messages.into_iter().zip(riders).zip(verdicts) {
            self.follow(verdict, message, rider, &mut back, waker);
        }
        self.lay_back(&line, at, back);
        self.add(&line, at, added, held, waker);
    }

    /// Whoever waits for a message of the batch waits for what the batch changed too.
    fn sync(&mut self, riders: &[Rider]) {
        let waiting = riders.iter().filter_map(|rider| rider.receipt.clone()).reduce(Receipt::and);
        if let Some(waiting) = waiting {
            // One that panics loses the promise.
            self.call(|processor| processor.as_mut().map(|processor| processor.sync(waiting)));
        }
    }

    /// Does with a message what the verdict says. One that is to be held and came from the shelf goes to `back`.
    fn follow(&self, verdict: Verdict, message: Message, rider: Rider, back: &mut Back, waker: &Waker) {
        let figures = &self.shared.figures;
        rider.line.exit.hops.judged(&message, &self.shared.name, &verdict);
        let Rider { ticket, receipt, line, at, laid } = rider;
        let message = match verdict {
            Verdict::Pass => {
                count(&figures.passed, 1);
                message
            }
            Verdict::Modify(changed) => {
                count(&figures.modified, 1);
                changed
            }
            Verdict::Filter => {
                count(&figures.filtered, 1);
                ticket.filtered();
                return line.exit.end(receipt);
            }
            Verdict::Drop(reason) => {
                count(&figures.dropped, 1);
                ticket.dropped(reason);
                return line.exit.end(receipt);
            }
            Verdict::Hold(held) => return self.lay(message, Rider { ticket, receipt, line, at, laid }, held, back),
            Verdict::Replace(several) => {
                count(&figures.replaced, 1);
                ticket.filtered();
                return self.add(&line, at, several, receipt, waker);
            }
        };
        // Fails only when the gateway is stopping; the message has been counted then, and its receipt is lost.
        let _ = wait_for(waker, line.hand_on(message, ticket, receipt, at + 1));
    }

    /// Hands on what the stage made; `receipt` is that of what it was made of.
    fn add(&self, line: &Arc<Line>, at: usize, several: Vec<Message>, receipt: Option<Receipt>, waker: &Waker) {
        count(&self.shared.figures.added, several.len());
        for message in several {
            line.exit.hops.made(&message, &self.shared.name);
            let branch = receipt.as_ref().map(Receipt::branch);
            let _ = wait_for(waker, line.hand_on(message, line.exit.ledger.add(), branch, at + 1));
        }
        line.exit.end(receipt);
    }
}

/// What goes with a message while it is judged.
pub(super) struct Rider {
    pub(super) ticket: Ticket,
    pub(super) receipt: Option<Receipt>,
    pub(super) line: Arc<Line>,
    pub(super) at: usize,
    pub(super) laid: Option<(u64, Held)>,
}

impl Item {
    pub(super) fn apart(self) -> (Message, Rider) {
        let Self { message, ticket, receipt, line, at, laid } = self;
        (message, Rider { ticket, receipt, line, at, laid })
    }
}

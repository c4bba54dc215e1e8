//! A stage's thread: takes what waits, has it judged, hands each message on. `held.rs`: what it lays on its shelf.

mod held;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::Instant;

use tokio::sync::oneshot;

use self::held::Back;
use super::line::{Item, Line};
use super::queue::{Queue, Taken};
use super::shelf::Pause;
use super::{DropReason, Fallback, Held, Judged, Processor, Verdict};
use crate::message::{Message, Receipt};

/// What a stage has done so far.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) taken: AtomicU64,
    pub(super) passed: AtomicU64,
    pub(super) modified: AtomicU64,
    pub(super) filtered: AtomicU64,
    pub(super) replaced: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) added: AtomicU64,
    pub(super) failures: AtomicU64,
    /// The processor broke, and is not asked any more.
    pub(super) broken: AtomicBool,
}

fn count(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread shares with others.
struct Shared {
    name: Arc<str>,
    queue: Queue,
    /// What takes over before the next batch.
    successor: Mutex<Option<Box<dyn Processor>>>,
    /// Where a message goes that comes of no other: the line, and the stage's place in it.
    line: Mutex<(Weak<Line>, usize)>,
    pause: Arc<Pause>,
    figures: Figures,
}

/// A stage as the others see it. Its thread ends with the last handle.
pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<(JoinHandle<()>, oneshot::Receiver<()>)>>,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(
        name: &Arc<str>,
        processor: Box<dyn Processor>,
        pause: Arc<Pause>,
    ) -> std::io::Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            name: Arc::clone(name),
            queue: Queue::default(),
            successor: Mutex::default(),
            line: Mutex::default(),
            pause,
            figures: Figures::default(),
        });
        let (ending, ended) = oneshot::channel::<()>();
        let run = Run { shared: Arc::clone(&shared), processor: Some(processor), took_over: true, patient_until: None };
        let thread = std::thread::Builder::new().name(name.to_string()).spawn(move || {
            run.run();
            drop(ending);
        })?;
        Ok(Arc::new(Self { shared, thread: Mutex::new(Some((thread, ended))) }))
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// Has `processor` take over: whatever is handed to the stage from now on, it judges.
    pub(super) fn replace(&self, processor: Box<dyn Processor>) {
        let unused = lock(&self.shared.successor).replace(processor);
        drop(unused);
        self.shared.queue.poke();
    }

    /// Tells the stage its place.
    pub(super) fn stand_in(&self, line: &Arc<Line>, at: usize) {
        *lock(&self.shared.line) = (Arc::downgrade(line), at);
        self.shared.queue.poke();
    }

    /// Ends the thread when it has done what it is at, and waits for that.
    pub(super) async fn end(&self) {
        self.shared.queue.close();
        let thread = lock(&self.thread).take();
        let Some((thread, ended)) = thread else { return };
        // Ends with an error, since nothing is ever sent.
        let _ = ended.await;
        // It has nothing left to do, so this does not block; a panic in it has been told of.
        let _ = thread.join();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

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
struct Run {
    shared: Arc<Shared>,
    /// `None` when it broke.
    processor: Option<Box<dyn Processor>>,
    /// Another processor has taken over, or the first: what is on the shelf may fare better.
    took_over: bool,
    /// Until when the shelf is left alone, since nothing could be judged.
    patient_until: Option<Instant>,
}

impl Run {
    fn run(mut self) {
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
    fn call<R>(&mut self, what: impl FnOnce(&mut Option<Box<dyn Processor>>) -> R) -> Option<R> {
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

    fn line(&self) -> Option<(Arc<Line>, usize)> {
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
    fn judge(&mut self, batch: &mut Vec<Item>, again: bool, waker: &Waker) {
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
            let branch = receipt.as_ref().map(Receipt::branch);
            let _ = wait_for(waker, line.hand_on(message, line.exit.ledger.add(), branch, at + 1));
        }
        line.exit.end(receipt);
    }
}

/// What goes with a message while it is judged.
struct Rider {
    ticket: super::Ticket,
    receipt: Option<Receipt>,
    line: Arc<Line>,
    at: usize,
    laid: Option<(u64, Held)>,
}

impl Item {
    fn apart(self) -> (Message, Rider) {
        let Self { message, ticket, receipt, line, at, laid } = self;
        (message, Rider { ticket, receipt, line, at, laid })
    }
}

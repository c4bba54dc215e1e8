//! A stage's thread, as the others see it. `run.rs`: what the thread does; `held.rs`: what it lays on its shelf.

mod held;
mod run;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use self::run::Run;
use super::Processor;
use super::line::Line;
use super::queue::Queue;
use super::shelf::Pause;

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

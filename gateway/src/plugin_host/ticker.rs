//! The beat by which running plugins look at their budgets.
//!
//! One thread for all plugins. It is parked while none runs, so an idle gateway is not woken by it; it goes on for a while
//! after the last call, since waking it costs more than most calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// How often running plugins look at their budgets.
pub(super) const BEAT: Duration = Duration::from_millis(1);
/// Beats without a call until the thread is parked.
const QUIET_BEATS: u32 = 50;

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    /// Whether a call began since the last beat.
    called: AtomicBool,
    parked: AtomicBool,
    ended: AtomicBool,
    beats: AtomicU64,
}

/// The thread, which ends with this.
#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

/// A call is under way as long as this is held.
pub(super) struct Running<'a>(&'a Shared);

impl Ticker {
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let mine = Arc::clone(&shared);
        let handle = std::thread::Builder::new().name("plugin-ticker".into()).spawn(move || mine.run(&engine))?;
        Ok(Self { shared, thread: handle.thread().clone(), handle: Some(handle) })
    }

    /// A call begins.
    pub(super) fn run(&self) -> Running<'_> {
        let shared = &*self.shared;
        // Counted first and looked at then, while the thread does it the other way round: one of both sees the other.
        shared.running.fetch_add(1, Ordering::SeqCst);
        if shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(shared)
    }

    /// Beats so far: a clock that costs nothing to read.
    pub(super) fn beats(&self) -> u64 {
        self.shared.beats.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn parked(&self) -> bool {
        self.shared.parked.load(Ordering::SeqCst)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.called.store(true, Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn run(&self, engine: &Engine) {
        let mut quiet = 0;
        while !self.ended.load(Ordering::SeqCst) {
            std::thread::sleep(BEAT);
            engine.increment_epoch();
            self.beats.fetch_add(1, Ordering::Relaxed);
            let busy = self.called.swap(false, Ordering::Relaxed) || self.running.load(Ordering::SeqCst) > 0;
            quiet = if busy { 0 } else { quiet + 1 };
            if quiet >= QUIET_BEATS {
                self.park();
                quiet = 0;
            }
        }
    }

    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        // `park` may return for no reason.
        while self.running.load(Ordering::SeqCst) == 0 && !self.ended.load(Ordering::SeqCst) {
            std::thread::park();
            if self.called.load(Ordering::Relaxed) {
                break;
            }
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            // It has nothing to say; a panic of it has been reported.
            let _ = handle.join();
        }
    }
}

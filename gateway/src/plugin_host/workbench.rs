//! One plugin outside of any pipeline, asked call by call, for whoever tries it out.
//!
//! The instance, its limits and the checks of its answers are those of the messages' way. There are no retries and no
//! quarantine: what a call fails of is told. Time stands still unless it is set, so that what was played once can be
//! played again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::answer::{Outcome, Outgoing};
use super::budget::thread_time;
use super::failure::{Failure, FailureKind};
use super::imports::clock::Clock;
use super::imports::log::{Gate, Notepad};
use super::instance::Instance;
use super::kv::Kv;
use super::sandbox::Loaded;
use super::state::Own;
use super::terms::Terms;
use crate::message::{Message, Origin};
use crate::pipeline::Stamp;

/// What a plugin says of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// It goes on as it is.
    Pass,
    /// It ends, for this reason.
    Drop(String),
    /// It goes on like this.
    Modify(Message),
    /// These go on instead.
    Replace(Vec<Message>),
    /// The plugin can't judge it, for this reason.
    Reject(String),
}

/// A plugin and what it remembers.
pub struct Workbench {
    loaded: Loaded,
    own: Arc<Own>,
    stamp: Stamp,
    instance: Option<Instance>,
    emitted: Vec<Message>,
    cpu: Duration,
}

impl std::fmt::Debug for Workbench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workbench").field("name", &self.own.terms.name).finish_non_exhaustive()
    }
}

impl Workbench {
    /// A plugin that remembers nothing yet. `now`: microseconds since 1970.
    pub fn new(loaded: Loaded, terms: Terms, now: u64) -> Self {
        Self::with(loaded, terms, now, None)
    }

    /// The same, whose lines go to whoever asks for them and not into the log.
    pub fn listening(loaded: Loaded, terms: Terms, now: u64) -> Self {
        Self::with(loaded, terms, now, Some(Notepad::default()))
    }

    fn with(loaded: Loaded, terms: Terms, now: u64, notepad: Option<Notepad>) -> Self {
        let (clock, gate) = (Clock::Played(AtomicU64::new(now)), Gate::new(Instant::now()));
        let own = Own { terms, status: Arc::default(), kv: Kv::default(), gate, notepad, clock };
        let cpu = Duration::ZERO;
        Self { loaded, own: Arc::new(own), stamp: Stamp::new(0), instance: None, emitted: Vec::new(), cpu }
    }

    /// Lets time go by until `now`, in microseconds since 1970. What is kept for a while ages with it.
    pub fn set_now(&self, now: u64) {
        if let Clock::Played(clock) = &self.own.clock {
            let before = clock.swap(now, Ordering::Relaxed);
            self.own.kv.age(Duration::from_micros(now.saturating_sub(before)));
        }
    }

    /// Makes an instance, in the place of any that is there.
    ///
    /// # Errors
    /// What its start failed of.
    pub fn start(&mut self) -> Result<(), Failure> {
        self.instance = None;
        let before = thread_time();
        let made = Instance::make(&self.loaded, &self.own);
        self.cpu = thread_time().saturating_sub(before);
        let (instance, emitted) = made?;
        self.instance = Some(instance);
        self.emit(emitted);
        Ok(())
    }

    /// One call with these messages: what is said of each, in order.
    ///
    /// # Errors
    /// What the call failed of. The next one finds a new instance then.
    pub fn judge(&mut self, batch: &[Message]) -> Result<Vec<Judgement>, Failure> {
        let sandbox = Arc::clone(&self.loaded.sandbox);
        let answer = self.call(|instance| instance.process(&sandbox, batch))?;
        let mut decisions = answer.decisions.into_iter().peekable();
        let said = batch.iter().enumerate().map(|(index, message)| {
            let decision = decisions.next_if(|(decided, _)| *decided == index);
            self.judgement(message, decision.map(|(_, outcome)| outcome))
        });
        let said = said.collect();
        self.emit(answer.emitted);
        Ok(said)
    }

    fn judgement(&self, message: &Message, outcome: Option<Outcome>) -> Judgement {
        match outcome {
            None => Judgement::Pass,
            Some(Outcome::Filter(why)) => Judgement::Drop(why),
            Some(Outcome::Modify(change)) => Judgement::Modify(change.apply(message)),
            Some(Outcome::Replace(drafts)) => {
                Judgement::Replace(drafts.into_iter().map(|draft| self.stamped(draft)).collect())
            }
            Some(Outcome::Reject(why)) => Judgement::Reject(why),
        }
    }

    /// Its period has gone by: what it makes.
    ///
    /// # Errors
    /// What the call failed of.
    pub fn tick(&mut self) -> Result<Vec<Message>, Failure> {
        let sandbox = Arc::clone(&self.loaded.sandbox);
        let (made, emitted) = self.call(|instance| instance.tick(&sandbox))?;
        self.emit(emitted);
        Ok(made.into_iter().map(|draft| self.stamped(draft)).collect())
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Instance) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.instance.is_none() {
            self.start()?;
        }
        let instance =
            self.instance.as_mut().ok_or_else(|| Failure::new(FailureKind::Start, "there is no instance"))?;
        let before = thread_time();
        let given = call(instance);
        self.cpu = thread_time().saturating_sub(before);
        if given.as_ref().is_err_and(|failure| !failure.kind.leaves_the_instance()) {
            self.instance = None;
        }
        given
    }

    fn emit(&mut self, emitted: Vec<Outgoing>) {
        let stamped: Vec<_> = emitted.into_iter().map(|draft| self.stamped(draft)).collect();
        self.emitted.extend(stamped);
    }

    fn stamped(&self, draft: Outgoing) -> Message {
        draft.stamped(&self.stamp, Origin::Plugin(Arc::clone(&self.own.terms.name)))
    }

    /// What it published besides since this was last asked.
    pub fn take_emitted(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.emitted)
    }

    /// What it logged since this was last asked, if this listens.
    pub fn take_lines(&self) -> Vec<(log::Level, String)> {
        self.own.notepad.as_ref().map(Notepad::take).unwrap_or_default()
    }

    /// CPU time of the last call or start.
    pub fn cpu(&self) -> Duration {
        self.cpu
    }

    /// Bytes of its memories; 0 while there is no instance.
    pub fn memory(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::memory)
    }
}

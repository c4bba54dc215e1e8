//! A plugin as a stage of the pipeline: judges batches, and sees that a failure hurts only the message that causes it.
//!
//! A batch that fails is tried again message by message, on a new instance: the one that fails alone is the guilty one and
//! goes by `on-failure`, the others are judged as ever. Halves would find it with more failing calls, each of which may cost
//! the whole budget. What a failed call changed did not happen, so nothing counts twice.

mod verdicts;

use std::sync::Arc;
use std::time::Instant;

use super::budget::thread_time;
use super::failure::{Failure, FailureKind};
use super::imports::clock::Clock;
use super::imports::log::Gate;
use super::instance::{BATCH, Instance};
use super::kv::Kv;
use super::quarantine::Quarantine;
use super::sandbox::{Loaded, Sandbox};
use super::state::Own;
use super::status::{Health, Report, Status};
use super::terms::Terms;
use crate::config::OnFailure;
use crate::message::{Message, Receipt};
use crate::pipeline::{DropReason, Held, Judged, Processor, Stamp, Verdict};

/// The share of a plugin's memory that the messages of one call may take: lowering needs room besides.
const BATCH_SHARE: usize = 8;

/// One plugin. Lives on the thread of its stage.
pub struct Plugin {
    loaded: Loaded,
    own: Arc<Own>,
    stamp: Stamp,
    quarantine: Quarantine,
    instance: Option<Instance>,
    next_tick: Option<Instant>,
    /// Messages that one call may have: halved when a batch was too much, and one more after each call with so many.
    at_once: usize,
    /// The most that it ever is.
    most_at_once: usize,
    /// The message that it judges lay apart, since it failed at it before.
    again: bool,
    /// A message of this batch has to wait, and so do those behind it.
    waits: bool,
    /// The beat at which its CPU time was noted last.
    noted: u64,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.own.terms.name).finish_non_exhaustive()
    }
}

impl Plugin {
    /// A plugin that is not started yet. `kv` is what it remembers, of an earlier version of it perhaps.
    pub fn new(loaded: Loaded, terms: Terms, stamp: Stamp, kv: Kv) -> Self {
        let now = Instant::now();
        let quarantine = Quarantine::new(terms.limits.failures, terms.limits.within);
        let next_tick = terms.tick.filter(|_| loaded.ticks()).and_then(|period| now.checked_add(period));
        // Alone, each message has the same fuel whatever comes with it.
        let most_at_once = if terms.limits.fuel.is_some() { 1 } else { BATCH };
        let own =
            Own { terms, status: Arc::default(), kv, gate: Gate::new(now), notepad: None, clock: Clock::Machine(now) };
        let (instance, at_once) = (None, most_at_once);
        Self {
            loaded,
            own: Arc::new(own),
            stamp,
            quarantine,
            instance,
            next_tick,
            at_once,
            most_at_once,
            again: false,
            waits: false,
            noted: 0,
        }
    }

    /// How it is, for operators.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.own.status)
    }

    /// Starts it on trial, so that wrong settings show at once. Its predecessor may still judge: nothing of this comes true,
    /// and the first batch or tick starts it anew.
    ///
    /// # Errors
    /// What it failed of, for people.
    pub fn start(&self) -> Result<(), String> {
        if self.loaded.ticks() && self.own.terms.tick.is_none() {
            return Err("it acts as time goes by: set `tick`".into());
        }
        let tried = Instance::trial(&self.loaded, &self.own);
        self.started(&tried);
        tried.map_err(|failure| failure.text)
    }

    /// Sees that there is an instance. What its `configure` emitted goes on with the others' messages.
    fn ready(&mut self, added: &mut Vec<Message>) -> Result<(), Failure> {
        if self.instance.is_some() {
            return Ok(());
        }
        let started = Instance::start(&self.loaded, &self.own);
        self.started(&started);
        self.own.status.edit(|report| report.instances += 1);
        let (instance, emitted) = started?;
        self.add(emitted, added);
        self.own.status.edit(|report| report.memory = instance.memory());
        self.instance = Some(instance);
        Ok(())
    }

    fn started<T>(&self, started: &Result<T, Failure>) {
        let health = if started.is_ok() { Health::Ready } else { Health::Failing };
        self.own.status.edit(|report| report.health = health);
    }

    /// One call. After a failure that leaves the instance in an unknown state, the instance is gone. One that ends well is
    /// noted where its outcome is, since each look at the report costs a call some per cent.
    fn call<T>(
        &mut self,
        added: &mut Vec<Message>,
        call: impl FnOnce(&mut Instance, &Sandbox) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let given = self.ready(added).and_then(|()| match &mut self.instance {
            Some(instance) => call(instance, &self.loaded.sandbox),
            None => Err(Failure::new(FailureKind::Start, "there is no instance")),
        });
        if let Err(failure) = &given {
            self.own.status.edit(|report| self.called(report));
            self.own.status.failed(failure);
            if !failure.kind.leaves_the_instance() {
                self.instance = None;
            }
        }
        given
    }

    /// Notes a call.
    fn called(&self, report: &mut Report) {
        report.calls += 1;
        report.memory = self.instance.as_ref().map_or(0, Instance::memory);
    }

    /// Judges messages that fit into one call. Whether it managed.
    fn judge(&mut self, batch: &[Message], judged: &mut Judged) -> bool {
        if self.left_alone() {
            self.own.status.edit(|report| report.skipped += batch.len() as u64);
            self.fail(batch, Held::Waits, judged);
            return false;
        }
        match self.call(&mut judged.added, |instance, sandbox| instance.process(sandbox, batch)) {
            Ok(answer) => {
                if batch.len() >= self.at_once {
                    self.at_once = (self.at_once + 1).min(self.most_at_once);
                }
                self.decided(batch, answer, judged);
                true
            }
            Err(failure) if batch.len() == 1 || !failure.may_be_one_message() => {
                self.incident(&failure);
                self.own.status.edit(|report| report.failed += batch.len() as u64);
                let held = if failure.may_be_one_message() { Held::Apart } else { Held::Waits };
                self.fail(batch, held, judged);
                false
            }
            Err(failure) => {
                let too_much = matches!(failure.kind, FailureKind::CpuTime | FailureKind::Memory);
                if too_much {
                    self.at_once = batch.len() / 2;
                }
                let singly = batch.iter().filter(|message| self.judge(std::slice::from_ref(message), judged)).count();
                let managed = singly == batch.len();
                // It fails only in company. Too much at once is no fault of its own: the next batches are smaller.
                if managed && !too_much {
                    self.incident(&failure);
                }
                managed
            }
        }
    }

    /// These go by `on-failure`.
    fn fail(&mut self, batch: &[Message], held: Held, judged: &mut Judged) {
        judged.verdicts.extend(batch.iter().map(|_| self.policy(DropReason::PluginFailed, held)));
        // Only where they are held is there an order to keep.
        self.waits = matches!(judged.verdicts.last(), Some(Verdict::Hold(Held::Waits)));
    }

    /// Whether it is not to be called now. The first call after a pause is its trial.
    fn left_alone(&mut self) -> bool {
        if self.waits {
            return true;
        }
        // No clock is read for a plugin that is well.
        self.quarantine.until().is_some() && !self.quarantine.release(Instant::now())
    }

    /// A message, a batch, a start or a tick that it failed at.
    fn incident(&mut self, failure: &Failure) {
        let name = &*self.own.terms.name;
        if failure.kind == FailureKind::Unavailable {
            // It is well and says so.
            return;
        }
        if self.again {
            // What lay apart is tried for its own sake.
            log::info!(plugin = name, kind = failure.kind.as_str(), error = failure.text; "a plugin failed at a message again");
            return;
        }
        log::warn!(plugin = name, kind = failure.kind.as_str(), error = failure.text; "a plugin failed");
        if !self.quarantine.failed(Instant::now()) {
            return;
        }
        let pause = self.quarantine.until().map_or(0, |until| until.duration_since(Instant::now()).as_secs() + 1);
        log::error!(plugin = name, seconds = pause; "a plugin failed too often and is left alone for a while");
        self.instance = None;
        self.own.status.edit(|report| {
            report.health = Health::Quarantined;
            report.quarantines += 1;
            report.memory = 0;
        });
    }

    /// Notes how many messages came, and the thread's time: its clock is read no more than once a beat.
    fn note(&mut self, messages: usize) {
        let beat = self.loaded.sandbox.ticker.beats();
        let time = (beat != self.noted).then(thread_time);
        self.noted = beat;
        self.own.status.edit(|report| {
            report.messages += messages as u64;
            report.cpu = time.unwrap_or(report.cpu);
        });
    }

    /// How many messages from the front of `batch` go into one call: what they weigh must fit into the plugin's memory.
    fn portion(&self, batch: &[Message]) -> usize {
        let most = self.own.terms.limits.memory / BATCH_SHARE;
        let mut bytes = 0;
        let fits = batch.iter().take(self.at_once).take_while(|message| {
            bytes += message.weight();
            bytes <= most
        });
        fits.count().max(1)
    }
}

impl Failure {
    /// Whether another message might fare better: neither where it could not be started, nor where something is missing.
    fn may_be_one_message(&self) -> bool {
        !matches!(self.kind, FailureKind::Start | FailureKind::Unavailable)
    }
}

impl Processor for Plugin {
    fn process(&mut self, batch: &[Message]) -> Judged {
        let mut judged = Judged::default();
        judged.verdicts.reserve(batch.len());
        let mut rest = batch;
        while !rest.is_empty() {
            let (portion, later) = rest.split_at(self.portion(rest));
            self.judge(portion, &mut judged);
            rest = later;
        }
        self.waits = false;
        self.note(batch.len());
        judged.remembered = self.own.kv.take_changed();
        judged
    }

    fn judge_again(&mut self, message: &Message) -> Judged {
        self.again = true;
        let judged = self.process(std::slice::from_ref(message));
        self.again = false;
        judged
    }

    fn is_ready(&self) -> bool {
        // What is not held goes by `on-failure` though the plugin is left alone.
        let holds = self.own.terms.on_failure == OnFailure::Hold;
        !holds || self.quarantine.until().is_none_or(|until| until <= Instant::now())
    }

    fn sync(&mut self, receipt: Receipt) {
        self.own.kv.sync(receipt);
    }

    fn tick_at(&self) -> Option<Instant> {
        self.next_tick
    }

    fn tick(&mut self) -> Vec<Message> {
        let (now, mut added) = (Instant::now(), Vec::new());
        if self.next_tick.is_none_or(|due| now < due) {
            return added;
        }
        self.next_tick = self.own.terms.tick.and_then(|period| now.checked_add(period));
        if self.left_alone() {
            return added;
        }
        match self.call(&mut added, Instance::tick) {
            Ok((made, emitted)) => {
                self.own.status.edit(|report| self.called(report));
                self.add(made, &mut added);
                self.add(emitted, &mut added);
            }
            Err(failure) => self.incident(&failure),
        }
        self.note(0);
        added
    }
}

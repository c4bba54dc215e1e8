//! The stages as a whole: which there are, and how others take their place while the gateway runs.
//!
//! New stages take over when nothing is left in the old ones; whoever brings a message meanwhile waits. So no message
//! is judged by half a list, and none overtakes another of its topic. Where only processors differ, each takes over
//! between two batches, and nobody waits.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Mutex, MutexGuard, oneshot, watch};
use tokio::time::Instant;

use super::exit::Exit;
use super::line::{Line, Place, resettle};
use super::shelf::Pause;
use super::worker::Worker;
use super::{Closed, Stage, StageError};

/// Where a message goes that comes in.
#[derive(Clone)]
enum Way {
    /// Through these, if there are any.
    Open(Option<Arc<Line>>),
    /// Nowhere yet: stages are changing.
    Waiting,
    /// Nowhere: the gateway is stopping.
    Closed,
}

/// What a stage has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageCounts {
    /// Its name.
    pub name: Arc<str>,
    /// Messages that it was given.
    pub taken: u64,
    /// Those that went on as they were.
    pub passed: u64,
    /// Those that went on changed.
    pub modified: u64,
    /// Those that it took out.
    pub filtered: u64,
    /// Those that it took out and put others in the place of.
    pub replaced: u64,
    /// Those that it failed at or refused.
    pub dropped: u64,
    /// Those that were held until it can judge them.
    pub held: u64,
    /// Messages that it made.
    pub added: u64,
    /// Times that its processor broke.
    pub failures: u64,
    /// Its processor broke, and is not asked any more.
    pub broken: bool,
    /// Messages that wait for it.
    pub waiting: usize,
}

/// Lines that may still have messages in them, the latest last; each ends when it has none.
type Lines = Vec<oneshot::Receiver<()>>;

/// See the module's head.
pub(super) struct Stages {
    exit: Arc<Exit>,
    /// There are stages, or there are soon. Asked first, so that without stages a message pays nothing for them.
    any: AtomicBool,
    way: watch::Sender<Way>,
    /// Held while stages change.
    lines: Mutex<Lines>,
    pause: Arc<Pause>,
}

impl Stages {
    pub(super) fn new(exit: Arc<Exit>) -> Self {
        let (any, way) = (AtomicBool::new(false), watch::Sender::new(Way::Open(None)));
        Self { exit, any, way, lines: Mutex::default(), pause: Arc::default() }
    }

    /// Leaves alone what is on shelves, until [`work_off_shelves`](Self::work_off_shelves).
    pub(super) fn keep_shelves(&self) {
        self.pause.kept.store(true, Ordering::Release);
    }

    pub(super) async fn work_off_shelves(&self) {
        // Not between a line's being made and its being opened, or its stages would sleep on.
        let _unchanging = self.lines.lock().await;
        self.pause.kept.store(false, Ordering::Release);
        self.places().iter().for_each(|place| place.worker.queue().poke());
    }

    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// The line of now; waits while stages change.
    pub(super) async fn line(&self) -> Result<Option<Arc<Line>>, Closed> {
        let mut way = self.way.borrow().clone();
        if matches!(way, Way::Waiting) {
            let mut changes = self.way.subscribe();
            way = changes.wait_for(|way| !matches!(way, Way::Waiting)).await.map_err(|_| Closed)?.clone();
        }
        match way {
            Way::Open(line) => Ok(line),
            Way::Waiting | Way::Closed => Err(Closed),
        }
    }

    fn places(&self) -> Vec<Place> {
        match &*self.way.borrow() {
            Way::Open(Some(line)) => line.places.clone(),
            _ => Vec::new(),
        }
    }

    /// Sends what comes from now on through `places`.
    fn open(&self, lines: &mut Lines, places: Vec<Place>) {
        if places.is_empty() {
            self.way.send_replace(Way::Open(None));
            self.any.store(false, Ordering::Release);
            return;
        }
        let (line, gone) = Line::new(places, Arc::clone(&self.exit));
        lines.push(gone);
        for (at, place) in line.places.iter().enumerate() {
            place.worker.stand_in(&line, at);
        }
        self.any.store(true, Ordering::Release);
        self.way.send_replace(Way::Open(Some(line)));
    }

    /// Puts `stages` in the place of those there are; see the module's head.
    pub(super) async fn set(&self, stages: Vec<Stage>, patience: Duration) -> Result<(), StageError> {
        let deadline = Instant::now() + patience;
        let mut lines = tokio::time::timeout_at(deadline, self.lines.lock()).await.map_err(|_| StageError::Stuck)?;
        if matches!(*self.way.borrow(), Way::Closed) {
            return Err(StageError::Stopping);
        }
        let old = self.places();
        let Plan { places, successors } = Plan::make(stages, &old, &self.pause)?;
        if alike(&old, &places) {
            successors.into_iter().for_each(|(worker, processor)| worker.replace(processor));
            return Ok(());
        }
        // With none before, nothing is under way that could be overtaken.
        if !old.is_empty() {
            self.way.send_replace(Way::Waiting);
        }
        self.pause.changing.store(true, Ordering::Release);
        let mut gate = Gate { stages: self, lines: &mut lines, places: old.clone() };
        if !run_empty(gate.lines, 0, deadline).await {
            return Err(StageError::Stuck);
        }
        successors.into_iter().for_each(|(worker, processor)| worker.replace(processor));
        resettle(&places);
        gate.places.clone_from(&places);
        drop(gate);
        for place in old.iter().filter(|old| !places.iter().any(|new| Arc::ptr_eq(&new.worker, &old.worker))) {
            place.worker.end().await;
        }
        Ok(())
    }

    /// Waits until all that is under way now has come through. Says whether it has, in time.
    pub(super) async fn drain(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let Ok(mut lines) = tokio::time::timeout_at(deadline, self.lines.lock()).await else { return false };
        self.drain_until(&mut lines, deadline).await
    }

    async fn drain_until(&self, lines: &mut MutexGuard<'_, Lines>, deadline: Instant) -> bool {
        let places = self.places();
        if places.is_empty() {
            return true;
        }
        // What comes from now on takes another line through the same stages, so the old one runs empty.
        self.open(lines, places);
        run_empty(lines, 1, deadline).await
    }

    /// Lets what is under way come through, takes nothing more, and ends the threads. What is left counts as dropped and
    /// is not acknowledged. Says whether nothing was left and all ended.
    pub(super) async fn stop(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let Ok(mut lines) = tokio::time::timeout_at(deadline, self.lines.lock()).await else { return false };
        let places = self.places();
        if places.is_empty() {
            return true;
        }
        // What is on shelves is for the next start.
        self.keep_shelves();
        // Half of the time is for what has to be done when the other was not enough.
        let half = Instant::now() + patience / 2;
        let drained = self.drain_until(&mut lines, half).await;
        self.way.send_replace(Way::Closed);
        // What came meanwhile took the line that is closed only now.
        let drained = drained && run_empty(&mut lines, 0, half).await;
        places.iter().for_each(|place| place.worker.queue().close());
        let ended = tokio::time::timeout_at(deadline, async {
            for place in &places {
                place.worker.end().await;
            }
        });
        drained & ended.await.is_ok()
    }

    pub(super) fn counts(&self) -> Vec<StageCounts> {
        self.places().iter().map(|place| counts(&place.worker)).collect()
    }
}

/// Waits until all lines but the latest `spared` have run empty. Says whether they have, in time.
async fn run_empty(lines: &mut Lines, spared: usize, deadline: Instant) -> bool {
    while lines.len() > spared {
        let gone = tokio::time::timeout_at(deadline, &mut lines[0]);
        if gone.await.is_err() {
            return false;
        }
        lines.remove(0);
    }
    true
}

/// Opens the way again, whatever becomes of the change: with the new stages, or with the old ones where it was given up.
struct Gate<'a> {
    stages: &'a Stages,
    lines: &'a mut Lines,
    places: Vec<Place>,
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        self.stages.pause.changing.store(false, Ordering::Release);
        self.stages.open(self.lines, std::mem::take(&mut self.places));
    }
}

/// Stages that are asked for, with their threads, and what is to take over in those that stay.
struct Plan {
    places: Vec<Place>,
    successors: Vec<(Arc<Worker>, Box<dyn super::Processor>)>,
}

impl Plan {
    /// Starts the threads that are new. They end again where one can't be started.
    fn make(stages: Vec<Stage>, old: &[Place], pause: &Arc<Pause>) -> Result<Self, StageError> {
        let mut names = HashSet::new();
        if let Some(twice) = stages.iter().find(|stage| !names.insert(&stage.name)) {
            return Err(StageError::Twice(Arc::clone(&twice.name)));
        }
        let mut plan = Self { places: Vec::new(), successors: Vec::new() };
        for Stage { name, topics, fallback, shelf, processor } in stages {
            let present = old.iter().map(|place| &place.worker).find(|worker| *worker.name() == name);
            let worker = match (present, processor) {
                (Some(worker), processor) => {
                    plan.successors.extend(processor.map(|processor| (Arc::clone(worker), processor)));
                    Arc::clone(worker)
                }
                (None, Some(processor)) => Worker::start(&name, processor, Arc::clone(pause))
                    .map_err(|why| StageError::Thread { name, why })?,
                (None, None) => return Err(StageError::Unknown(name)),
            };
            plan.places.push(Place { worker, topics, fallback, shelf });
        }
        Ok(plan)
    }
}

/// Whether messages take the same way through both.
fn alike(old: &[Place], new: &[Place]) -> bool {
    let same = |(old, new): (&Place, &Place)| {
        Arc::ptr_eq(&old.worker, &new.worker) && old.topics == new.topics && old.fallback == new.fallback
    };
    old.len() == new.len() && old.iter().zip(new).all(same)
}

fn counts(worker: &Worker) -> StageCounts {
    let figures = worker.figures();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    StageCounts {
        name: Arc::clone(worker.name()),
        taken: read(&figures.taken),
        passed: read(&figures.passed),
        modified: read(&figures.modified),
        filtered: read(&figures.filtered),
        replaced: read(&figures.replaced),
        dropped: read(&figures.dropped),
        held: read(&figures.held),
        added: read(&figures.added),
        failures: read(&figures.failures),
        broken: figures.broken.load(Ordering::Relaxed),
        waiting: worker.queue().len(),
    }
}

//! What the handles and the thread share: both lanes, what is handed out, who is to be woken. `intake.rs` is what is taken
//! and what is refused, `failing.rs` a disk that fails.

mod failing;
mod intake;

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::figures::Figures;
use super::lane::{Lane, Pending};
use super::settings::{Durability, Priority, SpoolSettings};
use super::thrift::Thrift;
use super::{Record, Seq};

/// With [`Durability::OnOutage`], what may wait for the disk while the remote is prompt, in bytes.
const HELD_MAX: u64 = 1024 * 1024;
/// In a ring, what is written without waiting for more, in bytes: well below what may wait for the disk.
const RING_BATCH: u64 = 1024 * 1024;
/// How long a prompt remote may take, in milliseconds.
const PROMPT: u64 = 1000;
/// How soon acknowledgements are noted on disk: so many of them go into one note.
const NOTE: u64 = 2;

/// Told when a flush or the end is done.
pub(super) type Told = oneshot::Sender<Result<(), String>>;

/// The spool's own time, in milliseconds. It never jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    pub(super) at: u64,
    pub(super) since: Instant,
}

impl Time {
    pub(super) fn of(self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.since).as_millis();
        self.at.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

pub(super) struct State {
    pub(super) settings: SpoolSettings,
    pub(super) lanes: [Lane; 2],
    pub(super) time: Time,
    /// Counts and last words. What is known elsewhere is filled in when somebody asks.
    pub(super) counted: Figures,
    /// When the first record that is on disk alone was appended, by lane.
    pub(super) oldest_on_disk: [Option<u64>; 2],
    /// Since when the disk fails, and when it is tried again.
    pub(super) failing: Option<(u64, u64)>,
    pub(super) flushes: Vec<Told>,
    thrift: Thrift,
    closed: bool,
    /// The thread is gone.
    pub(super) ended: bool,
    reading: bool,
    /// When the thread has something to do.
    pub(super) due: Option<u64>,
    /// The thread is to be told.
    pub(super) ring: bool,
    /// The reader is to be told.
    pub(super) more: bool,
    /// Whoever waits for room is to be told.
    pub(super) room: bool,
}

impl State {
    pub(super) fn new(settings: SpoolSettings, lanes: [Lane; 2], time: Time) -> Self {
        Self {
            settings,
            lanes,
            time,
            counted: Figures::default(),
            oldest_on_disk: [None; 2],
            failing: None,
            flushes: Vec::new(),
            thrift: Thrift::default(),
            closed: false,
            ended: false,
            reading: false,
            due: Some(0),
            ring: false,
            more: false,
            room: false,
        }
    }

    /// When what waits in a lane is to be written; `None` when nothing does.
    fn due(&self, priority: Priority) -> Option<u64> {
        let lane = &self.lanes[priority as usize];
        let waiting = lane.waiting()?;
        if let Some((_, again)) = self.failing {
            return Some(again);
        }
        if self.settings.ring && lane.unwritten() >= RING_BATCH {
            return Some(0);
        }
        if self.is_held(lane) {
            return Some(if lane.unwritten() < HELD_MAX { waiting.first + PROMPT } else { 0 });
        }
        Some(if priority == Priority::Alarm { 0 } else { self.thrift.due(&waiting, &self.settings) })
    }

    /// Whether a lane need not be written as long as the remote is prompt.
    fn is_held(&self, lane: &Lane) -> bool {
        self.settings.durability == Durability::OnOutage && !lane.outage
    }

    /// Whether what waits in a lane is to be written now, or `all` of it; if not, has the thread look again when it is.
    pub(super) fn is_due(&mut self, priority: Priority, now: u64, all: bool) -> bool {
        let Some(due) = self.due(priority) else { return false };
        if all {
            return true;
        }
        if due > now {
            self.want(due);
            return false;
        }
        let held = self.is_held(&self.lanes[priority as usize]);
        let lane = &mut self.lanes[priority as usize];
        // That something has to be written says that the remote was not prompt.
        lane.outage |= held;
        if let (false, Priority::Bulk, Some(waiting)) = (held, priority, lane.waiting()) {
            self.thrift.spend(&waiting, &self.settings, now);
        }
        true
    }

    /// Has the thread write what waits in a lane when it is due.
    fn plan(&mut self, priority: Priority, now: u64) {
        if let Some(due) = self.due(priority) {
            self.want(due.max(now));
        }
    }

    /// Has the thread look at `at` or before.
    pub(super) fn want(&mut self, at: u64) {
        if self.due.is_none_or(|due| at < due) {
            self.due = Some(at);
            self.ring = true;
        }
    }

    /// The records that go next, alarms first.
    pub(super) fn hand_out(&mut self, messages: usize, bytes: usize) -> Vec<Record> {
        let mut batch: Vec<Record> = Vec::new();
        let mut room = bytes;
        let written = self.settings.durability == Durability::Always && self.failing.is_none();
        for priority in Priority::ALL {
            // No bulk while there are alarms that only have to be read.
            let [alarms, _] = &self.lanes;
            if priority == Priority::Bulk && alarms.window.end() < alarms.next() {
                break;
            }
            while batch.len() < messages.max(1) {
                let most = if batch.is_empty() { usize::MAX } else { room };
                let Some((number, bytes, again)) = self.lanes[priority as usize].hand_out(most, written) else { break };
                room = room.saturating_sub(bytes.len());
                batch.push(Record { seq: Seq { priority, number }, bytes, again });
            }
        }
        self.want_more();
        batch
    }

    /// Has the thread fill up a window that runs low.
    fn want_more(&mut self) {
        if self.lanes.iter().any(|lane| lane.window.is_low() && lane.window.end() < lane.next()) {
            self.want(0);
        }
    }

    pub(super) fn acknowledge(&mut self, seq: Seq, now: Instant) -> bool {
        let now = self.time.of(now);
        let lane = &mut self.lanes[seq.priority as usize];
        if !lane.acknowledge(seq.number) {
            return false;
        }
        // The remote is prompt again when what it has not acknowledged is young.
        let behind = lane.window.end() < lane.next();
        lane.outage &= behind || lane.window.oldest().is_some_and(|at| at + PROMPT / 2 < now);
        self.counted.acknowledged += 1;
        self.room = true;
        self.want(now + NOTE);
        self.want_more();
        true
    }

    pub(super) fn rewind(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.window.rewind());
        self.more = true;
    }

    /// A batch is on disk. Says whether the disk failed before.
    pub(super) fn written(&mut self, priority: Priority, batch: Vec<Pending>, now: u64) -> bool {
        self.lanes[priority as usize].written(batch);
        let failed = self.failing.take().is_some();
        Priority::ALL.into_iter().for_each(|priority| self.plan(priority, now));
        (self.more, self.room) = (true, true);
        failed
    }

    /// What was appended before is too old.
    pub(super) fn too_old(&self, now: u64) -> Option<u64> {
        let age = u64::try_from(self.settings.max_age?.as_millis()).unwrap_or(u64::MAX);
        Some(now.saturating_sub(age))
    }

    /// Drops what is too old.
    pub(super) fn expire(&mut self, now: u64) {
        let Some(cutoff) = self.too_old(now).filter(|_| !self.settings.ring) else { return };
        self.counted.dropped.expired += self.lanes.iter_mut().map(|lane| lane.expire(cutoff)).sum::<u64>();
    }

    pub(super) fn figures(&self, now: Instant) -> Figures {
        let mut figures = self.counted.clone();
        for lane in &self.lanes {
            let (messages, bytes) = lane.queued();
            figures.messages += messages;
            figures.bytes += bytes;
            figures.in_flight += lane.window.in_flight();
        }
        let oldest = self.lanes.iter().zip(self.oldest_on_disk);
        let oldest =
            oldest.filter(|(lane, _)| lane.queued().0 > 0).filter_map(|(lane, disk)| lane.window.oldest().or(disk));
        let age = |at| Duration::from_millis(self.time.of(now).saturating_sub(at));
        figures.oldest_age = oldest.min().map(age);
        figures.failing = self.failing.is_some();
        figures
    }

    /// How long a record has waited that is not let go of.
    pub(super) fn waited(&self, seq: Seq, now: Instant) -> Option<Duration> {
        let since = self.lanes[seq.priority as usize].window.since(seq.number)?;
        Some(Duration::from_millis(self.time.of(now).saturating_sub(since)))
    }

    pub(super) fn begin_reading(&mut self) -> bool {
        let free = !std::mem::replace(&mut self.reading, true);
        if free {
            self.rewind();
        }
        free
    }

    pub(super) fn end_reading(&mut self) {
        self.reading = false;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes and gives nothing any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        (self.more, self.room) = (true, true);
        self.want(0);
    }

    /// The end, for those who wait for it. What is not written is lost, and so are its receipts.
    pub(super) fn end(&mut self) -> Vec<Told> {
        self.lanes = [Lane::default(), Lane::default()];
        self.ended = true;
        std::mem::take(&mut self.flushes)
    }
}

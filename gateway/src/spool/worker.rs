//! The spool's thread: it alone touches the files, and holds the lock on the state only in between.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use super::Shared;
use super::cursor::Place;
use super::figures::Dropped;
use super::files::KEEP;
use super::journal::Journal;
use super::settings::{Policy, Priority};
use super::state::State;

/// How long where the reader is may be left to the kernel, in milliseconds.
const LAZY: u64 = 5000;
/// The same where there is none, and files say all that is needed.
const LAZY_IN_RING: u64 = 300_000;
/// Between two tries to read, and how many there are before what can't be read is passed over.
const READ_AGAIN: u64 = 1000;
const READ_TRIES: u32 = 5;
/// How often it is looked whether records are too old.
const EXPIRY: u64 = 1000;
const EXPIRY_OF_FILES: u64 = 60_000;
/// In a ring a file takes no more than this part of the time that records are kept, however little comes: what is in it goes
/// as a whole.
const SHARE_OF_AGE: u64 = 8;

pub(super) struct Worker {
    shared: Arc<Shared>,
    journal: Journal,
    /// By lane: how often reading failed in a row, and when it is tried again.
    unread: [(u32, u64); 2],
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, journal: Journal) -> Self {
        Self { shared, journal, unread: [(0, 0); 2] }
    }

    /// The thread. Should it panic, the spool is closed: nothing more is promised, and nobody waits for ever.
    pub(super) fn run_to_the_end(mut self) {
        let shared = Arc::clone(&self.shared);
        let run = AssertUnwindSafe(|| {
            while self.turn() {
                self.sleep();
            }
        });
        if std::panic::catch_unwind(run).is_err() {
            log::error!(uplink = shared.name.as_str(); "the spool's thread panicked; nothing is taken any more");
            shared.change(State::close);
            shared.end(&Err("its thread panicked".into()));
        }
    }

    /// Sleeps until something is due.
    fn sleep(&self) {
        let mut state = self.shared.state();
        loop {
            let now = state.time.of((self.shared.now)().monotonic);
            let wait = match state.due {
                Some(due) if due <= now => {
                    state.due = None;
                    return;
                }
                Some(due) => Duration::from_millis(due - now),
                None => Duration::from_secs(3600),
            };
            let waited = self.shared.work.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn now(&self) -> u64 {
        self.shared.state().time.of((self.shared.now)().monotonic)
    }

    /// Does all that is due. `false` when that was the last time.
    pub(super) fn turn(&mut self) -> bool {
        let now = self.now();
        let (told, closing) = {
            let mut state = self.shared.state();
            let closing = state.is_closed();
            // Whoever waits for the end is told by that.
            (if closing { Vec::new() } else { std::mem::take(&mut state.flushes) }, closing)
        };
        let all = closing || !told.is_empty();
        for priority in Priority::ALL {
            self.write(priority, now, all);
        }
        self.shared.change(|state| {
            state.drop_unwritten(now);
            state.expire(now);
        });
        self.expire_files(now);
        self.forget(now, if closing { 0 } else { KEEP });
        for priority in Priority::ALL {
            self.refill(priority, now);
        }
        self.tell_figures(now);
        let done = self.shared.state().outcome();
        told.into_iter().for_each(|told| drop(told.send(done.clone())));
        if closing {
            self.end(now);
        }
        !closing
    }

    /// Writes what is due in a lane, or all of it.
    fn write(&mut self, priority: Priority, now: u64, all: bool) {
        while self.shared.change(|state| state.is_due(priority, now, all)) {
            let full = self.shared.state().settings.segment();
            let Some(room) = self.make_room(priority, full, now) else { return };
            let batch = self.shared.state().lanes[priority as usize].take_batch(full);
            if !room {
                self.shared.change(|state| {
                    let dropped = state.lanes[priority as usize].drop_batch(batch);
                    state.counted.dropped.full += dropped;
                });
                continue;
            }
            let written = self.journal.append(priority, &batch, full);
            let bytes = self.journal.bytes();
            let healed = self.shared.change(|state| {
                state.counted.disk_bytes = bytes;
                match &written {
                    Ok(()) => state.written(priority, batch, now),
                    Err(error) => state.failed(priority, batch, error.to_string(), now),
                }
            });
            self.tell(healed, written.err());
            if self.shared.state().failing.is_some() {
                return;
            }
        }
    }

    /// With [`Policy::DropOldest`], drops files until a lane's next batch fits. `false` when there is nothing to drop, `None`
    /// when the disk fails: then the batch waits for it as any other does.
    fn make_room(&mut self, priority: Priority, full: u64, now: u64) -> Option<bool> {
        loop {
            let (policy, limit, wanted) = {
                let state = self.shared.state();
                let lane = &state.lanes[priority as usize];
                (state.settings.policy, state.settings.room(priority), lane.next_batch_bytes(full))
            };
            if policy != Policy::DropOldest || self.journal.bytes() + wanted <= limit {
                return Some(true);
            }
            let lanes: &[Priority] =
                if priority == Priority::Bulk { &[Priority::Bulk] } else { &[Priority::Bulk, priority] };
            let oldest = |lane: &&Priority| self.journal.files[**lane as usize].first_end().is_some();
            let Some(lane) = lanes.iter().copied().find(|lane| oldest(&lane)) else { return Some(false) };
            let dropped = self.drop_first(lane, now, |dropped| &mut dropped.oldest);
            if !dropped {
                return None;
            }
        }
    }

    /// In a ring, drops the files in which all is too old: the next one's first record is. Ends one that fills slowly, but
    /// not more often than it is looked, or each batch might have a file of its own.
    fn expire_files(&mut self, now: u64) {
        let Some(cutoff) = ({
            let state = self.shared.state();
            state.too_old(now).filter(|_| state.settings.ring)
        }) else {
            return;
        };
        let share = ((now - cutoff) / SHARE_OF_AGE).max(EXPIRY_OF_FILES);
        if self.journal.files.iter().any(|files| files.is_slow(now.saturating_sub(share))) {
            let sealed = self.journal.seal(now);
            if !self.note_failure(sealed, now) {
                return;
            }
        }
        for lane in Priority::ALL {
            while self.journal.files[lane as usize].segments.get(1).is_some_and(|next| next.at < cutoff) {
                if !self.drop_first(lane, now, |dropped| &mut dropped.expired) {
                    return;
                }
            }
        }
    }

    /// Drops the oldest file of a lane, and counts it there. `false` when the disk fails.
    fn drop_first(&mut self, lane: Priority, now: u64, counter: fn(&mut Dropped) -> &mut u64) -> bool {
        let files = &self.journal.files[lane as usize];
        let Some(end) = files.first_end() else { return true };
        let (records, bytes) = files.behind(end);
        self.shared.change(|state| {
            let dropped = state.lanes[lane as usize].drop_file(end, records, bytes);
            *counter(&mut state.counted.dropped) += dropped;
        });
        let removed = self.journal.remove_spent(self.place(now), 0);
        self.note_failure(removed, now)
    }

    /// Where the reader is.
    fn place(&self, now: u64) -> Place {
        let wall = (self.shared.now)().trusted().and_then(|wall| wall.duration_since(UNIX_EPOCH).ok());
        let wall = wall.and_then(|wall| u64::try_from(wall.as_millis()).ok()).unwrap_or(0);
        let state = self.shared.state();
        Place {
            acked: [state.lanes[0].window.acked(), state.lanes[1].window.acked()],
            time: now,
            wall,
            ..Place::default()
        }
    }

    /// Notes what was acknowledged, and removes files of which nothing is wanted any more.
    fn forget(&mut self, now: u64, keep: u64) {
        let place = self.place(now);
        let mut done = self.journal.note(place).and_then(|()| self.journal.remove_spent(place, keep));
        let probe = self.shared.state().is_probe_due(now);
        let lazy = if self.shared.state().settings.ring { LAZY_IN_RING } else { LAZY };
        if probe || self.journal.unsynced().is_some_and(|since| since + lazy <= now) {
            done = done.and_then(|()| if probe { self.journal.probe() } else { self.journal.sync(place) });
        }
        if self.note_failure(done, now) && probe {
            let healed = self.shared.change(|state| state.failing.take().is_some());
            self.tell(healed, None);
        }
        if let Some(since) = self.journal.unsynced() {
            self.shared.change(|state| state.want((since + lazy).max(now + 1)));
        }
    }

    /// Fills a lane's window up.
    fn refill(&mut self, priority: Priority, now: u64) {
        let n = priority as usize;
        loop {
            let (from, lacks) = {
                let state = self.shared.state();
                (state.lanes[n].window.end(), state.lanes[n].window.lacks())
            };
            let end = self.journal.files[n].end;
            if lacks == 0 || from >= end {
                break;
            }
            let (tries, again) = self.unread[n];
            if again > now {
                return self.shared.change(|state| state.want(again));
            }
            match self.journal.read(priority, from, lacks, tries >= READ_TRIES) {
                Ok(found) => {
                    self.unread[n] = (0, 0);
                    self.shared.tell_damage(&found);
                    self.shared.change(|state| {
                        let lane = &mut state.lanes[n];
                        lane.lost(found.lost, found.lost_bytes);
                        lane.refill(found.items, found.end);
                        state.counted.quarantined.messages += found.lost;
                        state.counted.quarantined.bytes += found.lost_bytes;
                        state.counted.quarantined.files += found.damaged.len() as u64;
                        state.more = true;
                    });
                }
                Err(error) => {
                    self.unread[n] = (tries + 1, now + READ_AGAIN);
                    if tries == 0 {
                        log::error!(uplink = self.shared.name.as_str(), error:% = error; "the spool can't be read; it is tried again");
                    }
                    self.shared.change(|state| state.counted.last_error = Some(format!("reading: {error}")));
                }
            }
        }
        let end = self.journal.files[n].end;
        self.shared.change(|state| {
            let lane = &mut state.lanes[n];
            let before = lane.window.end();
            lane.refill_from_memory(end);
            state.more |= lane.window.end() != before;
        });
    }

    fn tell_figures(&self, now: u64) {
        let (bytes, work) = (self.journal.bytes(), self.journal.work);
        let oldest = [0, 1].map(|n: usize| self.journal.files[n].segments.front().map(|segment| segment.at));
        self.shared.change(|state| {
            state.room |= bytes < state.counted.disk_bytes;
            state.counted.disk_bytes = bytes;
            (state.counted.bytes_written, state.counted.syncs) = (work.bytes, work.syncs);
            state.oldest_on_disk = oldest;
            if state.settings.max_age.is_some() && state.lanes.iter().any(|lane| lane.queued().0 > 0) {
                state.want(now + if state.settings.ring { EXPIRY_OF_FILES } else { EXPIRY });
            }
        });
    }

    /// Notes that something failed. Says whether nothing did.
    fn note_failure(&self, done: std::io::Result<()>, now: u64) -> bool {
        let Err(error) = done else { return true };
        let new = self.shared.change(|state| state.note_failure(error.to_string(), now));
        self.tell(new, Some(error));
        false
    }

    /// Says when a disk began to fail, and when that is over. `changed`: it is not as it was before.
    fn tell(&self, changed: bool, error: Option<std::io::Error>) {
        let uplink = self.shared.name.as_str();
        match error {
            Some(error) if changed => {
                log::error!(uplink, error:% = error; "the spool can't be written; it is tried again every second");
            }
            None if changed => log::warn!(uplink; "the spool can be written again"),
            _ => {}
        }
    }

    /// The last thing that is done.
    fn end(&mut self, now: u64) {
        let place = self.place(now);
        let clean = self.shared.state().lanes.iter().all(|lane| lane.unwritten() == 0);
        let done = self.journal.seal(now).and_then(|()| self.journal.sync(Place { clean, ..place }));
        self.note_failure(done, now);
        let outcome = self.shared.state().outcome();
        self.shared.end(&outcome);
    }
}

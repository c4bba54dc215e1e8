//! A disk that fails: what waits for it, and for how long.

use super::State;
use crate::spool::lane::Pending;
use crate::spool::settings::{Policy, Priority};

/// Between two tries on a disk that fails, in milliseconds.
const AGAIN: u64 = 1000;
/// How long what can't be written is kept for the remote to acknowledge, unless the policy says for ever, in milliseconds.
const FAILED_PATIENCE: u64 = 2000;

impl State {
    /// A batch could not be written: it waits, and with most policies not for ever.
    pub(in crate::spool) fn failed(&mut self, priority: Priority, batch: Vec<Pending>, why: String, now: u64) -> bool {
        self.lanes[priority as usize].give_back(batch);
        self.note_failure(why, now)
    }

    /// The disk fails. Says whether that is news.
    pub(in crate::spool) fn note_failure(&mut self, why: String, now: u64) -> bool {
        let new = self.failing.is_none();
        let since = self.failing.map_or(now, |(since, _)| since);
        self.failing = Some((since, now + AGAIN));
        self.counted.write_errors += 1;
        self.counted.last_error = Some(why);
        self.more = true;
        self.want(now + AGAIN);
        new
    }

    /// Whether the disk failed, and there is nothing to be written by which it would show that it does no more.
    pub(in crate::spool) fn is_probe_due(&self, now: u64) -> bool {
        self.failing.is_some_and(|(_, again)| again <= now) && self.lanes.iter().all(|lane| lane.pending() == 0)
    }

    /// What to tell whoever waits for the disk.
    pub(in crate::spool) fn outcome(&self) -> Result<(), String> {
        match (&self.failing, &self.counted.last_error) {
            (Some(_), Some(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Drops what could not be written for too long.
    pub(in crate::spool) fn drop_unwritten(&mut self, now: u64) {
        if self.failing.is_some_and(|(since, _)| since + FAILED_PATIENCE <= now)
            && self.settings.policy != Policy::Block
        {
            let cutoff = (now + 1).saturating_sub(FAILED_PATIENCE);
            self.counted.dropped.disk += self.lanes.iter_mut().map(|lane| lane.drop_unwritten(cutoff)).sum::<u64>();
        }
    }
}

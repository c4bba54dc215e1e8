//! A crash-safe queue on disk for one uplink: what waits for the remote broker, over outages and power cuts.
//!
//! Owns a folder of files (`<data-dir>/spool/<uplink>/`) and one thread that alone touches them. Takes records, which are
//! bytes to it, and hands them out in order, alarms before bulk; never knows what they say or to whom they go. Whoever
//! appends never waits for the disk: the record's receipt is settled when it is there.

mod browse;
mod cursor;
mod disk;
mod figures;
mod files;
mod folder;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod inspect;
mod journal;
mod lane;
mod opening;
mod reader;
mod reading;
mod segment;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod thrift;
mod verdict;
mod window;
mod worker;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use crate::message::{Receipt, Received};

pub use self::browse::{Browser, FileId};
pub use self::figures::{Dropped, Figures, Quarantined};
pub use self::inspect::{Contents, FileReport, LaneContents, State as FileState, Stopped, Stored, uplinks};
pub use self::reader::{Reader, Record, Seq};
pub use self::settings::{BYTES_MIN, Durability, Policy, Priority, RECORD_MAX, SpoolSettings};
pub use self::verdict::{NotTaken, Opened, Refused, SpoolError};

use self::disk::{Disk, RealDisk};
use self::reading::Found;
use self::state::State;
use self::worker::Worker;

/// Reads the clocks: [`Clock::now`](crate::message::Clock::now) of the pipeline's clock.
pub type Now = Arc<dyn Fn() -> Received + Send + Sync>;

struct Shared {
    name: String,
    now: Now,
    state: Mutex<State>,
    /// Told when there is something to hand out.
    more: Notify,
    /// Told when there is room again.
    room: Notify,
    /// Told when the thread has something to do.
    work: Condvar,
    /// Keeps others out of the folder, until the thread has ended.
    lock: Mutex<Option<File>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes those for whom that made a difference.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state();
        let result = change(&mut state);
        let (more, room) = (std::mem::take(&mut state.more), std::mem::take(&mut state.room));
        let ring = std::mem::take(&mut state.ring);
        drop(state);
        if ring {
            self.work.notify_one();
        }
        if more {
            self.more.notify_one();
        }
        if room {
            self.room.notify_waiters();
        }
        result
    }

    /// The thread's last word. Only now may another open the folder.
    fn end(&self, outcome: &Result<(), String>) {
        let told = self.change(State::end);
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        told.into_iter().for_each(|told| drop(told.send(outcome.clone())));
    }

    fn tell_opened(&self, opened: &Opened) {
        let uplink = self.name.as_str();
        let Quarantined { files, messages, bytes } = opened.quarantined;
        if opened.quarantined != Quarantined::default() {
            log::error!(uplink, files, messages, bytes; "the spool was damaged; what is whole goes on");
        }
        if opened.cursor_lost {
            log::warn!(uplink; "how far the spool had been sent is not known; all of it is sent once more");
        }
        log::info!(uplink, messages = opened.messages, repaired = opened.repaired; "spool opened");
    }

    fn tell_damage(&self, found: &Found) {
        for file in &found.damaged {
            log::error!(uplink = self.name.as_str(), file = file.as_str(); "a file of the spool is damaged");
        }
    }
}

/// Lets the thread come to its end when the last handle has gone.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.change(State::close);
    }
}

/// A handle to append by and to look through. A clone is another handle.
#[derive(Clone)]
pub struct Spool(Arc<Handle>);

impl Spool {
    /// Opens the spool in `folder`, or makes it, and starts its thread. `name` is the uplink's, for log lines. Reads and
    /// repairs files, so it takes its time.
    ///
    /// # Errors
    /// [`SpoolError`]; damage is none.
    pub fn open(folder: &Path, name: &str, settings: SpoolSettings, now: Now) -> Result<(Self, Opened), SpoolError> {
        let explain = |why: io::Error| SpoolError::Folder { folder: folder.to_owned(), why };
        folder::make(folder).map_err(explain)?;
        let lock = folder::lock(folder)?;
        let disk = Box::new(RealDisk(folder.to_owned()));
        let (spool, worker, opened) = Self::over(disk, name, settings, now, Some(lock)).map_err(explain)?;
        let thread = std::thread::Builder::new().name(format!("spool {name}"));
        thread.spawn(move || worker.run_to_the_end()).map_err(explain)?;
        Ok((spool, opened))
    }

    /// The same over any disk; whoever calls it runs the worker.
    fn over(
        disk: Box<dyn Disk>,
        name: &str,
        settings: SpoolSettings,
        now: Now,
        lock: Option<File>,
    ) -> io::Result<(Self, Worker, Opened)> {
        let (journal, lanes, time, opened) = opening::open(disk, now())?;
        let mut state = State::new(settings, lanes, time);
        if state.settings.ring {
            state.lanes.iter_mut().for_each(|lane| lane.window.most = 0);
        }
        state.counted.disk_bytes = journal.bytes();
        state.counted.quarantined = opened.quarantined;
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            now,
            state: Mutex::new(state),
            more: Notify::new(),
            room: Notify::new(),
            work: Condvar::new(),
            lock: Mutex::new(lock),
        });
        shared.tell_opened(&opened);
        let worker = Worker::new(Arc::clone(&shared), journal);
        Ok((Self(Arc::new(Handle(shared))), worker, opened))
    }

    /// The uplink's name.
    pub fn name(&self) -> &str {
        &self.0.0.name
    }

    /// Appends a record, [`Message::to_record`](crate::message::Message::to_record) say. Never waits. When it is taken,
    /// `receipt` is settled as soon as the record is on disk, or acknowledged by the remote before that, or dropped and
    /// counted by the policy; it is let go unsettled, and so lost, only when the process ends before.
    ///
    /// # Errors
    /// [`NotTaken`] where there is no room. Unless it says that waiting is of use, the record is counted as dropped, and
    /// the receipt is the caller's to settle.
    pub fn try_append(&self, record: Bytes, priority: Priority, receipt: Option<Receipt>) -> Result<(), NotTaken> {
        let now = (self.0.0.now)();
        self.0.0.change(|state| state.accept(record, priority, receipt, now.monotonic))
    }

    /// The same, but with [`Policy::Block`] it waits for room. A record that is refused is counted as dropped and its
    /// receipt settled: sent again, it would fare no better. Safe to cancel: then nothing was appended and the receipt is
    /// lost. Who needs an order waits for one before the next.
    ///
    /// # Errors
    /// Why it was dropped.
    pub async fn append(&self, record: Bytes, priority: Priority, receipt: Option<Receipt>) -> Result<(), Refused> {
        let mut receipt = receipt;
        loop {
            let room = self.room();
            match self.try_append(record.clone(), priority, receipt) {
                Ok(()) => return Ok(()),
                Err(refused) if refused.wait => receipt = refused.receipt,
                Err(refused) => {
                    refused.receipt.into_iter().for_each(Receipt::settle);
                    return Err(refused.why);
                }
            }
            room.await;
        }
    }

    /// Waits until there may be room; ask for it before trying, and wait after. Others may be quicker.
    pub fn room(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.0.room.notified()
    }

    /// The one reader; `None` while there is one. It begins at the first record that is not acknowledged, so a new one in
    /// the place of one that was let go hands out once more what that one had under way.
    pub fn reader(&self) -> Option<Reader> {
        Reader::of(&self.0.0)
    }

    /// Looks through the files, those of bulk, while the spool goes on.
    ///
    /// # Errors
    /// What the system says.
    pub fn browse(folder: &Path) -> io::Result<Browser> {
        Browser::new(folder)
    }

    /// The counters, at this moment.
    pub fn figures(&self) -> Figures {
        let now = (self.0.0.now)();
        self.0.0.state().figures(now.monotonic)
    }

    /// Takes other settings from now on.
    pub fn set(&self, settings: SpoolSettings) {
        self.0.0.change(|state| {
            state.settings = settings;
            state.room = true;
        });
    }

    /// Writes everything that waits for the disk and says whether it is there.
    ///
    /// # Errors
    /// In words, when the disk fails.
    pub async fn flush(&self) -> Result<(), String> {
        self.told(|_| {}).await
    }

    /// Writes what can be written, notes where the reader is, and ends the thread. From now on nothing is taken or handed
    /// out. Says whether all of it is on disk; the files are free for another when it returns.
    ///
    /// # Errors
    /// In words, when the disk fails. Receipts of what could not be written are lost.
    pub async fn close(&self) -> Result<(), String> {
        self.told(State::close).await
    }

    /// Has the thread do all that it can, and waits for that.
    async fn told(&self, change: impl FnOnce(&mut State)) -> Result<(), String> {
        let (told, done) = oneshot::channel();
        self.0.0.change(|state| {
            change(state);
            if !state.ended {
                state.flushes.push(told);
                state.want(0);
            }
        });
        // Told without a word, it has ended before.
        done.await.unwrap_or(Ok(()))
    }
}

//! What outlives the process: retained messages, the sessions of MQTT clients, what plugins remember and who changed what,
//! in one SQLite file.
//!
//! Owns `<data-dir>/stile.db`. Never decides what is kept, and nobody waits for it: changes are noted in memory
//! (`pending.rs`) and one unit writes them together, in one transaction with one wait for the disk (`writer.rs`).
//! Whoever must not promise before it is safe hands in a receipt. `database.rs` knows
//! SQLite, `rows.rs` is what can be kept.
//!
//! How soon a change is written depends on who waits for it. Somebody does: at once, and what comes meanwhile goes
//! into the next transaction. Somebody does, and the client it is for is there: in `GRACE`, since its acknowledgement
//! probably comes sooner and then nothing need be written at all. Nobody does: within `LAZY`, and what plugins remember
//! within `SLOW`, since they may change it with every message.

mod database;
mod pending;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::rows::{
    AuditRow, AuditSurplus, HeldRow, Lasts, MemoryRow, QueuedRow, RemoteRow, SessionRow, Stored, StoredMemory,
    StoredRemote, StoredSession, SubscriptionRow,
};

use self::database::Database;
use self::pending::{Memory, Numbers, Pending, Remembered};
use crate::message::{Message, Note, Publication, Receipt, Topic, TopicFilter};

/// The file's name in the data folder.
pub const FILE: &str = "stile.db";
/// How long the acknowledgement of a client that is there is waited for before its message is written.
const GRACE: Duration = Duration::from_millis(20);
/// How long a change that nobody waits for may stay in memory: what a power cut can cost of messages that nobody was
/// told to be safe.
const LAZY: Duration = Duration::from_secs(1);
/// The same for what plugins remember.
const SLOW: Duration = Duration::from_secs(3);

/// Why the file can't be used. A damaged file is none of these: it is set aside.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Neither it nor a new one could be opened.
    #[error("can't open {}: {why}; see that the gateway may write there and that the disk has room", .file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What SQLite or the system said.
        why: String,
    },
    /// A later version of Stile wrote it.
    #[error("{} was written by a newer version of Stile (layout {layout}); install that version, or move the file away", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its layout's number.
        layout: i64,
    },
}

/// Counters for metrics and pages.
#[derive(Debug, Default)]
pub struct Figures {
    /// Transactions written.
    pub commits: AtomicU64,
    /// Transactions that failed; they are tried again.
    pub failures: AtomicU64,
    /// Changes written, of all transactions.
    pub changes: AtomicU64,
    /// The last transaction failed.
    pub failing: AtomicBool,
}

struct Inner {
    pending: Mutex<Pending>,
    /// Told when something became due sooner than before.
    hurried: Notify,
    /// Only the writer waits for it.
    database: Mutex<Database>,
    last_row: AtomicU64,
    last_session: AtomicU64,
    last_held: AtomicU64,
    last_audit: AtomicU64,
    corrupted: CancellationToken,
    figures: Figures,
}

/// A handle. A clone is another handle.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Opens the file in `folder`, or makes it, and reads all that is in it. A damaged file is moved aside, under its
    /// name with `.damaged`, and what could still be read of it goes into a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(folder: &Path) -> Result<(Self, Stored), StoreError> {
        let (database, stored) = Database::open(&folder.join(FILE))?;
        let rows = || stored.sessions.iter().flat_map(|session| &session.queued).chain(&stored.homeless);
        let remotes = || stored.remotes.iter().map(|remote| remote.id);
        let sessions = || stored.sessions.iter().map(|session| session.id).chain(remotes());
        let last = Numbers {
            session: sessions().chain(rows().map(|(_, queued)| queued.session)).max().unwrap_or(0),
            queued: rows().map(|(row, _)| *row).max().unwrap_or(0),
            held: stored.held.keys().copied().max().unwrap_or(0),
        };
        let store = Self(Arc::new(Inner {
            pending: Mutex::new(Pending::new(last, sessions().collect())),
            hurried: Notify::new(),
            database: Mutex::new(database),
            last_row: AtomicU64::new(last.queued),
            last_session: AtomicU64::new(last.session),
            last_held: AtomicU64::new(last.held),
            last_audit: AtomicU64::new(stored.audit.keys().last().copied().unwrap_or(0)),
            corrupted: CancellationToken::new(),
            figures: Figures::default(),
        }));
        Ok((store, stored))
    }

    /// The counters.
    pub fn figures(&self) -> &Figures {
        &self.0.figures
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is pending, to be written after `patience`.
    fn change(&self, patience: Duration, change: impl FnOnce(&mut Pending, Instant)) {
        let mut pending = self.pending();
        let before = pending.due();
        change(&mut pending, Instant::now() + patience);
        self.hurry(pending, before);
    }

    /// Wakes the writer if it sleeps by what was due `before` and something is wanted sooner now.
    fn hurry(&self, pending: MutexGuard<'_, Pending>, before: Option<Instant>) {
        if pending.due().is_some_and(|due| before.is_none_or(|before| due < before)) {
            drop(pending);
            self.0.hurried.notify_one();
        }
    }

    /// Begins a group of changes that reach the disk together or not at all: [`queue`](Self::queue),
    /// [`retain`](Self::retain) and [`receive`](Self::receive), until [`close_group`](Self::close_group). There is one
    /// group at a time; a second call adds to it.
    pub fn open_group(&self) {
        self.pending().open_group();
    }

    /// Ends the group; from now on it may be written.
    pub fn close_group(&self) {
        let mut pending = self.pending();
        let before = pending.due();
        // Most messages leave nothing behind.
        if pending.close_group() {
            self.hurry(pending, before);
        }
    }

    /// Keeps a message for a session until [`forget`](Self::forget). `present` says that the client is there. Gives the
    /// row's number.
    pub fn queue(&self, row: QueuedRow, receipts: Vec<Receipt>, present: bool) -> u64 {
        let number = self.0.last_row.fetch_add(1, Ordering::Relaxed) + 1;
        let patience = match (receipts.is_empty(), present) {
            (true, _) => LAZY,
            (false, true) => GRACE,
            (false, false) => Duration::ZERO,
        };
        self.change(patience, |pending, due| pending.queue(number, row, receipts, due));
        number
    }

    /// Lets a queued message go: its client has it, or it is dropped. Nobody waits for that: what comes back after a
    /// power cut is sent once more, as QoS 1 and the handshake of QoS 2 allow.
    pub fn forget(&self, row: u64) {
        self.change(LAZY, |pending, due| pending.forget(row, due));
    }

    /// Those who wait for a queued message to be safe, in further parts of their receipts.
    pub fn receipts(&self, row: u64) -> Vec<Receipt> {
        self.pending().receipts(row)
    }

    /// Settles a receipt when everything that has been changed so far is on disk; at once if it is.
    pub fn sync(&self, receipt: Receipt) {
        self.change(Duration::ZERO, |pending, due| pending.sync(receipt, due));
    }

    /// Notes that a client has received a QoS 2 message and may be told to release it.
    pub fn release(&self, row: u64, receipt: Receipt) {
        self.change(Duration::ZERO, |pending, due| pending.release(row, receipt, due));
    }

    /// Keeps a retained message in the place of the one that its topic had; `fresh` says that it had none.
    pub fn retain(&self, message: &Arc<Message>, fresh: bool, receipt: Option<Receipt>) {
        let patience = if receipt.is_some() { Duration::ZERO } else { LAZY };
        self.change(patience, |pending, due| pending.retain(message, fresh, receipt, due));
    }

    /// Lets the retained message of a topic go.
    pub fn clear_retained(&self, topic: &Topic, receipt: Option<Receipt>) {
        let patience = if receipt.is_some() { Duration::ZERO } else { LAZY };
        self.change(patience, |pending, due| pending.clear_retained(topic.clone(), receipt, due));
    }

    /// Notes a QoS 2 message from a client, or a remote.
    pub fn receive(&self, publication: Publication, receipt: Receipt) {
        self.change(Duration::ZERO, |pending, due| pending.receive(publication, true, receipt, due));
    }

    /// Notes what a message leaves to be noted: that it came, or that it is held no more.
    pub fn note(&self, note: Note, receipt: Receipt) {
        let patience = if receipt.is_awaited() { Duration::ZERO } else { LAZY };
        self.change(patience, |pending, due| pending.note(note, receipt, due));
    }

    /// Holds a message for a plugin until [`note`](Self::note) says that it is held no more. Its receipt is ended, and
    /// settled when the message is on disk, together with the note of its publication. Gives the row's number.
    pub fn hold(&self, row: HeldRow, receipt: Option<Receipt>) -> u64 {
        let number = self.0.last_held.fetch_add(1, Ordering::Relaxed) + 1;
        let patience = if receipt.is_some() { Duration::ZERO } else { LAZY };
        self.change(patience, |pending, due| pending.hold(number, row, receipt, due));
        number
    }

    /// Holds messages in the place of those that have these numbers; it reaches the disk together or not at all. Gives the
    /// new numbers, in order.
    pub fn hold_instead(&self, rows: Vec<(u64, HeldRow)>) -> Vec<u64> {
        let count = rows.len() as u64;
        let first = self.0.last_held.fetch_add(count, Ordering::Relaxed) + 1;
        self.change(LAZY, |pending, due| {
            for (number, (old, row)) in (first..).zip(rows) {
                pending.hold(number, row, None, due);
                pending.note(Note::Held(old), Receipt::held(old), due);
            }
        });
        (first..first + count).collect()
    }

    /// Notes that a plugin failed at a message that is held for it.
    pub fn set_apart(&self, number: u64) {
        self.change(LAZY, |pending, due| pending.set_apart(number, due));
    }

    /// Forgets a QoS 2 message from a client, or a remote: its identifier is free for another.
    pub fn forget_received(&self, session: u64, packet_id: NonZeroU16, receipt: Receipt) {
        let publication = Publication { session, packet_id };
        self.change(Duration::ZERO, |pending, due| pending.receive(publication, false, receipt, due));
    }

    /// Begins to keep a session. Gives its number.
    pub fn begin_session(&self, row: SessionRow) -> u64 {
        let number = self.0.last_session.fetch_add(1, Ordering::Relaxed) + 1;
        self.change(LAZY, |pending, due| pending.begin_session(number, row, due));
        number
    }

    /// Notes what has changed of a session. Nobody waits for it, but until it is written a session that its client has
    /// come back to could expire over a power cut, so it is not put off.
    pub fn update_session(&self, session: u64, row: SessionRow) {
        self.change(Duration::ZERO, |pending, due| pending.update_session(session, row, due));
    }

    /// Ends a session: its subscriptions and what it received go with it. What is queued for it must be let go one by
    /// one. Not put off either: its client may be told soon that it is gone.
    pub fn end_session(&self, session: u64) {
        self.change(Duration::ZERO, |pending, due| pending.end_session(session, due));
    }

    /// Begins to keep a session at a remote. Gives its number; [`end_session`](Self::end_session) ends it.
    pub fn begin_remote(&self, row: RemoteRow) -> u64 {
        let number = self.0.last_session.fetch_add(1, Ordering::Relaxed) + 1;
        self.change(LAZY, |pending, due| pending.begin_remote(number, row, due));
        number
    }

    /// Notes what has changed of a session at a remote. Nobody need wait for it, but one that is found doubted is not
    /// believed, so it is not put off.
    pub fn update_remote(&self, session: u64, row: RemoteRow) {
        self.change(Duration::ZERO, |pending, due| pending.update_remote(session, row, due));
    }

    /// Keeps a subscription, or with `None` lets it go. `name` is the filter as the client wrote it, with `$share`.
    pub fn subscribe(&self, session: u64, name: &TopicFilter, row: Option<SubscriptionRow>, receipt: Receipt) {
        self.change(Duration::ZERO, |pending, due| pending.subscribe(session, name.clone(), row, receipt, due));
    }

    /// Notes what one call of a plugin changed of what it remembers; `None`: the key goes. It reaches the disk together or
    /// not at all, and not before what earlier calls changed. `true` says that the plugin had nothing under the key.
    /// Whoever waits for it asks by [`sync`](Self::sync).
    pub fn remember(&self, owner: &Arc<str>, changes: Vec<(String, Option<MemoryRow>, bool)>) {
        self.change(SLOW, |pending, due| {
            let memory = pending.memory(owner, due);
            changes.into_iter().for_each(|(key, row, fresh)| memory.put(key, Remembered { row, fresh }));
        });
    }

    /// Notes when the settings ceased to name a plugin; `None`: they name it.
    pub fn leave_memory(&self, owner: &Arc<str>, left: Option<SystemTime>) {
        self.change(LAZY, |pending, due| pending.memory(owner, due).left = Some(left));
    }

    /// Lets all go that a plugin remembers.
    pub fn end_memory(&self, owner: &Arc<str>) {
        self.change(LAZY, |pending, due| *pending.memory(owner, due) = Memory::end());
    }

    /// Notes a change for the audit log, at once, or soon that it was refused or failed. The oldest go.
    pub fn audit(&self, row: AuditRow) {
        let number = self.0.last_audit.fetch_add(1, Ordering::Relaxed) + 1;
        let patience = if row.was_done() { Duration::ZERO } else { LAZY };
        self.change(patience, |pending, due| pending.audit(number, row, due));
    }

    /// Bytes of a plugin's keys that could not be taken from the disk yet, because that fails; 0 as long as it does not.
    pub fn undeleted(&self, owner: &str) -> usize {
        if self.figures().failing.load(Ordering::Relaxed) { self.pending().gone(owner) } else { 0 }
    }
}

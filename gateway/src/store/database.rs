//! The file itself: its layout, one transaction for a batch, reading everything at the start.
//! `write.rs` and `load.rs` are the rows of most tables, `memories.rs` and `held.rs` those for plugins, `remotes.rs` those
//! for uplinks, `audit.rs` those of the admin page.
//!
//! A write-ahead log with `synchronous = FULL`: a transaction has one wait for the disk and is there after a power cut.
//! The process has the file for itself.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode};

use self::write::{put, take_away};
use super::StoreError;
use super::pending::Batch;
use super::rows::Stored;

mod audit;
mod held;
mod load;
mod memories;
mod remotes;
mod write;

/// What each layout added to the one before, from the first on. The layout's number stands in the file as its user version.
const LAYOUTS: [&str; 6] = [TABLES, memories::TABLES, held::TABLES, held::BEHIND, remotes::TABLES, audit::TABLES];
const LAYOUT: i64 = LAYOUTS.len() as i64;
/// Stands in the file with the layout added, as its application id, so that a flipped bit is not taken for a newer
/// version: the letters `St`.
const MARK: i64 = 0x5374_0000;

const TABLES: &str = "
    CREATE TABLE retained (topic TEXT PRIMARY KEY, message BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE session (id INTEGER PRIMARY KEY, client TEXT NOT NULL, user TEXT, expiry INTEGER NOT NULL,
        left_at INTEGER);
    CREATE TABLE subscription (session INTEGER, name TEXT, qos INTEGER NOT NULL, no_local INTEGER NOT NULL,
        retain_as_published INTEGER NOT NULL, subscription_id INTEGER, PRIMARY KEY (session, name)) WITHOUT ROWID;
    CREATE TABLE queued (id INTEGER PRIMARY KEY, session INTEGER NOT NULL, packet_id INTEGER NOT NULL,
        qos INTEGER NOT NULL, retain INTEGER NOT NULL, subscription_id INTEGER, share TEXT,
        released INTEGER NOT NULL, message BLOB NOT NULL);
    CREATE TABLE received (session INTEGER, packet_id INTEGER, PRIMARY KEY (session, packet_id)) WITHOUT ROWID;
";

/// A cache of 512 KiB; a log that is cut back to 4 MiB; no file of shared memory.
const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA cache_size = -512;
    PRAGMA temp_store = MEMORY;
";

/// Whether trying again is of no use, since the file is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether the machine is at fault and not the file: with room, rights and time it may be readable as it is.
fn is_of_the_machine(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
        )
    )
}

/// The open file.
pub(super) struct Database(Connection);

impl Database {
    /// Opens or makes the file and reads it.
    pub(super) fn open(file: &Path) -> Result<(Self, Stored), StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Open { file: file.into(), why: error.to_string() };
        private(file).map_err(|error| failed(&error))?;
        let (mut stored, damage) = match Self::read(file) {
            Ok((database, stored, None)) => return Ok((database, stored)),
            Ok((_closed, stored, Some(damage))) => (stored, damage),
            Err(Failed::Newer(layout)) => return Err(StoreError::Newer { file: file.into(), layout }),
            Err(Failed::Sqlite(error)) if is_of_the_machine(&error) => return Err(failed(&error)),
            // A damaged header or layout can look like anything.
            Err(Failed::Sqlite(damage)) => (Stored::default(), damage),
        };
        // The new file is complete before the old one goes, in case there is no room for it.
        let new = with(file, ".new");
        Self::make(&new, &stored).map_err(|error| failed(&error))?;
        let aside = set_aside(file, &new).map_err(|error| failed(&error))?;
        log::error!(error:% = damage, kept:% = aside.display(), retained = stored.retained.len(),
            sessions = stored.sessions.len(); "the store was damaged; what could be read of it goes on");
        let database = Self::fresh(file).map_err(|error| failed(&error))?;
        stored.set_aside = Some(aside);
        Ok((database, stored))
    }

    /// Makes a new file that holds all of `stored`.
    fn make(file: &Path, stored: &Stored) -> Result<(), Box<dyn std::error::Error>> {
        let _ = std::fs::remove_file(file);
        private(file)?;
        let mut database = Self::fresh(file)?;
        database.write(&Batch::of(stored))?;
        // Closed, it is one file: its log goes into it.
        database.0.close().map_err(|(_, error)| error.into())
    }

    /// Opens the file and reads what can be read; with what is wrong with the rest.
    fn read(file: &Path) -> Result<(Self, Stored, Option<rusqlite::Error>), Failed> {
        let mut database = Self::fresh(file)?;
        let layout = database.layout()?;
        if layout != LAYOUT {
            let marked: i64 = database.0.query_row("PRAGMA application_id", [], |row| row.get(0))?;
            return Err(if marked == MARK + layout { Failed::Newer(layout) } else { damaged("its layout").into() });
        }
        let mut stored = Stored::default();
        let read = load::all(&database.0, &mut stored);
        let damage = read.and_then(|untidy| database.quick_check().map(|()| untidy));
        let damage = match damage {
            // On a full disk they go another time.
            Ok(true) => database.rewrite(&stored).err().filter(is_damage),
            Ok(false) => None,
            Err(damage) => Some(damage),
        };
        Ok((database, stored, damage))
    }

    fn fresh(file: &Path) -> Result<Self, rusqlite::Error> {
        let connection = Connection::open(file)?;
        connection.execute_batch(SETTINGS)?;
        // The file could be opened for writing; it is its header that says otherwise.
        if connection.is_readonly("main")? {
            return Err(damaged("its header"));
        }
        let database = Self(connection);
        let layout = database.layout()?;
        let older = usize::try_from(layout).ok().and_then(|layout| LAYOUTS.get(layout..)).filter(|new| !new.is_empty());
        if let Some(new) = older {
            // Whose number was damaged has these tables already, which is an error here.
            database.0.execute_batch(&format!(
                "BEGIN IMMEDIATE; {} PRAGMA user_version = {LAYOUT};
                PRAGMA application_id = {}; COMMIT",
                new.concat(),
                MARK + LAYOUT
            ))?;
        }
        Ok(database)
    }

    fn layout(&self) -> Result<i64, rusqlite::Error> {
        self.0.query_row("PRAGMA user_version", [], |row| row.get(0))
    }

    /// Damage outside the rows would show only when it is run into.
    fn quick_check(&self) -> Result<(), rusqlite::Error> {
        let verdict: String = self.0.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict == "ok" { Ok(()) } else { Err(damaged(&format!("the file ({verdict})"))) }
    }

    /// Writes a batch: all of it or nothing.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), rusqlite::Error> {
        let transaction = self.0.transaction()?;
        if let Some(written) = batch.doubted {
            take_away(&transaction, written)?;
        }
        put(&transaction, batch)?;
        transaction.commit()
    }

    /// Lets go all that is not in `stored`: rows of sessions that are gone, and what can't be read.
    fn rewrite(&mut self, stored: &Stored) -> Result<(), rusqlite::Error> {
        let transaction = self.0.transaction()?;
        let sessions = ["session", "remote", "subscription", "queued", "received"];
        for table in sessions.into_iter().chain(["retained", "memory", "left_memory", "held", "audit"]) {
            transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
        put(&transaction, &Batch::of(stored))?;
        transaction.commit()
    }
}

fn damaged(what: &str) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(format!("{what} is damaged")))
}

enum Failed {
    Newer(i64),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Makes the file, for its owner alone. SQLite gives its log the same mode.
fn private(file: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Puts a damaged file and its log aside, in the place of those that were put there before, and the new one in its
/// place. There is a file under its name at every moment.
fn set_aside(file: &Path, new: &Path) -> io::Result<PathBuf> {
    let aside = with(file, ".damaged");
    let _ = std::fs::remove_file(&aside);
    std::fs::hard_link(file, &aside)?;
    let log = with(file, "-wal");
    if log.exists() {
        std::fs::rename(log, with(&aside, "-wal"))?;
    }
    std::fs::rename(new, file)?;
    Ok(aside)
}

/// Seconds since 1970, UTC; before that, 0.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What tests do by hand.
#[cfg(test)]
impl Database {
    /// Makes every transaction fail, as a file system does that has become read-only.
    pub(super) fn break_writes(&self, broken: bool) {
        self.0.pragma_update(None, "query_only", broken).expect("a pragma");
    }
}

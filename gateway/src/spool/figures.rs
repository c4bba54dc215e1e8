//! Counters that others read.

use std::time::Duration;

use serde::Serialize;

/// Records dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dropped {
    /// Newcomers for which there was no room.
    pub full: u64,
    /// Old ones that made room for newer ones. One that was under way to the remote counts too, though it may arrive.
    pub oldest: u64,
    /// Older than `max_age`.
    pub expired: u64,
    /// Newcomers while too much waited for a slow disk.
    pub busy: u64,
    /// What could not be written to a disk that fails, and that the remote did not acknowledge within two seconds.
    pub disk: u64,
    /// Empty or too large.
    pub size: u64,
}

/// What damage cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Quarantined {
    /// Damaged files; they go to `quarantine/` when what is whole in them has been handed on.
    pub files: u64,
    /// Records that are missing, by their sequence numbers.
    pub messages: u64,
    /// Bytes that are no records.
    pub bytes: u64,
}

/// The counters of a spool. What is counted is counted since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// Records that are not acknowledged yet, those in memory and those under way included.
    pub messages: u64,
    /// Of these, handed to the reader and not acknowledged.
    pub in_flight: u64,
    /// What they weigh on disk, or will.
    pub bytes: u64,
    /// What the files take, records included that are acknowledged and not yet removed; without `quarantine/`.
    pub disk_bytes: u64,
    /// How long the oldest record has waited.
    pub oldest_age: Option<Duration>,
    /// Records taken.
    pub appended: u64,
    /// Records that the reader acknowledged.
    pub acknowledged: u64,
    /// Records dropped.
    pub dropped: Dropped,
    /// What damage cost; what was found at opening included.
    pub quarantined: Quarantined,
    /// Writes that failed; they are tried again.
    pub write_errors: u64,
    /// Bytes given to the disk to write.
    pub bytes_written: u64,
    /// Waits for the disk.
    pub syncs: u64,
    /// The last try to write failed.
    pub failing: bool,
    /// What went wrong last, in words.
    pub last_error: Option<String>,
}

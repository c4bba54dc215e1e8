//! Looking at the files of a spool that nobody has open. Changes nothing.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;

use super::cursor::{self, Place};
use super::disk::{Disk, RealDisk};
use super::files::QUARANTINE;
use super::folder::LOCK;
use super::opening::{Survey, survey, whole};
use super::segment::{Bounds, scan};
use super::{Priority, Quarantined, Seq, SpoolError};

/// The names of all uplinks that have a folder in `folder`, in order.
///
/// # Errors
/// What the system says, but for a folder that is not there, which is one without any.
pub fn uplinks(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What is in a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneContents {
    /// Which: `alarm` or `bulk`.
    pub lane: &'static str,
    /// Records that are not acknowledged.
    pub messages: u64,
    /// What they take in the files.
    pub bytes: u64,
    /// The number of the first of them, and that behind the last.
    pub first: u64,
    /// See `first`.
    pub end: u64,
    /// Files, and what they hold, acknowledged records included.
    pub files: usize,
    /// See `files`.
    pub file_bytes: u64,
}

/// What is in a spool, by its files' ends: what is between is only looked at by [`Stopped::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Alarms, and bulk.
    pub lanes: Vec<LaneContents>,
    /// Whether it is known how far the remote has acknowledged.
    pub cursor: bool,
    /// It was closed in order.
    pub clean: bool,
    /// What damage is seen to have cost.
    pub damage: Quarantined,
    /// Damaged files that are kept aside, and their bytes.
    pub kept_aside: (usize, u64),
}

/// How a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it was written.
    Whole,
    /// The end of the process left its end half-written. The next start repairs that.
    Unfinished,
    /// Something in it is no record any more.
    Damaged,
}

/// What a look through one file found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its path in the spool's folder.
    pub file: String,
    /// How it is.
    pub state: State,
    /// Its length.
    pub bytes: u64,
    /// Whole records, those that are acknowledged included.
    pub records: u64,
    /// Records that are missing and not acknowledged.
    pub lost: u64,
}

/// A record as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub seq: Seq,
    /// What was appended.
    pub bytes: Bytes,
}

/// The files of a spool that nobody has open, and that nobody opens meanwhile.
pub struct Stopped {
    disk: RealDisk,
    place: Option<Place>,
    _lock: Option<File>,
}

impl Stopped {
    /// Takes the folder for looking at it.
    ///
    /// # Errors
    /// When it is not there, can't be read, or a gateway has it open.
    pub fn open(folder: &Path) -> Result<Self, SpoolError> {
        let explain = |why: io::Error| SpoolError::Folder { folder: folder.to_owned(), why };
        std::fs::read_dir(folder).map_err(explain)?;
        let lock = match File::open(folder.join(LOCK)) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => return Err(SpoolError::Locked { folder: folder.to_owned() }),
                Err(TryLockError::Error(why)) => return Err(explain(why)),
            },
            // Copied without it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(explain(error)),
        };
        let disk = RealDisk(PathBuf::from(folder));
        let place = cursor::read(&disk).flatten();
        Ok(Self { disk, place, _lock: lock })
    }

    fn surveys(&self) -> [Survey; 2] {
        Priority::ALL.map(|priority| survey(&self.disk, priority, self.place.as_ref()))
    }

    /// What is in it.
    pub fn contents(&self) -> Contents {
        let surveys = self.surveys();
        let mut damage = Quarantined::default();
        for found in surveys.iter().map(|survey| survey.quarantined) {
            damage.files += found.files;
            damage.messages += found.messages;
            damage.bytes += found.bytes;
        }
        let aside = self.disk.list(QUARANTINE).unwrap_or_default();
        Contents {
            lanes: surveys.iter().map(lane).collect(),
            cursor: self.place.is_some(),
            clean: self.place.is_some_and(|place| place.clean),
            damage,
            kept_aside: (aside.len(), aside.iter().map(|(_, bytes)| bytes).sum()),
        }
    }

    /// Looks through every byte. One report for each file, and the records that are missing between files or behind them.
    pub fn verify(&self) -> (Vec<FileReport>, u64) {
        let (mut reports, mut missing) = (Vec::new(), 0);
        for survey in self.surveys() {
            for (n, segment) in survey.segments.iter().enumerate() {
                // What is missing behind a file with a footer was in another.
                let next = survey.segments.get(n + 1).map(|next| next.name.base);
                let until = next.filter(|_| survey.scans[n].is_some());
                let bytes = whole(&self.disk, survey.priority, segment.name, u64::MAX).unwrap_or_default();
                let found = scan(&bytes, segment.name, Bounds { until, ..survey.bounds(next) }, |_, _, _| {});
                let state = if found.lost_bytes > 0 || found.lost > 0 || found.headless_for_certain {
                    State::Damaged
                } else if found.torn_bytes == 0 && (found.sealed || until.is_some()) {
                    State::Whole
                } else {
                    State::Unfinished
                };
                let file = format!("{}/{}", survey.priority.as_str(), segment.name);
                let (bytes, records, lost) = (bytes.len() as u64, found.count, found.lost);
                reports.push(FileReport { file, state, bytes, records, lost });
            }
            let in_files: u64 = survey.scans.iter().flatten().map(|scan| scan.lost).sum();
            missing += survey.quarantined.messages - in_files;
        }
        (reports, missing)
    }

    /// Gives every record that is not acknowledged to `each`, alarms first, in order, until that says `false`.
    pub fn export(&self, mut each: impl FnMut(Stored) -> bool) {
        let mut go_on = true;
        for survey in self.surveys() {
            for (n, segment) in survey.segments.iter().enumerate() {
                let until = survey.segments.get(n + 1).map(|next| next.name.base);
                let bytes = whole(&self.disk, survey.priority, segment.name, segment.bytes).unwrap_or_default();
                scan(&bytes, segment.name, survey.bounds(until), |number, _, record| {
                    if go_on && number >= survey.acked {
                        let seq = Seq { priority: survey.priority, number };
                        go_on = each(Stored { seq, bytes: Bytes::copy_from_slice(record) });
                    }
                });
                if !go_on {
                    return;
                }
            }
        }
    }
}

fn lane(survey: &Survey) -> LaneContents {
    LaneContents {
        lane: survey.priority.as_str(),
        messages: survey.messages,
        bytes: survey.weight,
        first: survey.acked,
        end: survey.end,
        files: survey.segments.len(),
        file_bytes: survey.segments.iter().map(|segment| segment.bytes).sum(),
    }
}

//! What the gateway's figures were: an hour in steps of 10 seconds, two days in steps of 5 minutes.
//!
//! Owns the rings and their file. Never knows what a series means: whoever samples names them. `rings.rs` is the rings,
//! `file.rs` their copy on disk, which is written hourly and at the end: a power cut costs an hour at most.
//!
//! Steps are counted by the clock that never jumps, so that a wall clock that is set or steps bends no line. The wall clock
//! says one thing only: how long the gateway was off. Where it can't be trusted at both ends, that stays open until it can.

mod file;
mod rings;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::rings::Ring;
use crate::message::Received;
use crate::whole_file;

/// Between two samples.
pub const STEP: Duration = Duration::from_secs(10);

/// Between two times that the history is written. A file of a small gateway has 200 KiB, of the largest 900.
pub const SAVE_PERIOD: Duration = Duration::from_secs(3600);

/// Series that are kept. Each holds 936 points of four bytes, so all of them stay below 1 MB.
pub const SERIES_MAX: usize = 224;

/// The longest name of a series, in bytes.
const NAME_MAX_BYTES: usize = 160;

/// The file's name in the data folder.
const FILE: &str = "history.bin";

/// What a damaged one is called; the last of them stays.
const DAMAGED: &str = "history.damaged";

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// A counter that only grows; it begins anew with its owner. Kept as a rate in a second.
    Count(u64),
    /// How much of something there is.
    Level(f64),
    /// The sum of all values so far and how many they are. Kept as the mean of those of a step; none in a step is a gap.
    Mean {
        /// Of the values.
        sum: f64,
        /// Of the values.
        count: u64,
    },
}

/// How far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// 360 steps of 10 seconds.
    Hour,
    /// 576 steps of 5 minutes, each the mean of what was known in it.
    TwoDays,
}

impl Span {
    /// Between two points.
    pub fn step(self) -> Duration {
        match self {
            Self::Hour => STEP,
            Self::TwoDays => STEP * rings::COARSE,
        }
    }

    /// Points that are kept.
    pub fn points(self) -> usize {
        match self {
            Self::Hour => 360,
            Self::TwoDays => 576,
        }
    }
}

/// The history. Shared by whoever samples and whoever draws.
#[derive(Debug)]
pub struct History {
    ring: Mutex<Ring>,
    folder: PathBuf,
}

impl History {
    /// What was saved in this data folder, or an empty one. A damaged file is set aside and said. Reads a file.
    pub fn open(data_dir: &Path, now: Received) -> Self {
        let path = data_dir.join(FILE);
        let ring = match file::read(&path) {
            Ok(Some(saved)) => Ring::restored(saved, now),
            Ok(None) => Ring::default(),
            Err(error) => {
                let aside = data_dir.join(DAMAGED);
                let moved = std::fs::rename(&path, &aside);
                log::warn!(error:% = error, moved = moved.is_ok(), aside:% = aside.display();
                    "the saved history can't be used; it begins anew");
                Ring::default()
            }
        };
        Self { ring: Mutex::new(ring), folder: data_dir.to_owned() }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic between two pushes leaves a series a point short, which its next one mends.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what was measured now. Asked for every [`STEP`]; what comes much later leaves a gap, what comes again within
    /// a step is let go. Names beyond [`SERIES_MAX`] are left out, the last ones first, and said once.
    pub fn sample(&self, now: Received, readings: impl IntoIterator<Item = (String, Reading)>) {
        let told = self.ring().sample(now, readings);
        if told {
            log::warn!(most = SERIES_MAX; "there is more to chart than the history keeps; some of it is left out");
        }
    }

    /// Writes all of it, for the next start. Waits for the disk.
    ///
    /// # Errors
    /// What the system says; the file is what it was.
    pub fn save(&self, now: Received) -> io::Result<()> {
        // Not under the lock: a slow disk must not hold up whoever draws.
        let bytes = file::encode(&self.ring(), now.trusted());
        whole_file::write(&self.folder.join(FILE), &bytes, 0o600, &self.folder)
    }

    /// The points of a series, oldest first, the last of them now; a gap is NaN. `None` where there is no such series.
    pub fn points(&self, name: &str, span: Span) -> Option<Vec<f32>> {
        self.ring().points(name, span)
    }

    /// The names of all series, in order.
    pub fn names(&self) -> Vec<String> {
        self.ring().names()
    }

    /// The end of each name that begins so, in order: `7`, `8`, `12` for `radio/roof/sf/`.
    pub fn below(&self, prefix: &str) -> Vec<String> {
        self.names().iter().filter_map(|name| Some(name.strip_prefix(prefix)?.to_owned())).collect()
    }

    /// How many a counter has counted in the span, by its rates. 0 where there is no such series.
    pub fn counted(&self, name: &str, span: Span) -> f64 {
        let points = self.points(name, span).unwrap_or_default();
        let rates: f64 = points.iter().filter(|rate| rate.is_finite()).map(|rate| f64::from(*rate)).sum();
        rates * span.step().as_secs_f64()
    }
}

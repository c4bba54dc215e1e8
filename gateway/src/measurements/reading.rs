//! Looking through what is kept: a range of time and some topics, oldest first, in a thread that may wait for the disk.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::message::{Message, TopicFilter};
use crate::spool::{FileId, Spool};

/// Those who look through at once: each has a thread, and a file in memory.
const READERS: usize = 4;

/// Too many look through what is kept already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{READERS} others are reading measurements; try again in a moment")]
pub struct Busy;

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// Not before this.
    pub from: Option<SystemTime>,
    /// Before this.
    pub to: Option<SystemTime>,
    /// Under one of these; all where there are none.
    pub topics: Vec<TopicFilter>,
}

impl Range {
    fn has_time(&self, time: SystemTime) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }

    fn has(&self, message: &Message) -> bool {
        let topic = message.topic.as_str();
        self.has_time(message.received.wall) && (self.topics.is_empty() || self.topics.iter().any(|f| f.matches(topic)))
    }

    /// Whether anything between these may be wanted.
    fn touches(&self, (first, last): (SystemTime, SystemTime)) -> bool {
        self.from.is_none_or(|from| last >= from) && self.to.is_none_or(|to| first < to)
    }
}

/// What is known of files that are ended: the earliest and the latest time in each. The wall clock may have been set in
/// between, so it is learnt from all of a file, when that is read.
#[derive(Clone)]
pub(super) struct Spans {
    known: Arc<Mutex<BTreeMap<FileId, (SystemTime, SystemTime)>>>,
    places: Arc<Semaphore>,
}

impl Default for Spans {
    fn default() -> Self {
        Self { known: Arc::default(), places: Arc::new(Semaphore::new(READERS)) }
    }
}

impl Spans {
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Busy> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)
    }

    /// Of these files, those that may have something of a range; and forgets files that are gone.
    fn worth(&self, files: Vec<(FileId, bool)>, range: &Range) -> Vec<(FileId, bool)> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|file, _| files.iter().any(|(there, _)| there == file));
        files.into_iter().filter(|(file, _)| known.get(file).is_none_or(|span| range.touches(*span))).collect()
    }

    fn learn(&self, file: FileId, span: (SystemTime, SystemTime)) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(file, span);
    }
}

/// A look through what is kept.
pub struct Reading {
    folder: PathBuf,
    range: Range,
    spans: Spans,
    _place: OwnedSemaphorePermit,
}

impl Reading {
    pub(super) fn new(folder: PathBuf, range: Range, spans: Spans, place: OwnedSemaphorePermit) -> Self {
        Self { folder, range, spans, _place: place }
    }

    /// Gives each message of the range to `each`, in the order in which they came, until that breaks, which it then says.
    /// Before each file `is_wanted` is asked whether it is to go on: there may be many with nothing of the range. Waits for
    /// the disk.
    ///
    /// # Errors
    /// When the folder or a file can't be read; a folder that is not there is one without measurements.
    pub fn run(
        self,
        is_wanted: impl Fn() -> bool,
        mut each: impl FnMut(Message) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let mut browser = match Spool::browse(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ControlFlow::Continue(())),
            browser => browser?,
        };
        let mut unreadable = 0_u64;
        let mut going = ControlFlow::Continue(());
        for (file, ended) in self.spans.worth(browser.files().collect(), &self.range) {
            if !is_wanted() {
                going = ControlFlow::Break(());
                break;
            }
            let mut span: Option<(SystemTime, SystemTime)> = None;
            going = browser.records(file, |record| {
                let Ok(message) = Message::from_record(record) else {
                    unreadable += 1;
                    return ControlFlow::Continue(());
                };
                let time = message.received.wall;
                span = Some(span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
                if self.range.has(&message) { each(message) } else { ControlFlow::Continue(()) }
            })?;
            if going.is_break() {
                break;
            }
            if let Some(span) = span.filter(|_| ended) {
                self.spans.learn(file, span);
            }
        }
        let lost = browser.lost() + unreadable;
        if lost > 0 {
            log::warn!(records = lost; "kept measurements are damaged; what is whole is read");
        }
        Ok(going)
    }
}

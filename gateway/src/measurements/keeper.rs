//! Takes the messages that are to be kept, at the pipeline's end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

use super::{NAME, spool_settings};
use crate::config;
use crate::message::{Message, Receipt, Topic};
use crate::pipeline::Carrier;
use crate::spool::{Priority, Spool, SpoolSettings};

pub(super) struct Keeper {
    settings: Mutex<config::Measurements>,
    spool: OnceLock<Spool>,
    not_open: AtomicU64,
}

impl Keeper {
    pub(super) fn new(settings: &config::Measurements) -> Self {
        Self { settings: Mutex::new(settings.clone()), spool: OnceLock::new(), not_open: AtomicU64::new(0) }
    }

    fn wanted(&self) -> MutexGuard<'_, config::Measurements> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> SpoolSettings {
        spool_settings(&self.wanted())
    }

    /// Takes other settings from now on.
    pub(super) fn set(&self, settings: &config::Measurements) {
        self.wanted().clone_from(settings);
        if let Some(spool) = self.spool.get() {
            spool.set(self.settings());
        }
    }

    /// The files are there. The settings may be others than those they were opened with.
    pub(super) fn opened(&self, spool: Spool) {
        spool.set(self.settings());
        // There is none yet: the folder has a lock, so nobody opens it twice at once.
        let _ = self.spool.set(spool);
    }

    pub(super) fn spool(&self) -> Option<Spool> {
        self.spool.get().cloned()
    }

    /// Messages that came while the files were not open.
    pub(super) fn not_open(&self) -> u64 {
        self.not_open.load(Ordering::Relaxed)
    }
}

impl Carrier for Keeper {
    fn name(&self) -> &str {
        NAME
    }

    fn wants(&self, message: &Message) -> bool {
        self.wanted().topics.iter().any(|filter| filter.matches(message.topic.as_str()))
    }

    fn take(&self, record: Bytes, _: &Message, _: Option<Receipt>) {
        match self.spool.get() {
            // What is refused is counted there.
            Some(spool) => drop(spool.try_append(record, Priority::Bulk, None)),
            None => _ = self.not_open.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn answers(&self) -> bool {
        false
    }

    fn holds_up(&self, _: &Topic) -> bool {
        false
    }
}

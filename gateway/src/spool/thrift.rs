//! When what waits for the disk is written: soon for those who wait for it, and yet seldom. Pure.
//!
//! A batch goes when it is full, or when its first record has waited for `interval`. Where somebody waits for a receipt it
//! goes as soon as nobody has added anything for a moment: those who wait may have nothing more to add before they are told,
//! and then the rest of the interval would gather nothing. Other records may come nevertheless, on their own time, and one
//! that is written alone costs the card many times what it costs in a batch. So an early write of few records has to be
//! afforded: one an interval is, and some can be saved up. In the long run an interval has at most two small writes, one
//! that is due and one that is early, and a publisher who comes now and then is never held up.

use super::settings::SpoolSettings;

/// For so long nobody must have added anything, in milliseconds of a clock that shows whole ones.
const SILENCE: u64 = 1;
/// From so many records on, or a tenth of a batch, one costs little more than in a full batch.
const SOME: usize = 10;
/// Early writes of few records that can be saved up.
const SAVED: u64 = 20;

/// What waits in a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) records: usize,
    /// When the first and the last of them were appended.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Somebody waits for one of them to be safe.
    pub(super) awaited: bool,
}

impl Waiting {
    fn is_full(&self, settings: &SpoolSettings) -> bool {
        self.records >= settings.batch
    }

    fn are_few(&self, settings: &SpoolSettings) -> bool {
        !self.is_full(settings) && self.records < SOME.max(settings.batch / 10)
    }

    /// When the first of them has waited for long enough.
    fn at_last(&self, settings: &SpoolSettings) -> u64 {
        self.first.saturating_add(interval(settings))
    }
}

fn interval(settings: &SpoolSettings) -> u64 {
    u64::try_from(settings.interval.as_millis()).unwrap_or(u64::MAX)
}

/// What has been spent on early writes.
#[derive(Debug, Default)]
pub(super) struct Thrift {
    /// When as many intervals will have passed as there were early writes of few records.
    paid: u64,
}

impl Thrift {
    /// When it is to be written.
    pub(super) fn due(&self, waiting: &Waiting, settings: &SpoolSettings) -> u64 {
        if waiting.is_full(settings) {
            return 0;
        }
        let at_last = waiting.at_last(settings);
        if !waiting.awaited {
            return at_last;
        }
        let saved = interval(settings).saturating_mul(SAVED - 1);
        let affordable = if waiting.are_few(settings) { self.paid.saturating_sub(saved) } else { 0 };
        at_last.min(affordable.max(waiting.last.saturating_add(SILENCE)))
    }

    /// It is written now.
    pub(super) fn spend(&mut self, waiting: &Waiting, settings: &SpoolSettings, now: u64) {
        if waiting.are_few(settings) && now < waiting.at_last(settings) {
            self.paid = self.paid.max(now).saturating_add(interval(settings));
        }
    }
}

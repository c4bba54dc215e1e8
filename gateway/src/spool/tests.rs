//! The spool over disks that fail, on real files that are damaged, and with its thread.

mod damage;
mod live;
mod looking;
mod model;
mod policies;
mod ring;
mod sim;
mod writes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use self::sim::SimDisk;
use super::*;
use crate::message::{Awaited, ClockQuality, Promise};

/// A clock that stands still unless it is put on.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    fn put_on(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn now(&self) -> Now {
        let (start, passed) = (Instant::now(), Arc::clone(&self.0));
        Arc::new(move || {
            let passed = Duration::from_millis(passed.load(Ordering::Relaxed));
            Received {
                wall: UNIX_EPOCH + Duration::from_secs(1_000_000_000) + passed,
                monotonic: start + passed,
                clock: ClockQuality::Synchronised,
            }
        })
    }
}

/// A spool over a simulated disk, whose thread is the test.
struct Bench {
    disk: SimDisk,
    hand: Hand,
    settings: SpoolSettings,
    spool: Spool,
    worker: Worker,
    opened: Opened,
}

fn kept(awaited: &Awaited) -> bool {
    awaited.promise() == Promise::Kept
}

fn small() -> SpoolSettings {
    SpoolSettings { segment_bytes: 4096, max_bytes: BYTES_MIN, policy: Policy::Block, ..SpoolSettings::default() }
}

impl Bench {
    fn new(settings: SpoolSettings) -> Self {
        Self::over(SimDisk::default(), Hand::new(), settings)
    }

    fn over(disk: SimDisk, hand: Hand, settings: SpoolSettings) -> Self {
        let opened = Spool::over(Box::new(disk.clone()), "cloud", settings.clone(), hand.now(), None);
        let (spool, worker, opened) = opened.unwrap();
        if !settings.ring {
            spool.0.0.state().lanes.iter_mut().for_each(|lane| lane.window.most = 8);
        }
        Self { disk, hand, settings, spool, worker, opened }
    }

    /// The process ends at once, and with it what the disk has not been told to keep.
    fn crash(self, dice: &mut sim::Dice) -> Self {
        let Self { disk, hand, settings, .. } = self;
        disk.heal();
        disk.crash(dice);
        Self::over(disk, hand, settings)
    }

    /// Orderly.
    fn again(mut self) -> Self {
        self.spool.0.0.change(State::close);
        assert!(!self.worker.turn());
        Self::over(self.disk.clone(), self.hand.clone(), self.settings.clone())
    }

    /// Has the thread do what is due so many milliseconds from now.
    fn turn(&mut self, after: u64) {
        self.hand.put_on(Duration::from_millis(after));
        self.worker.turn();
    }

    /// Of which nobody waits to be told.
    fn append_unawaited(&self, text: &str, priority: Priority) -> Result<(), Refused> {
        let appended = self.spool.try_append(Bytes::from(text.to_owned()), priority, None);
        appended.map_err(|refused| refused.why)
    }

    fn append(&self, text: &str, priority: Priority) -> Result<Awaited, Refused> {
        let (receipt, awaited) = Receipt::new(Arc::default(), None);
        self.spool.try_append(Bytes::from(text.to_owned()), priority, Some(receipt)).map_err(|refused| {
            refused.receipt.unwrap().settle();
            refused.why
        })?;
        Ok(awaited)
    }

    /// All that there is, acknowledged or not.
    fn read(&mut self, acknowledge: bool) -> Vec<String> {
        let reader = self.spool.reader().unwrap();
        let mut texts = Vec::new();
        loop {
            self.worker.turn();
            let batch = self.spool.0.0.change(|state| state.hand_out(100, usize::MAX));
            if batch.is_empty() {
                return texts;
            }
            for record in batch {
                texts.push(String::from_utf8(record.bytes.to_vec()).unwrap());
                assert!(!acknowledge || reader.acknowledge(record.seq));
            }
        }
    }

    fn figures(&self) -> Figures {
        self.spool.figures()
    }
}

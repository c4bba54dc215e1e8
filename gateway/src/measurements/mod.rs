//! Measurements that are kept on this machine for a while: what modems and probes say, to be looked through later.
//!
//! Owns the folder `<data-dir>/measurements/`. Records lie in segments of the room `spool`, of which the oldest go. Never
//! holds up a message: what can't be kept is counted. `keeper.rs` takes messages at the pipeline's end, `reading.rs` looks
//! through what is kept while more comes.

mod keeper;
mod reading;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::reading::{Busy, Range, Reading};

use self::keeper::Keeper;
use self::reading::Spans;
use crate::config;
use crate::pipeline::{Carrier, Pipeline};
use crate::spool::{Figures, Policy, Spool, SpoolSettings};
use crate::supervisor::{Rank, Supervisor, UnitError};

/// The folder's name in the data folder; that of the carrier and the unit, too.
pub const NAME: &str = "measurements";
/// How long its unit may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// So many records that wait are written without waiting for more.
const BATCH: usize = 500;

/// How the keeping goes.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Those of the files; `None` while they can't be opened.
    pub files: Option<Figures>,
    /// Messages that were not kept since then.
    pub not_open: u64,
}

/// What is kept. A handle is an `Arc` of it.
pub struct Measurements {
    folder: PathBuf,
    pipeline: Arc<Pipeline>,
    supervisor: Supervisor,
    keeper: Mutex<Option<Arc<Keeper>>>,
    spans: Spans,
}

impl Measurements {
    /// Nothing is kept yet.
    pub fn new(data_dir: &Path, pipeline: Arc<Pipeline>, supervisor: Supervisor) -> Arc<Self> {
        let folder = data_dir.join(NAME);
        Arc::new(Self { folder, pipeline, supervisor, keeper: Mutex::default(), spans: Spans::default() })
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Arc<Keeper>>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what these settings name from now on. When it returns, it does, unless the files can't be opened, which is
    /// tried again.
    pub async fn set(self: &Arc<Self>, settings: &config::Measurements) {
        if !settings.enabled {
            self.supervisor.stop(NAME, STOP_PATIENCE).await;
            self.close().await;
            return;
        }
        if let Some(keeper) = &*self.keeper() {
            return keeper.set(settings);
        }
        let keeper = Arc::new(Keeper::new(settings));
        *self.keeper() = Some(Arc::clone(&keeper));
        self.pipeline.carry(Arc::clone(&keeper) as Arc<dyn Carrier>);
        if let Err(error) = self.open(&keeper).await {
            log::error!(error:% = error; "measurements can't be kept; it is tried again");
        }
        let own = Arc::clone(self);
        self.supervisor.start(NAME, Rank::Uplinks, move |stop| Arc::clone(&own).run(Arc::clone(&keeper), stop));
    }

    /// The unit: there as long as the files are open.
    async fn run(self: Arc<Self>, keeper: Arc<Keeper>, stop: CancellationToken) -> Result<(), UnitError> {
        self.open(&keeper).await?;
        stop.cancelled().await;
        Ok(())
    }

    async fn open(&self, keeper: &Arc<Keeper>) -> Result<(), UnitError> {
        if keeper.spool().is_some() {
            return Ok(());
        }
        let (folder, clock, settings) = (self.folder.clone(), Arc::clone(&self.pipeline), keeper.settings());
        let opening = move || Spool::open(&folder, NAME, settings, Arc::new(move || clock.clock().now()));
        let (spool, _) = tokio::task::spawn_blocking(opening).await??;
        keeper.opened(spool);
        Ok(())
    }

    /// Writes what waits and keeps nothing more. Says whether all of it is on disk.
    pub async fn close(&self) -> bool {
        self.pipeline.carry_no_more(NAME);
        let keeper = self.keeper().take();
        let Some(spool) = keeper.and_then(|keeper| keeper.spool()) else { return true };
        match spool.close().await {
            Ok(()) => true,
            Err(error) => {
                log::error!(error = error; "the last measurements could not be written");
                false
            }
        }
    }

    /// How it goes; `None` where nothing is to be kept.
    pub fn shown(&self) -> Option<Shown> {
        let keeper = self.keeper().clone()?;
        Some(Shown { files: keeper.spool().map(|spool| spool.figures()), not_open: keeper.not_open() })
    }

    /// Begins to look through what is kept. What waits for the disk is written before.
    ///
    /// # Errors
    /// When too many look already.
    pub async fn read(&self, range: Range) -> Result<Reading, Busy> {
        let place = self.spans.place()?;
        let spool = self.keeper().as_ref().and_then(|keeper| keeper.spool());
        if let Some(spool) = spool {
            // A disk that fails is told of elsewhere; what it has is read all the same.
            let _ = spool.flush().await;
        }
        Ok(Reading::new(self.folder.clone(), range, self.spans.clone(), place))
    }
}

fn spool_settings(settings: &config::Measurements) -> SpoolSettings {
    SpoolSettings {
        batch: BATCH,
        interval: settings.interval,
        max_bytes: settings.max_bytes,
        max_age: Some(settings.max_age),
        policy: Policy::DropOldest,
        segment_bytes: (settings.max_bytes / 32).clamp(128 << 10, 1 << 20),
        ring: true,
        ..SpoolSettings::default()
    }
}

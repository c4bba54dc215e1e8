//! The unit that writes what is pending, and the last writing at the end.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Store;
use super::database::is_damage;
use crate::supervisor::UnitError;
use crate::wait::sleep_until;

/// Between two tries on a disk that fails.
const AGAIN: Duration = Duration::from_secs(1);

impl Store {
    /// Writes what is pending when it is due, until told to stop. What a failed transaction held is tried again with the
    /// next one, `AGAIN` later.
    pub async fn run(self, stop: CancellationToken) -> Result<(), UnitError> {
        let mut failing = false;
        loop {
            let due = self.pending().due();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.0.hurried.notified() => continue,
                () = sleep_until(due.map(tokio::time::Instant::from_std)) => {}
            }
            match self.flush().await {
                Ok(()) if failing => log::warn!("the store can be written again"),
                Err(error) if !failing => {
                    log::error!(error:% = error; "the store can't be written; what needs it is not acknowledged");
                }
                _ => {}
            }
            failing = self.figures().failing.load(Ordering::Relaxed);
            if failing && stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes everything that is pending now.
    ///
    /// # Errors
    /// When the transaction failed. What it held is pending again.
    pub async fn flush(&self) -> Result<(), UnitError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.write()).await?
    }

    /// Waits until the file turns out to be damaged. Then only a new start helps: it sets the file aside.
    pub async fn corrupted(&self) {
        self.0.corrupted.cancelled().await;
    }

    fn write(&self) -> Result<(), UnitError> {
        // Held from before the batch is taken, so that two who write do so in the order of the changes.
        let mut database = self.0.database.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = self.pending().take();
        if batch.is_empty() {
            self.pending().written(&batch);
            return Ok(());
        }
        let figures = self.figures();
        match database.write(&batch) {
            Ok(()) => {
                figures.commits.fetch_add(1, Ordering::Relaxed);
                figures.changes.fetch_add(batch.len() as u64, Ordering::Relaxed);
                figures.failing.store(false, Ordering::Relaxed);
                self.pending().written(&batch);
                batch.settle();
                Ok(())
            }
            Err(error) => {
                figures.failures.fetch_add(1, Ordering::Relaxed);
                figures.failing.store(true, Ordering::Relaxed);
                if is_damage(&error) {
                    self.0.corrupted.cancel();
                }
                self.pending().give_back(batch, Instant::now());
                Err(error.into())
            }
        }
    }
}

//! What goes on of updates when the page is no longer looked at: an installation that was begun here is seen to its end, so that
//! the log has it; and the wish that the machine start again, which systemd sees as a file.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::Sources;
use crate::supervisor::UnitError;
use crate::update::{Begun, Record};
use crate::whole_file;

/// RAUC does one thing at a time; one more may have begun while the end of the last is told.
const UNDER_WAY: usize = 2;
/// What stile-reboot.path waits for, in the folder of stile.service below /run.
const REBOOT: &str = "reboot";

/// See the module's head.
pub struct Updates {
    /// Which installation was found good last.
    pub(super) record: Record,
    /// The folder below /run, where systemd has made one.
    runtime: Option<PathBuf>,
    begun: mpsc::Sender<Begun>,
    under_way: Mutex<mpsc::Receiver<Begun>>,
}

impl Updates {
    /// Of a gateway with this folder below /run.
    pub fn new(runtime: Option<PathBuf>) -> Self {
        let (begun, under_way) = mpsc::channel(UNDER_WAY);
        Self { record: Record::at(Record::PATH.as_ref()), runtime, begun, under_way: Mutex::new(under_way) }
    }

    /// Has it seen to its end.
    pub(super) fn see_through(&self, begun: Begun) {
        // Where it can't be, it goes on all the same: RAUC does it.
        let _ = self.begun.try_send(begun);
    }

    /// Whether the machine can be started again from here.
    pub(super) fn restarts_machine(&self) -> bool {
        self.runtime.is_some()
    }

    /// Has systemd start the machine again. Waits for the disk, which here is memory.
    ///
    /// # Errors
    /// In words.
    pub(super) fn restart_machine(&self) -> Result<(), String> {
        let runtime =
            self.runtime.as_ref().ok_or("this gateway was not started by its unit; start the machine again by hand")?;
        let path = runtime.join(REBOOT);
        whole_file::write(&path, b"", 0o600, runtime)
            .map_err(|error| format!("{}: {error}; start the machine again by hand", path.display()))
    }
}

/// Sees installations to their end, one after the other, until told to stop.
///
/// # Errors
/// None.
pub async fn see_updates_through(sources: Arc<Sources>, stop: CancellationToken) -> Result<(), UnitError> {
    let mut under_way = sources.updates.under_way.lock().await;
    while let Some(Some(begun)) = stop.run_until_cancelled(under_way.recv()).await {
        let version = begun.bundle.version;
        match stop.run_until_cancelled(begun.installing.finish(|_| {})).await {
            Some(Ok(())) => {
                log::info!(version = version; "an update is installed; it runs when the machine has been started again");
            }
            Some(Err(error)) => {
                log::error!(version = version, error:% = error; "an update could not be installed; what runs goes on");
            }
            None => break,
        }
    }
    Ok(())
}

//! What goes on of updates when the page is no longer looked at: an installation that was begun here is seen to its end, so that
//! the log has it, and what was sent for it is removed; and the wish that the machine start again, which systemd sees as a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::Sources;
use crate::supervisor::UnitError;
use crate::update::{Begun, Landing, Record, Sent};
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
    /// Where a bundle goes that is sent here.
    landing: Arc<Landing>,
    begun: mpsc::Sender<(Begun, Option<Sent>)>,
    under_way: Mutex<mpsc::Receiver<(Begun, Option<Sent>)>>,
}

impl Updates {
    /// Of a gateway with this data folder and this one below /run. What is left of an upload that was cut off is removed.
    pub fn new(data_dir: &Path, runtime: Option<PathBuf>) -> Self {
        let (begun, under_way) = mpsc::channel(UNDER_WAY);
        let (record, landing) = (Record::at(Record::PATH.as_ref()), Arc::new(Landing::new(data_dir)));
        Self { record, runtime, landing, begun, under_way: Mutex::new(under_way) }
    }

    /// Has it seen to its end, and what was sent for it removed then.
    pub(super) fn see_through(&self, begun: Begun, sent: Option<Sent>) {
        // Where it can't be, it goes on all the same: RAUC does it, and has the file open.
        let _ = self.begun.try_send((begun, sent));
    }

    /// Where a bundle goes that is sent here.
    pub(super) fn landing(&self) -> Arc<Landing> {
        Arc::clone(&self.landing)
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
    while let Some(Some((begun, _sent))) = stop.run_until_cancelled(under_way.recv()).await {
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

//! What the gateway as a whole can be told by the System page: that it is to start again, and with an empty data folder;
//! and which certificates it shows, which the wiring tells after each change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::certificate::Files;
use crate::config::Settings;
use crate::factory_reset;
use crate::tls::{self, Certificate};

/// A certificate that is shown: for what, whether it is the gateway's own making, and what it says.
pub(super) type Shown = (&'static str, bool, Certificate);

/// See the module's head.
pub struct System {
    data_dir: PathBuf,
    started_by_systemd: bool,
    certificates: RwLock<Arc<[Shown]>>,
    restart: Notify,
}

impl System {
    /// Of the gateway with this data folder. `started_by_systemd` says whether somebody is there to start it again.
    pub fn new(data_dir: &Path, started_by_systemd: bool) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            started_by_systemd,
            certificates: RwLock::new([].into()),
            restart: Notify::new(),
        }
    }

    /// Takes the certificates in the place of those of before: what each is for, whether the gateway has made it itself, and
    /// what it says.
    pub fn show_certificates(&self, certificates: Vec<(&'static str, bool, Certificate)>) {
        *self.certificates.write().unwrap_or_else(PoisonError::into_inner) = certificates.into();
    }

    /// Waits until the gateway is to end so that it can start again.
    pub async fn restart_wanted(&self) {
        self.restart.notified().await;
    }

    pub(super) fn certificates(&self) -> Arc<[Shown]> {
        Arc::clone(&self.certificates.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether systemd starts the gateway again when it ends.
    pub(super) fn is_started_again(&self) -> bool {
        self.started_by_systemd
    }

    /// Ends the gateway in order; who has started it starts it again.
    pub(super) fn restart(&self) {
        self.restart.notify_one();
    }

    /// The files that these settings name and a factory reset would remove.
    pub(super) fn would_miss(&self, settings: &Settings) -> Vec<PathBuf> {
        settings.paths().into_iter().filter(|file| factory_reset::takes(&self.data_dir, file)).collect()
    }

    /// Has the next start empty the data folder. Waits for the disk.
    ///
    /// # Errors
    /// In words; then nothing is removed.
    pub(super) async fn ask_reset(&self) -> Result<(), String> {
        let data_dir = self.data_dir.clone();
        tokio::task::spawn_blocking(move || factory_reset::ask(&data_dir)).await.map_err(|panic| panic.to_string())?
    }

    /// Makes another certificate for the gateway's own key; gives its names. It is shown after a reload.
    ///
    /// # Errors
    /// In words.
    pub(super) async fn renew(&self) -> Result<Vec<String>, String> {
        let files = Files::of(&self.data_dir.join(tls::FOLDER));
        tokio::task::spawn_blocking(move || files.renew()).await.map_err(|panic| panic.to_string())?
    }
}

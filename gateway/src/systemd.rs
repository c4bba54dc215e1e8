//! The init system's side: readiness, watchdog, the journal. All of it does nothing where there is no systemd.

use std::path::PathBuf;
use std::time::Duration;

use sd_notify::NotifyState;
use systemd_journal_logger::JournalLog;
use tokio_util::sync::CancellationToken;

/// Whether standard error goes to the journal, as systemd tells its services.
pub fn journal_is_there() -> bool {
    systemd_journal_logger::connected_to_journal()
}

/// Whether systemd has started this very process, and not one that it came from. It says so since version 248.
pub fn started_this() -> bool {
    let process = std::env::var("SYSTEMD_EXEC_PID").ok().and_then(|text| text.parse().ok());
    process == Some(std::process::id())
}

/// The folder below /run that systemd has made for this service (`RuntimeDirectory=`).
pub fn runtime_folder() -> Option<PathBuf> {
    std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from)
}

/// A logger that speaks the journal's own protocol.
///
/// # Errors
/// When the journal's socket is not there.
pub fn journal() -> std::io::Result<JournalLog> {
    JournalLog::new()
}

/// Says that the daemon is ready, with a line for `systemctl status`.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the settings are read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!(error:% = error; "no monotonic clock"),
    }
}

/// Says that the daemon is on its way out.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!(error:% = error; "the init system could not be told how the daemon is");
    }
}

/// How often the watchdog wants a sign of life, if there is one.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Strokes the watchdog at half its period for as long as the runtime turns, until told to stop.
pub async fn watchdog(period: Duration, stop: CancellationToken) {
    let mut tick = tokio::time::interval((period / 2).max(Duration::from_millis(100)));
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        notify(&[NotifyState::Watchdog]);
    }
}

//! Asks the kernel, or the time daemon, how far the wall clock can be trusted. Knows only messages' clocks.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::message::ClockQuality;

/// Between two questions; time daemons change their minds more slowly.
pub const PERIOD: Duration = Duration::from_secs(10);

/// The mark that systemd-timesyncd leaves once it has set the clock (systemd-timesyncd.service(8)).
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";

/// How far the clock can be trusted now: the kernel's word, or, where the sandbox does not let it be asked, that of
/// systemd-timesyncd.
pub fn quality() -> ClockQuality {
    match kernel() {
        ClockQuality::Unknown if Path::new(TIMESYNCD).exists() => ClockQuality::Synchronised,
        quality => quality,
    }
}

/// How far the clock may be off, where a time source disciplines it: the kernel's `maxerror` (adjtimex(2)).
pub fn error() -> Option<Duration> {
    let (quality, error) = asked();
    (quality == ClockQuality::Synchronised).then_some(error)
}

/// Whether a time source disciplines the clock (adjtimex(2), STA_UNSYNC).
fn kernel() -> ClockQuality {
    asked().0
}

/// The same, and by how much it may be off.
#[allow(unsafe_code, reason = "no safe crate offers adjtimex; the call only fills the structure that it is given")]
fn asked() -> (ClockQuality, Duration) {
    // SAFETY: `timex` is plain data for which all zeros is valid; with `modes` zero the call changes nothing.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    let quality = match state {
        -1 => ClockQuality::Unknown,
        libc::TIME_ERROR => ClockQuality::Unsynchronised,
        _ if timex.status & libc::STA_UNSYNC != 0 => ClockQuality::Unsynchronised,
        _ => ClockQuality::Synchronised,
    };
    (quality, Duration::from_micros(u64::try_from(timex.maxerror).unwrap_or_default()))
}

/// Tells `note` the quality now and then again every [`PERIOD`], until told to stop.
pub async fn watch(note: impl Fn(ClockQuality), stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        note(quality());
    }
}

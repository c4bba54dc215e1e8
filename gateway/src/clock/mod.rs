//! Asks chronyd, the kernel, or the time daemon how far the wall clock can be trusted. Knows only messages' clocks.
//!
//! `chrony.rs` is the question to chronyd and its answer.

mod chrony;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::message::{ClockQuality, TimeSource, Timing};

/// Between two questions; time daemons change their minds more slowly.
pub const PERIOD: Duration = Duration::from_secs(10);

/// The mark that systemd-timesyncd leaves once it has set the clock (systemd-timesyncd.service(8)).
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";

/// How far the clock can be trusted now: the kernel's word, or, where the sandbox does not let it be asked, that of
/// systemd-timesyncd.
pub fn quality() -> ClockQuality {
    without_chrony().0
}

/// The same, with what is known of the clock's error.
fn without_chrony() -> (ClockQuality, Timing) {
    match kernel() {
        (ClockQuality::Unknown, _) if Path::new(TIMESYNCD).exists() => {
            (ClockQuality::Synchronised, Timing { source: TimeSource::Timesyncd, ..Timing::default() })
        }
        said => said,
    }
}

/// Whether a time source disciplines the clock (adjtimex(2), STA_UNSYNC), and by how much it is off then.
#[allow(unsafe_code, reason = "no safe crate offers adjtimex; the call only fills the structure that it is given")]
fn kernel() -> (ClockQuality, Timing) {
    // SAFETY: `timex` is plain data for which all zeros is valid; with `modes` zero the call changes nothing.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    match state {
        -1 => return (ClockQuality::Unknown, Timing::default()),
        libc::TIME_ERROR => return (ClockQuality::Unsynchronised, Timing::default()),
        _ if timex.status & libc::STA_UNSYNC != 0 => return (ClockQuality::Unsynchronised, Timing::default()),
        _ => {}
    }
    let unit = if timex.status & libc::STA_NANO == 0 { 1e-6 } else { 1e-9 };
    // `offset` is what the clock still has to be put on by.
    let (offset, error) = (-(timex.offset as f64) * unit, timex.maxerror as f64 * 1e-6);
    let timing = Timing { source: TimeSource::Kernel, offset: Some(offset), error: Some(error) };
    (ClockQuality::Synchronised, timing)
}

/// How far the clock can be trusted now, and by how much it is off: chronyd's word where it answers at this address, else the
/// kernel's.
async fn ask(chrony: Option<SocketAddr>) -> (ClockQuality, Timing) {
    match chrony {
        Some(address) => chrony::ask(address).await.map_or_else(without_chrony, chrony::Tracking::said),
        None => without_chrony(),
    }
}

/// Tells `note` how the clock is now and then again every [`PERIOD`], until told to stop.
pub async fn watch(chrony: Option<SocketAddr>, note: impl Fn(ClockQuality, Timing), stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let Some((quality, timing)) = stop.run_until_cancelled(ask(chrony)).await else { return };
        note(quality, timing);
    }
}

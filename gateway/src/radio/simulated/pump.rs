//! Moves bytes between a made-up device and its pseudo-terminal, at the pace of the line it claims.
//!
//! Owns the waiting and the writing. Never waits for a reader: what nobody takes is dropped.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use super::pace::Outgoing;
use super::{Device, Pty};
use crate::config::Simulated;

/// When to offer bytes again that a full pseudo-terminal did not take.
const RETRY: Duration = Duration::from_millis(16);
/// How long a pseudo-terminal may be full before what waits is dropped.
const PATIENCE: Duration = Duration::from_secs(1);
/// Below this a period would only burn the processor.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);
/// Bytes of the gateway's that are taken in one read.
const READ: usize = 1024;

/// Lets `device` speak and listen on `pty` until `cancel`.
///
/// Each period it says what `tick` gives it, the first time at once; missed periods are skipped. `now` counts in whole
/// periods, so a run on a busy machine says the same as one on an idle one. What it is sent is answered. Both go out
/// like `settings.line` claims.
///
/// # Errors
/// The pseudo-terminal cannot be watched or read; the caller may open a new one.
pub async fn run(
    mut device: Box<dyn Device>,
    settings: &Simulated,
    pty: Pty,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let start = Instant::now();
    let _held_open = pty.terminal;
    let mut pump = Pump {
        controller: watch(pty.controller)?,
        outgoing: Outgoing::new(settings.line.character_time(), start),
        full_since: None,
        dropped: 0,
        overrun: false,
    };
    let mut periods = interval_at(start, settings.period.max(SHORTEST_PERIOD));
    periods.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut buffer = [0; READ];
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            tick = periods.tick() => pump.push(&device.tick(tick.saturating_duration_since(start))),
            count = pump.read(&mut buffer) => {
                let answer = device.receive(buffer.get(..count?).unwrap_or_default());
                pump.push(&answer);
            }
            () = sleep_until(pump.outgoing.due()), if !pump.outgoing.is_empty() => pump.write()?,
        }
    }
}

/// Registers the controller with the runtime.
#[allow(deprecated, reason = "its successor is unsafe for the sake of other types; an OwnedFd keeps what it asks for")]
fn watch(controller: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(controller, Interest::READABLE)
}

struct Pump {
    controller: AsyncFd<OwnedFd>,
    outgoing: Outgoing,
    /// Since when the pseudo-terminal takes nothing.
    full_since: Option<Instant>,
    /// Bytes dropped since then.
    dropped: usize,
    /// Whether the queue has ever been too short; told once a run.
    overrun: bool,
}

impl Pump {
    /// Queues what the device says. A line that is claimed too slow for the period fills the queue in the end.
    fn push(&mut self, bytes: &[u8]) {
        let taken = self.outgoing.push(bytes, Instant::now());
        if !taken && !self.overrun {
            self.overrun = true;
            log::warn!(
                bytes = bytes.len();
                "simulated radio: the line is slower than what is to be said; dropped, as all that will not fit"
            );
        }
    }

    /// Waits for bytes from the gateway. Loses none when it is dropped.
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.controller.readable().await?;
            match ready.try_io(|controller| Ok(rustix::io::read(controller, &mut *buffer)?)) {
                Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }

    /// Hands over what is due, as far as the pseudo-terminal takes it.
    fn write(&mut self) -> io::Result<()> {
        match rustix::io::write(self.controller.get_ref(), self.outgoing.ready()) {
            Ok(0) | Err(Errno::AGAIN | Errno::INTR) => self.wait_for_reader(),
            Ok(count) => {
                self.full_since = None;
                if self.dropped > 0 {
                    log::info!(dropped = self.dropped; "simulated radio: somebody reads again");
                    self.dropped = 0;
                }
                self.outgoing.sent(count);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Offers the bytes again later; drops them when nobody has read for too long. Then every further reading is
    /// dropped at its first refusal, until one is taken.
    fn wait_for_reader(&mut self) {
        let now = Instant::now();
        let full_since = *self.full_since.get_or_insert(now);
        if now.saturating_duration_since(full_since) < PATIENCE {
            self.outgoing.hold(now + RETRY);
            return;
        }
        if self.dropped == 0 {
            log::warn!("simulated radio: nobody reads its port; readings are dropped until somebody does");
        }
        self.dropped = self.dropped.saturating_add(self.outgoing.clear());
    }
}

#[cfg(test)]
mod tests;

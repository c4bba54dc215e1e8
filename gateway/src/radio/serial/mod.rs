//! The serial driver: one port, opened again for ever, and the frames on it.
//!
//! Owns the port's life. `port.rs` finds and opens it, `session.rs` is what happens while it is open, `downlink.rs`
//! queues what clients want sent, `polls.rs` knows what is to be asked, `reports.rs` makes the messages, `presence.rs`
//! says whether the port is there, `arrival.rs` knows when each byte came, `framing/` turns bytes into frames and back,
//! `modbus.rs` is the master's half of Modbus RTU.

mod arrival;
mod downlink;
pub mod framing;
pub mod modbus;
mod polls;
mod port;
mod presence;
mod reports;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::downlink::Downlink;
use self::presence::Presence;
use self::reports::Reports;
use self::session::{Ended, Session};
use super::{RadioStats, Refused, Topics};
use crate::config::{Port, RadioKind, SerialRadio};
use crate::pipeline::Pipeline;

/// Between two tries to open a port. Well under the two seconds within which a replugged port is to work again.
const REOPEN: Duration = Duration::from_millis(500);

/// One radio on one port.
pub(super) struct Driver {
    radio: Arc<SerialRadio>,
    port: Port,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    topics: Topics,
}

impl Driver {
    pub(super) fn new(
        radio: Arc<SerialRadio>,
        port: Port,
        topics: Topics,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Self {
        Self { radio, port, pipeline, stats, topics }
    }

    /// Opens the port, runs it until it fails, and opens it again, until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let reports =
            Reports::new(&self.radio, self.topics.clone(), Arc::clone(&self.pipeline), Arc::clone(&self.stats));
        let mut downlink =
            Downlink::attach(self.topics.down.clone(), self.radio.down_queue, &self.pipeline, &self.stats);
        self.stats.attached.notify_one();
        let mut presence = Presence::new(&self.radio, &self.stats);
        let exclusive = matches!(self.radio.kind, RadioKind::Serial(_));
        while !stop.is_cancelled() {
            let opening = port::open(&self.port, self.radio.kind.line(), exclusive);
            let Some(opened) = stop.run_until_cancelled(opening).await else { break };
            match opened {
                Ok((stream, path)) => {
                    presence.opened(path, &reports).await;
                    let session =
                        Session::new(stream, &self.radio, &reports, &self.stats, &mut downlink, &mut presence);
                    match session.run(&stop).await {
                        Ended::Stopped => break,
                        Ended::Lost(reason) => presence.lost(reason, &reports).await,
                    }
                }
                Err(error) => presence.not_opened(error.to_string(), &reports).await,
            }
            downlink.refuse_for(REOPEN, Refused::PortClosed, &reports, &stop).await;
        }
        self.pipeline.detach(&self.topics.down);
        downlink.refuse_rest(Refused::ShuttingDown, &reports).await;
        presence.stopped(&reports).await;
    }
}

//! The serial driver: one port, opened again for ever, and the frames on it.
//!
//! Owns the port's life. `port.rs` finds and opens it, `session.rs` is what happens while it is open, `downlink.rs`
//! queues what clients want sent, `reports.rs` makes the messages, `arrival.rs` knows when each byte came,
//! `framing/` turns bytes into frames and back, `modbus.rs` is the master's half of Modbus RTU.

mod arrival;
mod downlink;
pub mod framing;
pub mod modbus;
mod port;
mod reports;
mod session;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::downlink::Downlink;
use self::reports::Reports;
use self::session::{Ended, Session};
use super::{RadioStats, Refused, Topics};
use crate::config::{Port, Radio, RadioKind};
use crate::pipeline::Pipeline;

/// Between two tries to open a port. Well under the two seconds within which a replugged port is to work again.
const REOPEN: Duration = Duration::from_millis(500);

/// One radio on one port.
pub(super) struct Driver {
    radio: Arc<Radio>,
    port: Port,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    topics: Topics,
}

impl Driver {
    pub(super) fn new(
        radio: Arc<Radio>,
        port: Port,
        topics: Topics,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Self {
        Self { radio, port, pipeline, stats, topics }
    }

    /// Opens the port, runs it until it fails, and opens it again, until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let name = self.radio.name.clone();
        let reports =
            Reports::new(&self.radio, self.topics.clone(), Arc::clone(&self.pipeline), Arc::clone(&self.stats));
        let mut downlink =
            Downlink::attach(self.topics.down.clone(), self.radio.down_queue, &self.pipeline, &self.stats);
        let mut last_trouble = String::new();
        let exclusive = matches!(self.radio.kind, RadioKind::Serial(_));
        while !stop.is_cancelled() {
            let line = self.radio.kind.line();
            let opening = port::open(&self.port, line, exclusive);
            let Some(opened) = stop.run_until_cancelled(opening).await else { break };
            match opened {
                Ok((stream, path)) => {
                    log::info!(radio = name.as_str(), device:% = path.display(), baud = line.baud; "port open");
                    last_trouble.clear();
                    self.stats.online.store(true, Ordering::Relaxed);
                    RadioStats::add(&self.stats.opened, 1);
                    reports.state(Some(&path), "open").await;
                    let session = Session::new(stream, &self.radio, &reports, &self.stats, &mut downlink);
                    let ended = session.run(&stop).await;
                    self.stats.online.store(false, Ordering::Relaxed);
                    match ended {
                        Ended::Stopped => break,
                        Ended::Lost(reason) => {
                            log::warn!(radio = name.as_str(), device:% = path.display(), error = reason.as_str();
                                "port lost; it is opened again when it is back");
                            reports.state(None, &reason).await;
                        }
                    }
                }
                Err(error) => {
                    let trouble = error.to_string();
                    // Said once, not twice a second.
                    if trouble != last_trouble {
                        log::warn!(radio = name.as_str(), error = trouble.as_str(); "port not open; tried again until it is");
                        reports.state(None, &trouble).await;
                        last_trouble = trouble;
                    }
                }
            }
            downlink.refuse_for(REOPEN, Refused::PortClosed, &reports, &stop).await;
        }
        self.pipeline.detach(&self.topics.down);
        downlink.refuse_rest(Refused::ShuttingDown, &reports).await;
        reports.state(None, "the radio was stopped").await;
    }
}

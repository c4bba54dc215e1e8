//! The serial driver: one port, opened again for ever, and the frames on it.
//!
//! Owns the port's life. `port.rs` finds and opens it, `session.rs` is what happens while it is open, `downlink.rs`
//! queues what clients want sent, `polls.rs` knows what is to be asked, `reports.rs` makes the messages, `presence.rs`
//! says whether the port is there, `arrival.rs` knows when each byte came, `framing/` turns bytes into frames and back,
//! `modbus.rs` is the master's half of Modbus RTU, `wire.rs` exchanges lines with modems. For whoever looks on: `tail.rs` keeps
//! the bytes that came last, `preview.rs` cuts them by another framing, `found.rs` knows which ports the machine has.

mod arrival;
mod downlink;
mod found;
pub mod framing;
pub mod modbus;
mod polls;
mod port;
mod presence;
mod preview;
mod reports;
mod session;
mod tail;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_serial::SerialStream;
use tokio_util::sync::CancellationToken;

pub(super) use self::downlink::{Down, Downlink, Next};
pub use self::found::{FoundPort, found};
pub(super) use self::presence::Presence;
pub use self::preview::{Cut, Fate, preview};
pub(super) use self::reports::{Frame, Reports};
pub(super) use self::session::Ended;
use self::session::Session;
pub use self::tail::Tail;
pub(super) use self::wire::Wire;
use super::{RadioStats, Refused, Topics, cellular, lora};
use crate::config::{AtPort, Port, RadioKind, SerialRadio};
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
    behind: Behind,
}

/// What is behind a port.
enum Behind {
    /// A device that sends and takes frames.
    Device,
    LoraModem(Box<lora::modem::Modem>),
    CellularModem(Box<(cellular::Modem, AtPort)>),
}

impl Driver {
    pub(super) fn new(
        radio: Arc<SerialRadio>,
        port: Port,
        topics: Topics,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Self {
        Self { radio, port, pipeline, stats, topics, behind: Behind::Device }
    }

    /// With a LoRa modem behind the port.
    pub(super) fn with_lora_modem(self, modem: lora::modem::Modem) -> Self {
        Self { behind: Behind::LoraModem(Box::new(modem)), ..self }
    }

    /// With a 4G or 5G modem behind it, to which nobody sends frames.
    pub(super) fn with_cellular_modem(self, modem: cellular::Modem, at: AtPort) -> Self {
        Self { behind: Behind::CellularModem(Box::new((modem, at))), ..self }
    }

    /// Opens the port, runs it until it fails, and opens it again, until told to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let reports =
            Reports::new(&self.radio, self.topics.clone(), Arc::clone(&self.pipeline), Arc::clone(&self.stats));
        let mut downlink = match self.behind {
            Behind::CellularModem(..) => Downlink::none(&self.stats),
            _ => Downlink::attach(self.topics.down.clone(), self.radio.down_queue, &self.pipeline, &self.stats),
        };
        self.stats.attached.notify_one();
        let mut presence = Presence::new(&self.radio, &self.stats);
        let exclusive = matches!(self.radio.kind, RadioKind::Serial(_));
        while !stop.is_cancelled() {
            let Some(opened) = stop.run_until_cancelled(self.open(exclusive)).await else { break };
            match opened {
                Ok(opened) => match self.session(opened, &reports, &mut downlink, &mut presence, &stop).await {
                    Ended::Stopped => break,
                    Ended::NotReady(reason) => presence.not_opened(reason, &reports).await,
                    Ended::Lost(reason) => presence.lost(reason, &reports).await,
                },
                Err(trouble) => presence.not_opened(trouble, &reports).await,
            }
            downlink.refuse_for(REOPEN, Refused::PortClosed, &reports, &stop).await;
        }
        self.pipeline.detach(&self.topics.down);
        downlink.refuse_rest(Refused::ShuttingDown, &reports).await;
        presence.stopped(&reports).await;
    }

    /// Opens the port, unless another program has what is behind it.
    async fn open(&mut self, exclusive: bool) -> Result<(SerialStream, PathBuf), String> {
        if let Behind::CellularModem(behind) = &mut self.behind {
            let modem = &mut behind.0;
            let path = port::find(&self.port).await.map_err(|error| error.to_string())?;
            if let Some(why) = modem.bars(&path).await {
                return Err(why);
            }
        }
        port::open(&self.port, self.radio.kind.line(), exclusive).await.map_err(|error| error.to_string())
    }

    /// What happens while the port is open. A modem counts as there only when it has been set up.
    async fn session(
        &mut self,
        (stream, path): (SerialStream, PathBuf),
        reports: &Reports,
        downlink: &mut Downlink,
        presence: &mut Presence,
        stop: &CancellationToken,
    ) -> Ended {
        match &mut self.behind {
            Behind::Device => {
                presence.opened(path, reports).await;
                Session::new(stream, &self.radio, reports, &self.stats, downlink, presence).run(stop).await
            }
            Behind::LoraModem(modem) => {
                let session =
                    lora::modem::Session::new((stream, path), modem, reports, &self.stats, downlink, presence);
                session.run(stop).await
            }
            Behind::CellularModem(behind) => {
                let (modem, at) = behind.as_mut();
                modem.serve(at, (stream, path), reports, &self.stats, presence, stop).await
            }
        }
    }
}

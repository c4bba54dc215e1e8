//! A modem that ModemManager has: found on the bus, asked, unlocked, connected, and found again.
//!
//! Map: `bus.rs` is D-Bus; `object.rs` is a modem as ModemManager shows it, `reading.rs` what its properties mean, both pure;
//! `session.rs` asks one modem for as long as it is there; `link.rs` is its data connection; `owner.rs` says whose a port is, for
//! modems that are asked by AT. What becomes of a reading is the same as there.

mod bus;
mod link;
mod object;
mod owner;
mod reading;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::bus::{Bus, BusError};
use self::object::Object;
pub(super) use self::owner::{Owner, takes};
use self::session::Session;
use super::Modem;
use super::veil::{ELSEWHERE, Veil};
use crate::config::Managed;
use crate::pipeline::Pipeline;
use crate::radio::serial::{Ended, Presence, Reports};
use crate::radio::{RadioStats, Topics};

/// Between two tries to find the modem, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// See the module's head.
pub(in crate::radio) struct Manager {
    modem: Modem,
    managed: Managed,
    reports: Reports,
    presence: Presence,
    stats: Arc<RadioStats>,
    /// A connection that the gateway has had made, and lost sight of.
    ours: Option<Ours>,
}

/// A bearer, by ModemManager's name on the bus and the paths of its modem and its own.
struct Ours {
    manager: String,
    modem: String,
    bearer: String,
}

impl Manager {
    pub(in crate::radio) fn new(
        modem: Modem,
        managed: Managed,
        topics: Topics,
        pipeline: Arc<Pipeline>,
        stats: Arc<RadioStats>,
    ) -> Self {
        let name = modem.radio.name.as_str();
        let reports = Reports::without_port(name, "modem-manager", topics, pipeline, Arc::clone(&stats));
        let presence = Presence::without_port(name, &stats);
        Self { modem, managed, reports, presence, stats, ours: None }
    }

    /// Finds the modem, asks it until it is gone, and finds it again, until told to stop.
    pub(in crate::radio) async fn run(mut self, stop: CancellationToken) {
        let mut pause = PAUSE;
        while !stop.is_cancelled() {
            let ended = match stop.run_until_cancelled(self.find()).await {
                None => break,
                Some(Ok((bus, modem))) => Session::new(bus, modem, &mut self).run(&stop).await,
                Some(Err(trouble)) => Ended::NotReady(trouble),
            };
            match ended {
                Ended::Stopped => break,
                Ended::NotReady(trouble) => {
                    self.presence.not_opened(trouble, &self.reports).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Ended::Lost(trouble) => {
                    self.presence.lost(trouble, &self.reports).await;
                    pause = PAUSE;
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        self.presence.stopped(&self.reports).await;
    }

    /// The modem that the settings mean, or what to do.
    async fn find(&self) -> Result<(Bus, Object), String> {
        let veil = Veil::new(self.modem.key.clone());
        let said = |error: BusError| veil.hide(&error.to_string(), ELSEWHERE);
        let bus = Bus::open().await.map_err(said)?;
        let modems = Object::all(&bus.objects().await.map_err(said)?);
        let names: Vec<&str> = modems.iter().map(Object::place).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let found = match &self.managed.modem {
            Some(wanted) => modems.into_iter().find(|modem| modem.is_called(wanted)).ok_or_else(|| {
                format!("ModemManager has no modem `{wanted}`, but {names}; plug it in, or set `modem` to what `mmcli -m any` prints")
            })?,
            None if modems.len() > 1 => {
                return Err(format!("ModemManager has several modems, {names}; write one of these as `modem`"));
            }
            None => modems.into_iter().next().ok_or("ModemManager has no modem; plug it in, and see `mmcli -L`")?,
        };
        Ok((bus, found))
    }
}

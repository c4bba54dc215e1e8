//! 4G and 5G modems: instruments that are asked, over their AT port, how they hear the network and where they are.
//!
//! Owns what is said to a modem and what its answers mean. The port's life is the serial driver's, and a port that ModemManager
//! has is left to it: such a modem is asked by ModemManager. Numbers of people and devices end here: what leaves are pseudonyms.
//!
//! Map: `dialect.rs` is what modems of one maker are told and answer, read from a file in `dialects/`; `shape.rs` takes lines
//! apart, `scale.rs` the numbers in them; `values.rs` is what a reading has; `about.rs` is what a modem says of itself and of
//! its card; `veil.rs` keeps numbers from leaving; `talk.rs` is the conversation, pure; `pins.rs` is which PIN was tried;
//! `session.rs` has the conversation over a port, `manager/` the one with ModemManager; `tell.rs` is what becomes of what was said: `past.rs` compares readings,
//! `record.rs` makes messages of them, `stats.rs` counts.

mod about;
mod dialect;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod manager;
mod past;
mod pins;
mod record;
mod scale;
mod session;
mod shape;
mod stats;
mod talk;
mod tell;
#[cfg(test)]
mod tests;
mod values;
mod veil;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_serial::SerialStream;
use tokio_util::sync::CancellationToken;

pub(super) use self::manager::Manager;
use self::manager::Owner;
use self::past::Past;
use self::pins::Pins;
use self::record::{Identity, Records};
use self::session::Session;
pub use self::stats::CellularStats;
use self::tell::Topics;
use super::RadioStats;
use super::serial::{Ended, Presence, Reports};
use crate::config::{AtPort, Cellular};
use crate::pseudonym::Key;
use crate::supervisor::UnitError;

/// Where the secret behind pseudonyms and the marks of PINs are, in the data folder.
const FOLDER: &str = "cellular";

/// A modem, whatever becomes of its port.
pub(super) struct Modem {
    radio: Cellular,
    key: Key,
    pins: Pins,
    topics: Topics,
    records: Records,
    identity: Identity,
    past: Past,
    /// What was said on `cell` last, without its time.
    cell: serde_json::Value,
    /// Whose its port is.
    owner: Owner,
}

impl Modem {
    /// Nothing was asked yet. The secret behind the pseudonyms is made if there is none.
    ///
    /// # Errors
    /// When the secret can't be had.
    pub(super) async fn open(radio: Cellular, gateway: &Arc<str>, data_dir: &Path) -> Result<Self, UnitError> {
        let folder = data_dir.join(FOLDER);
        let file = folder.join("pseudonyms.secret");
        let key = tokio::task::spawn_blocking(move || Key::kept_in(&file)).await??;
        let pins = Pins::new(&folder, &radio.name, radio.pin.as_ref().map(|pin| &pin.secret), &key);
        let (name, gateway) = (radio.name.clone(), Arc::clone(gateway));
        let records = Records { radio: name, gateway, format: radio.format, sequence: 0 };
        let topics = Topics::new(&radio.name)?;
        let (identity, past) = (Identity::default(), Past::default());
        let (cell, owner) = (serde_json::Value::Null, Owner::default());
        Ok(Self { radio, key, pins, topics, records, identity, past, cell, owner })
    }

    /// Why its port is not to be opened, in words, if it is not.
    pub(super) async fn bars(&mut self, port: &Path) -> Option<String> {
        self.owner.of(port).await
    }

    /// Has the conversation over an open port.
    pub(super) async fn serve(
        &mut self,
        at: &AtPort,
        port: (SerialStream, PathBuf),
        reports: &Reports,
        stats: &RadioStats,
        presence: &mut Presence,
        stop: &CancellationToken,
    ) -> Ended {
        match Session::new(at, port, self, reports, stats, presence) {
            Ok(session) => session.run(stop).await,
            // A fault of this program, which its tests would have found.
            Err(error) => Ended::NotReady(error.to_string()),
        }
    }
}

//! What an author of a filter for the Stile gateway depends on.
//!
//! A filter is a type with a [`Filter`] in front of it: it is made from its settings, and says of each message what
//! becomes of it. [`export!`] makes a component of it. `docs/write-a-filter.md` is the way through an afternoon.
//!
//! The crate compiles twice. As a component's part it hands everything on to the gateway (`guest/`). Natively it stands
//! for the gateway in memory (`host/memory.rs`), so that a filter's tests are plain `cargo test`, without WebAssembly;
//! `cases` runs those that are written as files. `message`, `verdict`, `host` and `time` are what a filter sees, the
//! same both times; `uplink` finds what a LoRaWAN device sent, `senml` and `ngsi` write payloads that others understand;
//! `manifest` is what stands in the component for whoever installs it.

pub mod host;
pub mod message;
pub mod ngsi;
pub mod senml;
pub mod time;
pub mod uplink;
pub mod verdict;

#[cfg(not(target_family = "wasm"))]
pub mod cases;
mod export;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod guest;
#[cfg(not(target_family = "wasm"))]
pub mod manifest;

use std::time::Duration;

pub use host::{DataError, Grant, Host, KvError, Level};
pub use message::{Message, Origin, Property, Qos, Radio};
pub use time::{Period, Time};
pub use verdict::{Draft, Error, Patch, Verdict};

/// For settings: `#[derive(Deserialize, JsonSchema)]`.
pub use schemars::JsonSchema;
/// For settings: `#[derive(Deserialize, JsonSchema)]`.
pub use serde::Deserialize;
#[doc(hidden)]
pub use {schemars, serde, serde_json};

/// A filter.
///
/// The gateway may throw an instance away at any time, after a failure or for a new version, and make another: what must
/// outlive that belongs in [`Host::kv`].
pub trait Filter: Sized {
    /// What the operator writes under `[plugin.settings]`. Its schema goes into the manifest, comments included.
    type Settings: serde::de::DeserializeOwned + JsonSchema;

    /// The topics that it is meant for. The operator may name others.
    const TOPICS: &'static [&'static str];

    /// What it needs the operator's leave for.
    const GRANTS: &'static [Grant] = &[];

    /// How often [`Filter::tick`] is called, where the operator says nothing else. For `export!(..., timed)` only.
    const TICK: Option<Duration> = None;

    /// Reads the settings. Only where every kilobyte counts is there a reason to do it in another way: the reader of JSON
    /// weighs 35.
    fn settings(json: &str) -> Result<Self::Settings, Error> {
        serde_json::from_str(json).map_err(|error| {
            let text = error.to_string();
            // It is one line made by the gateway: its line and column help nobody.
            Error::Invalid(text.split(" at line ").next().unwrap_or(&text).to_owned())
        })
    }

    /// Makes one. [`Error::Invalid`] tells the operator what to change in the settings.
    fn new(settings: Self::Settings, host: &Host) -> Result<Self, Error>;

    /// Says what becomes of a message.
    fn process(&mut self, message: &Message, host: &Host) -> Verdict;

    /// Called every [`Filter::TICK`]. What it gives goes on from the next filter.
    fn tick(&mut self, now: Time, host: &Host) -> Result<Vec<Draft>, Error> {
        let _ = (now, host);
        Ok(Vec::new())
    }
}

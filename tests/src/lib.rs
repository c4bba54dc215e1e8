//! Tools for black-box tests of the built daemon: the daemon itself, made-up ports, MQTT clients.
//!
//! Waits have deadlines, never sleeps: [`within`] asks again until the answer is there. A [`Stile`] that goes out of
//! scope in a test that has not failed is stopped as systemd would stop it, and its ledger must balance.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "these are tests")]

pub mod appliance;
mod browser;
mod camera;
pub mod cellular;
mod certificates;
pub mod concentratord;
mod daemon;
pub mod forwarder;
mod guest;
mod http;
pub mod hub;
mod injected;
mod iperf;
mod killing;
mod measuring;
mod modem;
pub mod modem_manager;
mod mosquitto;
mod mounted;
mod mqtt;
mod neighbour;
mod network;
pub mod packet;
mod process;
mod proto;
mod proxy;
mod pty;
mod random;
mod raw;
mod relay;
mod remote;
mod rig;
mod skip;
pub mod station;
mod visitor;
mod websocket;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use browser::Browser;
pub use camera::codes;
pub use certificates::Authority;
pub use concentratord::Concentratord;
pub use daemon::Stile;
pub use forwarder::Forwarder;
pub use guest::counter;
pub use http::get;
pub use hub::SimulatedHub;
pub use injected::Injected;
pub use iperf::Iperf;
pub use killing::publish_until_it_ends;
pub use measuring::{Measuring, Record, Tally};
pub use modem::{Modem, ModemModel};
pub use mosquitto::{MosquittoSub, mosquitto_pub};
pub use mounted::Mounted;
pub use mqtt::{Client, Received, V5Client};
pub use neighbour::Neighbour;
pub use network::Network;
pub use process::{binary, check, command};
pub use proto::{Proto, Wire};
pub use proxy::Proxy;
pub use pty::{Pty, SwitchedPort};
pub use random::Random;
pub use raw::{Gone, RawClient};
pub use relay::Relay;
pub use remote::{Mosquitto, PlayedBroker, PlayedClient};
pub use rig::{Rig, serial};
pub use skip::{or_skip, skip};
pub use visitor::{Answer, PASSWORD, Visitor};
pub use websocket::{SecureWebSocketClient, WebSocketClient, frame};

/// How long anything may take. Generous: a loaded machine is slow, and a passing test never waits this long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
#[track_caller]
pub fn within<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within_or(|| what.to_owned(), ask)
}

/// The same; `what` is asked when it has failed, and can say what there is in the place of an answer.
#[track_caller]
pub fn within_or<T>(what: impl Fn() -> String, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {}", what());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a helper thread that looks at the flag, also when the test fails: else its scope would wait for it for ever.
pub struct EndOnDrop<'a>(pub &'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

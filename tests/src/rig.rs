//! One radio named `a` on a made-up port, the daemon that drives it, and a client that hears all it says.

use rumqttc::QoS;
use serde_json::Value;

use crate::{Pty, Received, Stile, SwitchedPort, V5Client};

/// A `[[radio]]` section for a serial radio on this port; `rest` is added to it.
pub fn serial(name: &str, port: &SwitchedPort, rest: &str) -> String {
    format!("[[radio]]\nname = {name:?}\nkind = \"serial\"\ndevice = {:?}\nbaud = 115200\n{rest}\n", port.link())
}

/// See the module's head.
pub struct Rig {
    /// The daemon. It stands first, so that it stops while its port is still there.
    pub stile: Stile,
    /// A client that has subscribed to what radios say: `up`, `ack` and `state`.
    pub client: V5Client,
    /// The port of radio `a`.
    pub port: SwitchedPort,
}

impl Rig {
    /// Starts it with this in the radio's section, and waits until the port is open.
    #[track_caller]
    pub fn start(settings: &str) -> Self {
        Self::start_beside(settings, |_| String::new())
    }

    /// Starts it with further settings behind the radio's, which `others` makes for the daemon's folder.
    #[track_caller]
    pub fn start_beside(settings: &str, others: impl FnOnce(&std::path::Path) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = SwitchedPort::plugged(dir.path());
        let rest = serial("a", &port, settings) + &others(dir.path());
        let stile = Stile::start_in(dir, "", &rest);
        let client = V5Client::connect(stile.mqtt, "rig");
        ["up", "ack", "state"].iter().for_each(|last| client.subscribe(&format!("serial/+/{last}"), QoS::AtLeastOnce));
        stile.wait_online("a");
        Self { stile, client, port }
    }

    /// The device that is plugged in.
    pub fn pty(&self) -> &Pty {
        self.port.pty()
    }

    /// The next message on this topic of the radio.
    #[track_caller]
    pub fn next(&self, last: &str) -> Received {
        let topic = format!("serial/a/{last}");
        self.client.next_where(|m| m.topic == topic)
    }

    /// Asks for a frame to be sent.
    #[track_caller]
    pub fn send(&self, correlation: &str, payload: impl Into<Vec<u8>>) {
        self.client.ask("serial/a/down", correlation, payload);
    }

    /// The next result, which must be that of the frame with this correlation.
    #[track_caller]
    pub fn result_of(&self, correlation: &str) -> Value {
        let ack = self.next("ack");
        assert_eq!(ack.correlation.as_deref(), Some(correlation.as_bytes()), "{ack:?}");
        ack.json()
    }

    /// That the next result is a refusal of the frame with this correlation for this reason; gives the detail.
    #[track_caller]
    pub fn refused(&self, correlation: &str, reason: &str) -> String {
        let result = self.result_of(correlation);
        assert_eq!((result["result"].as_str(), result["reason"].as_str()), (Some("refused"), Some(reason)), "{result}");
        result["detail"].as_str().unwrap_or_default().to_owned()
    }

    /// How many frames were refused for this reason.
    pub fn refusals(&self, reason: &str) -> f64 {
        self.stile.metric(&format!("stile_radio_frames_refused_total{{radio=\"a\",reason=\"{reason}\"}}"))
    }
}
